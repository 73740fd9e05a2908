"""The best network under limits from a supernet that is trained, as often as somebody asks.

A candidate is scored by the supernet's weights on val, with running statistics collected for it at its own resolution.
Its score does not depend on what was scored before, so scores are kept beside the run and never computed twice.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import nn

from dartboard import networks
from dartboard.data import Data
from dartboard.data.splits import picked
from dartboard.errors import InputError, InterruptedRunError
from dartboard.export.weights import write_torch
from dartboard.methods import method_module, spos, trained_space
from dartboard.runs.limits import Limits
from dartboard.runs.run import Run
from dartboard.runs.streams import stream_seed
from dartboard.scoring.cost import Cost, cost_of
from dartboard.scoring.evaluate import answers, calibration_images, calibration_index, recalibrate
from dartboard.scoring.latency import LatencyTable, sizes_on, table_for, with_latency
from dartboard.scoring.limits import Limit, is_within
from dartboard.scoring.scorers import Score, Scorer
from dartboard.search import coarse_to_fine, paths, trials
from dartboard.search.proposals import Trial
from dartboard.spaces import SPACES
from dartboard.spaces.search_space import Architecture, SearchSpace, from_json
from dartboard.studies.countdown import Countdown
from dartboard.studies.pieces import Pieces
from dartboard.training import loop

STRATEGIES = ("coarse-to-fine", "evolution", "random")
SCORES = "scores.jsonl"  # in the run's folder
KEPT = 5  # best networks so far of which others are made
CHANCE = 0.1  # of each choice to be drawn again in a change


@dataclass(frozen=True)
class Question:
    """What is asked of a supernet. scorings: networks to score; recalibrate, val_images: images to score one with."""

    limits: tuple[Limit, ...]
    strategy: str
    scorings: int
    recalibrate: int
    val_images: int
    seed: int = 0


@dataclass(frozen=True)
class Answer:
    """The best of what was scored. scorings: how many; new: how many of them had no score before; ranked: all of
    them, the best first."""

    best: Trial
    cost: Cost
    scorings: int
    new: int
    ranked: tuple[Trial, ...]


@dataclass
class Trained:
    """A trained supernet on its device, with the data of its search."""

    run: Run
    space: SearchSpace  # of the networks that may be asked for
    data: Data
    supernet: nn.Module
    step: int
    table: LatencyTable | None = None

    @property
    def count(self) -> paths.Count:
        """Counts of an architecture's network at the sizes of the search, with its latency if there is a table."""
        return with_latency(partial(cost_of, *trials.sizes_of(self.run), self.data), self.table)


def asked(run: Run, space: SearchSpace) -> SearchSpace:
    """The networks that the finished phases of a search have trained; all of the space, if it has none."""
    method = str(run.method)
    return trained_space(method, method_module(method).Config(**run.settings), space)


def trained(run: Run, space: SearchSpace, data: Data, latency: str | None = None) -> Trained:
    """The supernet of a finished search. latency: a table's file. Raises InputError for a search that is not finished,
    or trained none, and for a table of other networks, another device or number of threads."""
    sizes = sizes_on(data, *trials.sizes_of(run))
    table = None if latency is None else table_for(latency, SPACES[str(run.space)], sizes)
    checkpoint = trials.check_parent(run, space, named="the run")
    if not run.done:
        raise InputError(f"{run.folder} is not finished; first: {run.resume_command}")
    supernet = trials.supernet_like(run, space, data)
    trials.load_shared(supernet, run, checkpoint.tensors, space)
    device, dtype = loop.prepare(run)
    placed = loop.place_module(supernet, device, dtype, run.settings["channels_last"])
    return Trained(run, space, data.to(device), placed, checkpoint.step, table)


def stopping(limits: Limits) -> Callable[[], None]:
    """What is called between scorings: raises InterruptedRunError where a signal or a budget ends the work."""

    def check() -> None:
        if reason := limits.reason():
            raise InterruptedRunError(f"stopped by {reason[0]}; what was scored stays, ask again", reason[1])

    return check


# --- Scores -----------------------------------------------------------------------------------------------------------


