"""Why does the found cell perform as it does? The work: scores by shared weights, short trainings, gradients.

Every number is measured on val images, and every network is trained on the train images alone: the two splits of the
search. The test images are not read. findings.py computes the findings from the numbers.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from dartboard import formats
from dartboard.runs.limits import Limits, catching_signals
from dartboard.spaces.search_space import Architecture
from dartboard.studies import findings
from dartboard.studies.pieces import Pieces
from dartboard.studies.questions import Config
from dartboard.studies.shared_weights import (
    all_variants,
    discretisation,
    others,
    sampled,
    score_beside,
    score_samples,
    score_variants,
)
from dartboard.studies.short_trainings import train_config
from dartboard.studies.subject import Search, Study, val_images
from dartboard.studies.training_pieces import train_all
from dartboard.studies.variants import Variant


def study(
    search: Search, config: Config, folder: Path, on_progress: Callable[[str], None], limits: Limits | None = None,
    workers: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Does all the work that is not done yet, and returns the findings (findings.gathered). on_progress: prints a line;
    workers: who does the trainings, as for `runs.workers.done`.

    Raises InputError, CannotContinueError, and InterruptedRunError after a signal or at a limit; its work is saved.
    """
    one = planned(search, config, folder, on_progress, limits)
    with catching_signals(one.limits):
        discretisation(one)
        score_variants(one)
        score_samples(one)
        score_beside(one)
        cells = list(to_train(one))
        train_all(one, [(*cell, number) for cell in cells for number in range(config.seeds)], workers)
    return results_of(one)


def planned(
    search: Search, config: Config, folder: Path, on_progress: Callable[[str], None], limits: Limits | None = None
) -> Study:
    """The study with its random draws: the training images for recalibration, the val images for scoring."""
    order = torch.randperm(len(search.data.train), generator=search.run.generator("why-calibration"))
    chosen = order[: config.batches * search.batch_size]
    index = list(torch.split(chosen, search.batch_size))
    index = [batch for batch in index if len(batch) > 1]
    return Study(
        search, config, folder, Pieces(folder), index, val_images(search, config), limits or Limits(), on_progress
    )


def results_of(one: Study) -> dict[str, Any]:
    """The tables, with the run and the data that they describe."""
    search, small = one.search, train_config(one.search, one.config)
    sizes = {"channels": small.channels, "cells": small.cells, "image_size": search.data.image_size}
    changes = list(all_variants(search))
    found = findings.gathered(one.pieces, search.architecture, changes, sizes, len(one.val), search.run.seed)
    header = {"run": str(search.run.folder), "data": search.data.name, "fingerprint": search.data.fingerprint}
    genotype = formats.write(search.architecture, "quark0")
    return {**header, "genotype": genotype, "config": asdict(one.config), "sizes": sizes, **found}


def to_train(one: Study) -> Iterator[tuple[str, Architecture]]:
    """(name, architecture): the found cell, the random ones, the most harmful changes."""
    yield from controls(one)
    for variant in worst(list(all_variants(one.search)), one.pieces)[: one.config.top]:
        yield variant.key, variant.architecture


def controls(one: Study) -> Iterator[tuple[str, Architecture]]:
    yield "found", one.search.architecture
    for number, architecture in enumerate(sampled(one.search, one.config.random)):
        yield f"random-{number}", architecture
    for number, (_, architecture) in enumerate(others(one.config.beside)):
        yield f"beside-{number}", architecture


def worst(found: list[Variant], pieces: Pieces) -> list[Variant]:
    """The most harmful change of every input by shared weights, the most harmful input first; ties as enumerated."""
    by_accuracy = sorted(found, key=lambda variant: pieces[f"variant/{variant.key}"]["accuracy"])
    first: dict[tuple[str, int, int], Variant] = {}
    for variant in by_accuracy:
        first.setdefault(variant.place, variant)
    return list(first.values())
