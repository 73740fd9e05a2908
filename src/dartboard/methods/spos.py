"""SPOS: Single Path One-Shot Neural Architecture Search with Uniform Sampling (Guo, Zhang, Mu, Heng, Liu, Wei, Sun;
ECCV 2020, arXiv 1904.00420; megvii-model/SinglePathOneShot).

The weights of a supernet are trained by single paths, drawn uniformly, so that every path is treated alike. Afterwards
an evolution searches for the path that does best with these weights, under a limit on its cost.

The algorithm, as `search` runs it:
    for every minibatch:
        1. draw a path a uniformly: from all, or from those in a random bin of a band of multiply-adds
        2. update w by descending  grad_w L_train(w, a): the weights of a alone move
    for T generations:                                                              (Algorithm 1 of the supplement)
        3. n children of the k best so far, m of them mutations with chance p, s crossovers, and the rest at random:
           none over the limit, and none that was scored before
        4. score each: BatchNorm's statistics are collected again, then its accuracy on val is measured
    return the best of all that were scored
    5. beside it: the best of as many random paths under the same limit, by the same weights

Symbols: a, a path; w, weights of the supernet; n, `population`; T, `generations`; k, `kept`; m, `mutations`;
p, `mutation_chance`; s, `crossovers`.

The evolution's defaults are the paper's. Those of the weights are this house's, which are those of DARTS, so that
methods that are compared differ in nothing but the method: the paper's 150,000 steps of 1,024 images are for ImageNet.
They are 120 epochs of it; `--preset paper` has these epochs and the paper's other numbers.
Departures from the paper and from the released code:
    1. The learning rate falls by a cosine, as in all searches here, the paper's linearly; weight decay is on all
       tensors, in the released code on those of more than one dimension; colours are not jittered.
    2. If of 500 paths none is in the bin, the released code takes any; here the nearest of them is taken.
    3. In the released code the children of the last generation are scored and forgotten; here they count.
    4. The released code scores on ImageNet's validation images, which are this house's test images; here val scores.
    5. Every candidate is recalibrated on the same training images (released code: the next ones of a loader).
    6. Mutations and crossovers are tried 10 times as often as they are wanted, as in the released code; random ones
       until 1,000 in a row are over the limit or known. A generation may so have fewer candidates, or none.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from random import Random

from torch import nn

from dartboard.config import Idle, check_ranges
from dartboard.data import Data
from dartboard.data.presets import by_data
from dartboard.errors import InputError
from dartboard.runs.run import Run
from dartboard.scoring.limits import band_from, check_table, is_within, limits_from, sample_within
from dartboard.scoring.scorers import Scorer
from dartboard.search import paths, supernets, trial_log
from dartboard.search.paths import Count, Result
from dartboard.search.proposals import Trial
from dartboard.spaces.search_space import Architecture, SearchSpace
from dartboard.training.epoch_work import EpochWork

DRAWS = 500  # paths that are drawn for a bin (released code)
TRIES = 10  # how often a mutation or a crossover is tried for each that is wanted (released code)


@dataclass(frozen=True)
class Config(supernets.Settings):
    """Settings of SPOS. Defaults: of the weights those of DARTS, of the evolution the paper's."""

    label_smoothing: float = 0.0
    """share of the label that is spread over all classes (off in the searches of this house; paper: 0.1)"""
    dropout: float = 0.0
    """chance that an input of the classifier is dropped in training (off in this house; released code: 0.1)"""
    band: str = ""
    """multiply-adds of the paths that train, such as 290M-360M (released code, ImageNet); empty: all paths"""
    bins: int = 7
    """equal parts of the band, one of which is drawn at each step (released code: parts of 10M)"""
    population: int = 50
    """candidates of a generation (paper)"""
    generations: int = 20
    """generations, the random one at the start included (paper)"""
    kept: int = 10
    """best candidates so far, of which the children of a generation are (paper)"""
    mutations: int = 25
    """children by mutation (paper)"""
    mutation_chance: float = 0.1
    """chance of each choice to be drawn again in a mutation; it may get the value it had (paper)"""
    crossovers: int = 25
    """children by crossover (paper)"""
    limit: str = ""
    """the largest cost of a candidate, such as macs<=330M or params<=3M,macs<=330M"""
    latency: str | None = None
    """a table of latencies of this device (dartboard latency build), for latency_ms in the limit"""
    recalibrate: int = 2000
    """most images of train on which a candidate's statistics are collected (released code: 200 batches of 128)"""
    val_images: int = 8000
    """most images of val on which a candidate is scored (released code: 40 batches of 200)"""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, label_smoothing="[0, 1)", dropout="[0, 1)", mutation_chance="[0, 1]", mutations="[0, 1e6]")
        check_ranges(self, population="[1, 1e6]", generations="[1, 1e6]", kept="[1, 1e6]", crossovers="[0, 1e6]")
        check_ranges(self, bins="[1, 1e6]", recalibrate="[1, inf)", val_images="[1, inf)")
        check_table(self.limit, self.latency)
        band_from(self.band)


