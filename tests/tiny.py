"""The smallest runs that are still real: a few dozen digits, two channels, three cells, batches of 16."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dartboard import networks, spaces, train
from dartboard.config import Setup
from dartboard.data import Data, Split, load_data
from dartboard.methods import darts
from dartboard.networks.darts import Network, sized
from dartboard.runs.run import Run
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture, SearchSpace

SPACE: SearchSpace = spaces.SPACES["darts"]
SEARCH: dict[str, Any] = {
    "channels": 2,
    "cells": 3,
    "epochs": 1,
    "batch_size": 16,
    "crop_padding": 1,
    "flip": False,
    "alpha_lr": 0.01,
}
TRAIN: dict[str, Any] = {
    "channels": 2,
    "cells": 3,
    "epochs": 2,
    "batch_size": 16,
    "crop_padding": 1,
    "flip": False,
    "cutout": 2,
    "auxiliary": False,
}


@cache
def digits(num_images: int = 64) -> Data:
    """So many digits, half train and half val, and 32 to test on."""
    data = load_data("digits", max_images=num_images)
    return replace(data, test=Split(data.test.images[:32], data.test.labels[:32]))


def space_of(*operations: str) -> SearchSpace:
    """The DARTS space with fewer operations, to be quick."""
    return spaces.darts.space("a few operations", "made up", operations)


FEW = space_of("max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3")


def fixed(family: str) -> dict[str, Any]:
    """The number of cells, where all networks of a family have the same; otherwise nothing."""
    return {name: value for name, value in FAMILIES[family].training.items() if name == "cells"}


def supernet(space: SearchSpace, *, num_classes: int = 10, **form: str) -> nn.Module:
    """A small supernet of any space, its weights from a fixed seed. form: "plain" or "fast", where it has several."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        make, operations = networks.module(space.family).Supernet, FAMILIES[space.family].mixed(space)
        module: nn.Module = make(
            channels=2, num_classes=num_classes, operations=operations, **{"cells": 3, **fixed(space.family)}, **form
        )
    return module


def search(folder: Path, *, data: Data | None = None, seed: int = 0, budget: str | None = None,
           space: SearchSpace = FEW, module: nn.Module | None = None, **changes: Any) -> darts.Result:  # fmt: skip
    """A tiny search in a new run folder."""
    config = darts.Config(**{**SEARCH, **changes})
    with Run.create(folder, config, setup=Setup(seed=seed, device="cpu", budget=budget)) as run:
        return darts.search(config, space, data or digits(), run, supernet=module)


def resume(run: Run, data: Data | None = None, space: SearchSpace = FEW) -> darts.Result:
    """Goes on with a search by `search`."""
    return darts.search(darts.Config(**run.settings), space, data or digits(), run)


def fit(
    folder: Path, architecture: Architecture, *, data: Data | None = None, setup: Setup | None = None, **changes: Any
) -> tuple[train.Score, Network]:
    """A tiny training in a new run folder, and the trained network."""
    config, data = train.Config(**{**TRAIN, **changes}), data or digits()
    module = sized(architecture, config, data)
    with Run.create(folder, config, setup=setup or Setup(device="cpu"), architecture=architecture) as run:
        return train.fit(config, module, data, run), module


def history(folder: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl without what is only time."""
    lines = Run.open(folder).metrics()
    return [{name: value for name, value in line.items() if not name.endswith("_s")} for line in lines]


def same_tensors(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(one[name].equal(other[name]) for name in one)
