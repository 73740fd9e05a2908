"""Accuracy predicted from an architecture's choices, learned from networks that were scored.

The predictor is Once-for-All's (Cai et al., ICLR 2020, section 3.4 and appendix): choices one-hot, all zeros for one
that does not exist; three hidden layers of 400 units with ReLU; Adam with a learning rate of 1e-3 and a weight decay of
1e-4 (mit-han-lab/once-for-all, issue 30); the last layer without a bias, plus the mean accuracy (their code). Here the
targets are the distances from that mean in standard deviations, and the passes over the networks are this house's.

Beside it stand a linear model of the same numbers and a line through multiply-adds: what a predictor must beat.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn
from torch.nn.functional import mse_loss

from dartboard.scoring.scorers import Score, Scorer
from dartboard.spaces.columns import Columns, Rows
from dartboard.spaces.search_space import Architecture

HIDDEN, UNITS = 3, 400
LR, WEIGHT_DECAY = 1e-3, 1e-4
EPOCHS, BATCH_SIZE = 50, 32  # on planted functions four times as many passes change tau by less than 0.01
RIDGE = 1.0  # times the sum of squared coefficients; a share of 1 / (1 + n) for an option that n networks have

Floats = NDArray[np.float64]
Model = Callable[[Rows], Floats]  # rows (N, choices) -> accuracies in [0, 1], (N,)


@dataclass(frozen=True)
class Predictor:
    """mean, spread: of the accuracies that it was trained on; perceptron: from one-hot choices to the distance from the
    mean in spreads. Call it with rows (N, choices) for accuracies (N,), which are not held to [0, 1]."""

    columns: Columns
    perceptron: nn.Module
    mean: float
    spread: float

    def __call__(self, rows: Rows) -> Floats:
        with torch.no_grad(), one_thread():
            found = self.perceptron(torch.from_numpy(self.columns.one_hot(rows)))
        return np.asarray(self.mean + self.spread * found[:, 0].double().numpy())


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside, torch computes by one thread: batches are small, and threads that wait for one another on a busy machine
    take ten times as long. Nor does the result depend on their number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def perceptron_of(inputs: int) -> nn.Sequential:
    """Three hidden layers, the last one without a bias, with torch's initial weights: (N, inputs) -> (N, 1)."""
    widths = [inputs, *[UNITS] * HIDDEN]
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(UNITS, 1, bias=False))


def trained(columns: Columns, rows: Rows, accuracies: ArrayLike, seed: int) -> Predictor:
    """A predictor of these networks. rows: (N, choices); accuracies: (N,) in [0, 1]; seed: of weights and of batches,
    on which alone it depends."""
    targets = np.asarray(accuracies, dtype=np.float64)
    mean, spread = float(targets.mean()), float(targets.std()) or 1.0
    x = torch.from_numpy(columns.one_hot(rows))
    y = torch.from_numpy((targets - mean) / spread).float()[:, None]
    with torch.random.fork_rng(devices=[]), torch.enable_grad(), one_thread():
        torch.manual_seed(seed)
        perceptron = perceptron_of(x.shape[1])
        optimizer = torch.optim.Adam(perceptron.parameters(), LR, weight_decay=WEIGHT_DECAY, fused=True)
        for _ in range(EPOCHS):
            for index in torch.randperm(len(x)).split(BATCH_SIZE):  # type: ignore[no-untyped-call]
                optimizer.zero_grad()
                mse_loss(perceptron(x[index]), y[index]).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
    return Predictor(columns, perceptron.requires_grad_(False), mean, spread)


def by_predictor(predictor: Predictor) -> Scorer:
    """The accuracy that is predicted of an architecture of the predictor's space."""

    def scorer(architecture: Architecture, number: int) -> Score:
        value = predictor(predictor.columns.rows([architecture]))[0]
        return Score(float(value), source="predictor")

    return scorer


def linear_model(columns: Columns, rows: Rows, accuracies: ArrayLike) -> Model:
    """A sum of a number for each option, and a constant that is not held small (ridge regression):
    the least |X b - y|^2 + RIDGE |b|^2, with columns of X and y less their means."""
    x, y = columns.one_hot(rows).astype(np.float64), np.asarray(accuracies, dtype=np.float64)
    middle, mean = x.mean(axis=0), float(y.mean())
    centred = x - middle
    b = np.linalg.solve(centred.T @ centred + RIDGE * np.eye(x.shape[1]), centred.T @ (y - mean))
    return lambda asked: np.asarray(mean + (columns.one_hot(asked) - middle) @ b)


def line(numbers: ArrayLike, accuracies: ArrayLike) -> Callable[[ArrayLike], Floats]:
    """Accuracies as a straight line of a number, with the least squared errors; constant if all numbers are equal."""
    x, y = np.asarray(numbers, dtype=np.float64), np.asarray(accuracies, dtype=np.float64)
    distance = x - x.mean()
    slope = float(distance @ (y - y.mean()) / scale) if (scale := float(distance @ distance)) else 0.0
    return lambda asked: np.asarray(y.mean() + slope * (np.asarray(asked, dtype=np.float64) - x.mean()))