PAPER = {
    "epochs": 120, "batch_size": 1024, "lr": 0.5, "lr_min": 0.0, "weight_decay": 4e-5, "label_smoothing": 0.1,
    "dropout": 0.1, "recalibrate": 25600,
}  # fmt: skip
PRESETS = by_data(channels=4, cells=4, epochs=20, batch_size=64, cutout=0)
CARRIED = {"weights": ("supernet", "w")}  # by --carry: names in a checkpoint


def scored_after(config: Config, data: Data) -> int:
    """Images that go through the supernet once its weights are trained: in the evolution, and in as many draws."""
    each = min(config.recalibrate, len(data.train)) + min(config.val_images, len(data.val))
    return 2 * config.population * config.generations * each


WORK = EpochWork(learn_on=("train",), score_on="val", after=scored_after)


def idle(config: Config, space: SearchSpace) -> Idle:
    """Settings that change nothing beside the others, and why, in words."""
    return () if config.band else ((("bins",), "there is no --band"),)


def search(config: Config, space: SearchSpace, data: Data, run: Run, *, supernet: nn.Module | None = None) -> Result:
    """The algorithm. Begins, or resumes from the run's checkpoint; reads data.train and data.val, never data.test.

    supernet: another module than the space's, with its `forward(x, architecture)`. Raises InputError for a batch larger
    than a split, and for a limit or a band that nothing is within; CannotContinueError if the loss is not finite.
    """
    first = check(config, space, data, paths.stream(run, "first", 0))
    count, limits = paths.costing(config, space, data, run), limits_from(config.limit)
    state, data, task = paths.begin(config, space, data, run, CARRIED, supernet)
    with supernets.at_work(config, state, task, run) as progress:
        for minibatch in paths.minibatches(config, state, task, run, progress):
            # 1. draw a path a uniformly: from all, or from those in a random bin of a band of multiply-adds
            a = path(config, space, count, paths.stream(run, "path", state.place.step))
            # 2. update w by descending grad_w L_train(w, a)
            with paths.dropped(state.supernet, config.dropout, run, state.place.step):
                paths.descend(config, state, task, run, a, minibatch)
    fit, scored = partial(is_within, limits, count), list[Trial]()
    with paths.judging(2 * config.population * config.generations, state, run, count) as judge:
        f = scorer(config, state.supernet, data)
        for t in range(config.generations):
            # 3. n children of the k best so far: mutations, crossovers, and the rest at random
            parents = [trial.architecture for trial in paths.best_of(scored, config.kept)]
            known, rng = {trial.architecture for trial in scored}, paths.stream(run, "generation", t)
            for a, made in children(config, space, fit, parents, known, first, rng):
                # 4. score each
                scored.append(judge(len(scored), a, f, generation=t, made=made))
        # 5. beside it: the best of as many random paths under the same limit
        draws = paths.different(uniform(space, first, paths.stream(run, "random", 0)), (), fit)
        again = looked_up(scored, f)
        random = [judge(number, a, again, "random") for number, a in enumerate(islice(draws, len(scored)))]
    # return the best of all that were scored
    return finish(state, run, count, scored, random)


# --- Paths that train -------------------------------------------------------------------------------------------------


