"""What a search over relaxed cells writes of itself: at its start, at the end of each epoch, and of all."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from dartboard import formats
from dartboard.data import Data
from dartboard.runs.metrics_file import last_epoch
from dartboard.runs.progress import Progress
from dartboard.runs.run import Run
from dartboard.scoring.evaluate import shared_weights_score
from dartboard.search import early_stopping
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture
from dartboard.training import loop

EVIDENCE = ("val_accuracy", "derived_val_accuracy")


def alpha_fields(alpha: Mapping[str, Tensor], architecture: Architecture) -> dict[str, object]:
    """What each epoch's line of metrics says of alpha, and of the architecture it would give."""
    values: dict[str, object] = {f"alpha_{kind}": logits.detach().tolist() for kind, logits in alpha.items()}
    return {**values, "architecture": formats.write(architecture, FAMILIES[architecture.space].notation)}


def scores(
    supernet: nn.Module, weights: Mapping[str, Tensor], architecture: Architecture, data: Data, batch_size: int
) -> dict[str, float]:
    """Loss and accuracy on the validation split of the mixed supernet, and accuracy of the cell cut out of it."""
    loss, accuracy = shared_weights_score(supernet, weights, data, batch_size)
    _, derived = shared_weights_score(supernet, architecture, data, batch_size)
    return {"val_loss": loss, "val_accuracy": accuracy, "derived_val_accuracy": derived}


def write_epoch(
    run: Run,
    place: loop.Place,
    numbers: Mapping[str, float],
    alpha: Mapping[str, Tensor],
    architecture: Architecture,
    progress: Progress,
) -> None:
    """The line of an epoch in the metrics, and on the screen."""
    times, told = {**place.times(), "elapsed_s": run.elapsed_s}, alpha_fields(alpha, architecture)
    run.log(event="epoch", epoch=place.epoch, step=place.step, **numbers, **told, **times)
    progress.epoch(place.epoch, loop.in_words(numbers), str(told["architecture"]))


def write_result(run: Run, last: Architecture, watch: early_stopping.Watch) -> tuple[Architecture, dict[str, Any]]:
    """Writes what was found, once; returns it with the accuracies of the epoch it comes from.

    It is the last epoch's architecture, or that of the rule by which the search ended.
    """
    lines = run.metrics()
    epochs = [line for line in lines if line["event"] == "epoch"]
    by = early_stopping.chosen(watch, lines)
    line = last_epoch(lines) if by is None else next(line for line in epochs if line["epoch"] == by[1].kept)
    found = last if by is None else early_stopping.architecture_of(by[1])
    numbers = {name: line[name] for name in EVIDENCE}
    if not run.done:
        run.finish(found, **numbers, **early_stopping.write(watch, lines, run), elapsed_s=run.elapsed_s)
    return found, numbers