def remembering(one: Trained, recalibrate: int, val_images: int, pieces: Pieces) -> Scorer:
    """Scores by the supernet, once for each network and way of scoring; pieces: those that are known."""
    scorer = paths.on_some_of_val(one.supernet, one.data, one.run.settings["batch_size"], recalibrate, val_images)

    def known(architecture: Architecture, number: int) -> Score:
        key = f"{way_of_scoring(one, recalibrate, val_images)}{architecture}"
        if key not in pieces:
            found = scorer(architecture, number)
            pieces.add(key, score=found.value, source=found.source)
        return score_in(pieces, pieces[key])

    return known


def score_in(pieces: Pieces, piece: Mapping[str, Any]) -> Score:
    """A score that is known. Raises InputError for a damaged one."""
    value, source = piece.get("score"), piece.get("source")
    if not isinstance(value, float) or not 0 <= value <= 1 or not isinstance(source, str):
        raise damaged(pieces)
    return Score(value, source=source)


def damaged(pieces: Pieces) -> InputError:
    return InputError(f"{pieces.path} is damaged; remove it, and its scores are computed again")


def way_of_scoring(one: Trained, recalibrate: int, val_images: int) -> str:
    """What stands before the architecture in the key of a score."""
    return f"{one.step}/{recalibrate}/{val_images}/"


def remembered(one: Trained, question: Question, pieces: Pieces) -> list[Trial]:
    """Networks of the space whose scores of this kind are known, in the order in which they were scored. Raises
    InputError for a damaged file."""
    found = list[Trial]()
    for text, piece in pieces.under(way_of_scoring(one, question.recalibrate, question.val_images)).items():
        try:
            architecture = from_json(json.loads(text))
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise damaged(pieces) from error
        if architecture in one.space:
            found.append(Trial(len(found), architecture, score_in(pieces, piece)))
    return found


# --- Strategies -------------------------------------------------------------------------------------------------------


def answer(one: Trained, question: Question, pieces: Pieces, check: Callable[[], None] = lambda: None) -> Answer:
    """The best network within the limits. check: is called between scorings, and raises where the work is to stop.

    Raises InputError, with the smallest there is, for limits that nothing is within.
    """
    before, rng = len(pieces.done), stream(question, "first")
    first = coarse_to_fine.one_within(one.space, rng, question.limits, one.count)
    scorer, scored = remembering(one, question.recalibrate, question.val_images, pieces), list[Trial]()
    countdown = Countdown(question.scorings, "networks")
    for architecture in islice(candidates(one, question, first, scored), question.scorings):
        check()
        scored.append(Trial(len(scored), architecture, scorer(architecture, len(scored))))
        countdown.advance(f"with {100 * scored[-1].score.value:.2f} %")
    ranked = tuple(paths.best_of(scored, len(scored)))
    return Answer(ranked[0], one.count(ranked[0].architecture), len(scored), len(pieces.done) - before, ranked)


def answer_of(
    one: Trained, question: Question, pieces: Pieces, check: Callable[[], None], given: Architecture | None
) -> Answer:
    """As `answer`, or the score of the network that is given."""
    if given is None:
        return answer(one, question, pieces, check)
    before = len(pieces.done)
    score = remembering(one, question.recalibrate, question.val_images, pieces)(given, 0)
    only = Trial(0, given, score)
    return Answer(only, one.count(given), 1, len(pieces.done) - before, (only,))


def stream(question: Question, name: str, number: int = 0) -> Random:
    """The randomness of a part of the work; the same question draws the same."""
    return Random(stream_seed(question.seed, f"specialise-{name}", number))


def candidates(one: Trained, question: Question, first: Architecture, scored: list[Trial]) -> Iterator[Architecture]:
    """Different networks within the limits, by the strategy; `scored` grows between them. first: one that fits."""
    fit = partial(is_within, question.limits, one.count)
    yield from WAYS[question.strategy](one, question, fit, first, scored)


def at_random(
    one: Trained, question: Question, fit: paths.Fit, first: Architecture, scored: list[Trial]
) -> Iterator[Architecture]:
    """Uniform draws within the limits."""
    return paths.different(spos.uniform(one.space, first, stream(question, "random")), (), fit)


