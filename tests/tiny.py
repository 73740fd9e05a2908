"""Tiny searches and trainings in DARTS cells, beside the tiny values that dartboard.testing has for any family."""

from pathlib import Path
from typing import Any

from torch import nn

from dartboard import spaces, train
from dartboard.config import Setup
from dartboard.data import Data
from dartboard.methods import darts
from dartboard.networks.darts import Network, sized
from dartboard.runs.run import Run
from dartboard.spaces.search_space import Architecture, SearchSpace
from dartboard.testing.tiny import SEARCH, TRAIN, digits, fixed, history, same_tensors, space_of, supernet

__all__ = ["FEW", "SEARCH", "SPACE", "TRAIN", "digits", "fit", "fixed", "history", "resume"]
__all__ += ["same_tensors", "search", "space_of", "supernet"]
SPACE: SearchSpace = spaces.SPACES["darts"]
FEW = space_of("max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3")


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