def path(config: Config, space: SearchSpace, count: Count, rng: Random) -> Architecture:
    """A path drawn uniformly; with a band, from those in a bin of it, drawn first, or the nearest to it of 500."""
    band = band_from(config.band)
    if band is None:
        return space.sample(rng)
    width = (band[1] - band[0]) / config.bins
    low = band[0] + width * rng.randrange(config.bins)
    nearest: tuple[float, Architecture] | None = None
    for _ in range(DRAWS):
        drawn = space.sample(rng)
        distance = off(count(drawn).macs, low, low + width)
        if nearest is None or distance < nearest[0]:
            nearest = distance, drawn
        if distance == 0.0:
            break
    assert nearest is not None
    return nearest[1]


def off(macs: int, low: float, high: float) -> float:
    """How far multiply-adds are from a range; 0 inside."""
    return max(low - macs, macs - high, 0.0)


def check(config: Config, space: SearchSpace, data: Data, rng: Random) -> Architecture:
    """An architecture at random within the limit. Raises InputError for a limit or a band that nothing is within."""
    count, band, macs = paths.costing(config, space, data), band_from(config.band), list[int]()
    first = sample_within(space, rng, limits_from(config.limit), count)
    while band is not None and len(macs) < DRAWS:
        macs.append(count(space.sample(rng)).macs)
        if off(macs[-1], *band) == 0.0:
            return first
    if band is None:
        return first
    text = f"--band {config.band}: none of {DRAWS} paths of {space.name} is within it"
    raise InputError(f"{text}; they have {min(macs):,} to {max(macs):,} multiply-adds, give a band among these")


# --- Evolution --------------------------------------------------------------------------------------------------------


def children(
    config: Config, space: SearchSpace, fit: Callable[[Architecture], bool], parents: Sequence[Architecture],
    known: Collection[Architecture], first: Architecture, rng: Random,
) -> list[tuple[Architecture, str]]:  # fmt: skip
    """The new candidates of a generation and how each was made; fewer, if no others are found.

    parents: none in the first generation, which is at random, and begins with `first`; known: candidates before.
    """

    def mutation() -> Architecture:
        return space.mutate(rng.choice(parents), rng, config.mutation_chance)

    def crossover() -> Architecture:
        return space.cross(rng.choice(parents), rng.choice(parents), rng)

    found: dict[Architecture, str] = {}
    for made, wanted, make in (("mutation", config.mutations, mutation), ("crossover", config.crossovers, crossover)):
        wanted = min(wanted, config.population - len(found)) if parents else 0
        born = paths.different((make() for _ in range(TRIES * wanted)), {*known, *found}, fit)
        found |= dict.fromkeys(islice(born, wanted), made)
    rest = paths.different(uniform(space, first, rng), {*known, *found}, fit)
    return [*found.items(), *((child, "random") for child in islice(rest, config.population - len(found)))]


def uniform(space: SearchSpace, first: Architecture, rng: Random) -> Iterator[Architecture]:
    """Architectures at random without end: one that is within the limit, then uniform draws."""
    yield first
    while True:
        yield space.sample(rng)


def scorer(config: Config, supernet: nn.Module, data: Data) -> Scorer:
    """Accuracy on val, or on so many of its images, which are the same for every candidate; recalibrated for each."""
    return paths.on_some_of_val(supernet, data, config.batch_size, config.recalibrate, config.val_images)


def looked_up(scored: Sequence[Trial], f: Scorer) -> Scorer:
    """f, and of what was scored the score that it got."""
    known = {trial.architecture: trial.score for trial in scored}
    return lambda architecture, number: known.get(architecture) or f(architecture, number)


def finish(state: supernets.State, run: Run, count: Count, scored: list[Trial], random: list[Trial]) -> Result:
    """Writes the result, with what as many random paths found."""
    best, other = paths.best_of(scored, 1)[0], paths.best_of(random, 1)[0]
    more = {"scorings": len(scored), "random_scorings": len(random), "random_score": other.score.value}
    return paths.finish(state, run, count, best, **more, random_architecture=trial_log.text_of(other.architecture))
