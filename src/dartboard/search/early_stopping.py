"""What a search does for the rules of stop_rules.py: hold out images, measure, stop, write the cell of each."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from dartboard import formats
from dartboard.data import Data, Split, normalise
from dartboard.data.splits import picked
from dartboard.formats.files import STOPPED
from dartboard.networks.fast.mixed_cell import twice_differentiable
from dartboard.runs.atomic_files import replace_file, writing
from dartboard.runs.json_files import as_json
from dartboard.runs.run import Run
from dartboard.scoring.evaluate import restored_buffers, shared_weights_score
from dartboard.search import stop_rules
from dartboard.search.hessian import MOST_PRODUCTS, largest_eigenvalue
from dartboard.search.stop_rules import Rule, Stopped
from dartboard.spaces.families import FAMILIES, Mixed
from dartboard.spaces.search_space import Architecture, SearchSpace
from dartboard.tasks.images import cross_entropy
from dartboard.training import loop, optimizers

SHARE = 0.1  # of the work of a search that reading eigenvalues may take
PASSES = 1 + 2 * MOST_PRODUCTS  # forward and backward passes of a reading: the gradient's graph, two for a product
FEWEST = 8  # images of a reading: BatchNorm needs some
MEMORY = 4  # a reading stores as much as this many passes of its images; a batch divided by this is its limit

Mixture = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]


class Settings(Protocol):
    """What a method's config says of stopping."""

    @property
    def batch_size(self) -> int: ...
    @property
    def epochs(self) -> int: ...
    @property
    def stop(self) -> str: ...
    @property
    def stop_mode(self) -> str: ...


@dataclass(frozen=True)
class Watch:
    """What a search watches. ends: whether the first rule that fires ends it; mixed: the columns of alpha.

    held_out: images that nothing but the rule sees; sample: validation images of the eigenvalue, the same all along;
    every: epochs from one eigenvalue to the next.
    """

    rules: tuple[Rule, ...]
    ends: bool
    mixed: Mixed
    held_out: Split | None
    sample: Split | None
    every: int = 1


def begin(config: Settings, space: SearchSpace, data: Data, run: Run) -> tuple[Watch, Data]:
    """What to watch, and the data without what is held out for it. Both are functions of the run's seed."""
    rules = stop_rules.parse(config.stop)
    if rules:
        stop_rules.check_space(rules, space)
    numbers = {rule.name: rule.numbers for rule in rules}
    held_out = sample = None
    if "held-out" in numbers:
        order = torch.randperm(len(data.train), generator=run.generator("held-out"))
        count = max(1, round(numbers["held-out"][0] * len(data.train)))
        held_out = picked(data.train, order[:count].sort().values.numpy())
        data = replace(data, train=picked(data.train, order[count:].sort().values.numpy()))
    every = int(numbers["eigenvalue"][1]) if "eigenvalue" in numbers else 1
    if "eigenvalue" in numbers:
        count = num_images(config.batch_size, every, len(data.train))
        order = torch.randperm(len(data.val), generator=run.generator("eigenvalue-images"))
        sample = picked(data.val, order[:count].numpy())
    mixed = FAMILIES[space.family].mixed(space) if rules else {}
    return Watch(rules, config.stop_mode == "stop", mixed, held_out, sample, every), data


def num_images(batch_size: int, every: int, num_train: int) -> int:
    """Images of a reading: at most SHARE of the passes of the epochs between two, in memory no more than a step.

    Work is counted in images that go forward and backward: in an epoch each one twice, for alpha and for the weights.
    """
    affordable = int(SHARE * every * 2 * num_train / PASSES)
    return max(FEWEST, min(batch_size // MEMORY, affordable))


def epochs(config: Settings, watch: Watch, place: loop.Place, run: Run) -> Iterator[int]:
    """The epochs still to do, each once `place` has come to it, until a rule ends the search."""
    while place.epoch < config.epochs:
        if watch.rules and watch.ends and stop_rules.first(watch.rules, run.metrics(), watch.mixed):
            return
        yield place.epoch


# --- What is measured ------------------------------------------------------------------------------------------------


def readings(
    watch: Watch, epoch: int, supernet: nn.Module, alpha: Mapping[str, Tensor], mixture: Mixture, data: Data, run: Run
) -> dict[str, float]:
    """What the rules need of an epoch besides alpha: the score on the held-out part, the eigenvalue."""
    found: dict[str, float] = {}
    if watch.held_out is not None:
        with torch.no_grad():
            weights = mixture(alpha)
        part = replace(data, val=watch.held_out.to(data.val.labels.device))
        loss, accuracy = shared_weights_score(supernet, weights, part, SCORED)
        found |= {"held_out_loss": loss, "held_out_accuracy": accuracy}
    if watch.sample is not None and epoch % watch.every == 0:
        found["eigenvalue"] = dominant_eigenvalue(supernet, alpha, mixture, watch.sample, data, run)
    return found


SCORED = 256  # images per batch for scoring the held-out part


def dominant_eigenvalue(
    supernet: nn.Module, alpha: Mapping[str, Tensor], mixture: Mixture, sample: Split, data: Data, run: Run
) -> float:
    """Of the Hessian in alpha of the loss on the sample, with batch statistics; everything is left as it was.

    Without autocast: differences of second derivatives are too fine for a short number format.
    """
    sample, leaves = sample.to(next(supernet.parameters()).device), list(alpha.values())
    x = normalise(sample.images[torch.arange(len(sample), device=sample.labels.device)], data.mean, data.std)
    weights = list(supernet.parameters())
    with twice_differentiable(), restored_buffers(supernet), optimizers.frozen(weights), torch.enable_grad():
        logits = supernet(x.to(weights[0].dtype), mixture(alpha))
        loss = cross_entropy(logits, sample.labels)
        return largest_eigenvalue(loss, leaves, run.generator("eigenvalue-start")).value


# --- What is stored ---------------------------------------------------------------------------------------------------


def outcomes(watch: Watch, lines: Sequence[Mapping[str, Any]]) -> dict[Rule, Stopped]:
    """The verdict and cell of each rule for the search so far."""
    found = {rule: stop_rules.outcome(rule, lines, watch.mixed) for rule in watch.rules}
    return {rule: stopped for rule, stopped in found.items() if stopped is not None}


def chosen(watch: Watch, lines: Sequence[Mapping[str, Any]]) -> tuple[Rule, Stopped] | None:
    """The rule whose cell is the search's result; None if that is the last epoch's.

    The first that fired; if none did, held-out: it selects its best at the end.
    """
    if not watch.ends:
        return None
    best = [(rule, stopped) for rule, stopped in outcomes(watch, lines).items() if rule.name == "held-out"]
    return stop_rules.first(watch.rules, lines, watch.mixed) or next(iter(best), None)


def write(watch: Watch, lines: Sequence[Mapping[str, Any]], run: Run) -> dict[str, Any]:
    """Writes the cell of every rule into the run's folder; returns what the line of the result says of them."""
    if not watch.rules:
        return {}
    folder = run.folder / STOPPED
    with writing(run.folder):
        folder.mkdir(exist_ok=True)
    entries = []
    for rule, stopped in outcomes(watch, lines).items():
        replace_file(folder / rule.file_name, as_json(architecture_of(stopped).to_json()))
        entries.append({"rule": rule.text, **asdict(stopped)})
    by = chosen(watch, lines)
    return {"stopped_by": by[0].text if by else None, "stopped": entries}


def architecture_of(stopped: Stopped) -> Architecture:
    return formats.read(stopped.architecture)[0]