def coarse_and_fine(
    one: Trained, question: Question, fit: paths.Fit, first: Architecture, scored: list[Trial]
) -> Iterator[Architecture]:
    """A third of the scorings on the grid of the space, then rounds of changes of the best."""
    share = max(1, question.scorings // 3)
    yield from coarse_to_fine.skeletons(one.space, fit, lambda a: one.count(a).macs, share) or [first]
    yield from rounds(question, scored, share, partial(changes, one.space, fit))


def evolved(
    one: Trained, question: Question, fit: paths.Fit, first: Architecture, scored: list[Trial]
) -> Iterator[Architecture]:
    """Generations of a fifth of the scorings: random ones first, then half mutations and half crossovers (SPOS)."""
    size = max(2, question.scorings // 5)
    yield from islice(at_random(one, question, fit, first, scored), size)
    yield from rounds(question, scored, size, partial(children, one.space, fit, first))


def rounds(
    question: Question, scored: list[Trial], size: int,
    made: Callable[[Sequence[Architecture], set[Architecture], int, Random], Iterator[Architecture]],
) -> Iterator[Architecture]:  # fmt: skip
    """Candidates made of the best so far, round by round, until a round has none. made: (best, known, number, rng)."""
    number, fresh = 0, True
    while fresh and scored:
        best, known = [one.architecture for one in paths.best_of(scored, KEPT)], {one.architecture for one in scored}
        found = list(made(best, known, size, stream(question, "round", number)))
        yield from found
        number, fresh = number + 1, bool(found)


def changes(
    space: SearchSpace, fit: paths.Fit, best: Sequence[Architecture], known: set[Architecture], number: int, rng: Random
) -> Iterator[Architecture]:
    """Small changes of the best."""
    return coarse_to_fine.refinements(space, best, known, fit, CHANCE, number, rng)


def children(
    space: SearchSpace, fit: paths.Fit, first: Architecture, best: Sequence[Architecture], known: set[Architecture],
    number: int, rng: Random,
) -> Iterator[Architecture]:  # fmt: skip
    """A generation of SPOS' evolution."""
    config = spos.Config(population=number, mutations=number // 2, crossovers=number // 2, mutation_chance=CHANCE)
    return (child for child, _ in spos.children(config, space, fit, best, known, first, rng))


WAYS = {"coarse-to-fine": coarse_and_fine, "evolution": evolved, "random": at_random}


# --- The network ------------------------------------------------------------------------------------------------------


def write_network(
    one: Trained, architecture: Architecture, question: Question, out: Path,
    tune: Callable[[nn.Module], None] | None = None,
) -> tuple[float, float]:  # fmt: skip
    """Cuts the network out, collects its statistics at its own resolution, and writes it with its description.

    tune: trains it further. Then statistics are collected again. Returns its accuracy on the images of val that
    candidates are scored on as the supernet has it, and as it is written.
    """
    with torch.random.fork_rng(devices=[]):
        network = networks.module(architecture.space).inherit(one.supernet, architecture)
    before = after = recalibrated_accuracy(one, network, question)
    if tune is not None:
        tune(network)
        after = recalibrated_accuracy(one, network, question)
    data = one.data
    write_torch(
        network.cpu(), out, image_size=data.image_size, mean=data.mean, std=data.std, class_names=data.class_names
    )
    return before, after


def recalibrated_accuracy(one: Trained, network: nn.Module, question: Question) -> float:
    """The accuracy on val with statistics that are collected again; the network keeps them, in evaluation mode."""
    size, data = one.run.settings["batch_size"], one.data
    index = calibration_index(data.train, question.recalibrate, size)
    recalibrate(network, network, calibration_images(network, data.train, data, index))
    network.eval()
    order = paths.some_of_val(data, question.val_images)
    return answers(network, picked(data.val, order.cpu().numpy()), data, size).accuracy


def pieces_of(run: Run) -> Pieces:
    """The scores that are known of a run's supernet. Raises InputError for a damaged file."""
    return Pieces(Path(run.folder), SCORES)
