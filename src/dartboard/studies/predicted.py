"""The best network under limits by a predictor of accuracy: few networks are scored, very many are predicted.

Once-for-All's search (Cai et al., ICLR 2020): a predictor learns from scored networks of the supernet; an evolution by
its predictions, and by a table of latencies if there is one, goes through many thousand candidates within the limits;
the best few are then scored by the supernet's weights, and the best score of all is the answer.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dartboard.analysis.statistics import kendall_tau
from dartboard.errors import InputError
from dartboard.runs.atomic_files import replace_file
from dartboard.runs.json_files import as_json
from dartboard.runs.streams import stream_seed
from dartboard.scoring import array_costs, predictor
from dartboard.scoring.latency import sizes_on
from dartboard.scoring.limits import Limit, is_within
from dartboard.search import coarse_to_fine, paths, trials
from dartboard.search.array_evolution import evolved
from dartboard.search.proposals import Trial
from dartboard.spaces.columns import Columns
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture, SearchSpace
from dartboard.studies.countdown import Countdown
from dartboard.studies.pieces import Pieces
from dartboard.studies.specialise import Answer, Question, Trained, remembered, remembering, stream

FILE = "predictor.json"  # in the run's folder
LEAST = 20  # networks of which a predictor can be trained and tried
HELD_OUT = 5  # one of so many networks is not learned from
CANDIDATES = 50_000  # of Once-for-All's evolution: 500 generations of 100
SLOW_CANDIDATES = 2_000  # where limits are given and each network is built to be counted

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Quality:
    """What predictions of networks are worth on which nothing was learned. rmse, mean_error: of accuracies in [0, 1];
    tau: Kendall's, None where all predictions or all accuracies are equal; predicted: the accuracies, by network."""

    rmse: float
    mean_error: float
    tau: float | None
    predicted: tuple[float, ...]

    def record(self) -> dict[str, Any]:
        """As the file has it, in points of accuracy."""
        errors = {"rmse_points": 100 * self.rmse, "mean_error_points": 100 * self.mean_error}
        return {**errors, "kendall_tau": self.tau}


@dataclass(frozen=True)
class Found:
    """A predictor and what it found. model: the predictor; learned: networks that it was trained on; held_out: those it
    was tried on, with accuracies; qualities: by the name of a model; candidates: number; seconds: of the evolution."""

    model: predictor.Predictor
    learned: int
    held_out: tuple[Architecture, ...]
    accuracies: tuple[float, ...]
    qualities: Mapping[str, Quality]
    candidates: int = 0
    seconds: float = 0.0

    def record(self) -> dict[str, Any]:
        """What lies in the run's folder of it."""
        tried = [
            {"architecture": str(one), "accuracy": accuracy}
            for one, accuracy in zip(self.held_out, self.accuracies, strict=True)
        ]
        predictions = {name: list(quality.predicted) for name, quality in self.qualities.items()}
        return {**self.summary(), "held_out": tried, "predictions": predictions}

    def summary(self) -> dict[str, Any]:
        """What an answer says of it."""
        models = {name: quality.record() for name, quality in self.qualities.items()}
        found = {"learned_from": self.learned, "held_out": len(self.held_out), "models": models}
        return found | {"candidates": self.candidates, "seconds": round(self.seconds, 3)}


def answer(
    one: Trained, question: Question, samples: int, candidates: int | None, pieces: Pieces,
    check: Callable[[], None] = lambda: None,
) -> tuple[Answer, Found]:  # fmt: skip
    """The best network within the limits. question.scorings: candidates that are scored in the end; samples: networks
    that are scored for the predictor; candidates: of the evolution, None for CANDIDATES, or SLOW_CANDIDATES where each
    is built to be counted; check: raises where the work is to stop.

    Raises InputError, with the smallest there is, for limits that nothing is within, and where there are too few
    networks to learn from.
    """
    before = len(pieces.done)
    check_space(one.space)
    first = coarse_to_fine.one_within(one.space, stream(question, "first"), question.limits, one.count)
    known = scored(one, question, samples, pieces, check)
    found = learned(one, question, known)
    best, found = predicted_best(one, question, first, found, candidates, check)
    replace_file(Path(one.run.folder) / FILE, as_json(found.record()))
    fit = partial(is_within, question.limits, one.count)
    scorer = remembering(one, question.recalibrate, question.val_images, pieces)
    ranked, countdown = [trial for trial in known if fit(trial.architecture)], Countdown(question.scorings, "networks")
    for architecture in islice(filter(fit, best), question.scorings):
        check()
        ranked.append(Trial(len(known) + countdown.done, architecture, scorer(architecture, 0)))
        countdown.advance(f"with {100 * ranked[-1].score.value:.2f} %")
    ranked = paths.best_of(ranked, len(ranked))
    cost, new = one.count(ranked[0].architecture), len(pieces.done) - before
    return Answer(ranked[0], cost, len(known) + countdown.done, new, tuple(ranked)), found


# --- Scored networks --------------------------------------------------------------------------------------------------


def check_space(space: SearchSpace) -> None:
    """Raises InputError for a space with too few networks to learn from."""
    if space.size < LEAST:
        number = f"{space.size} network{'s' if space.size > 1 else ''}"
        raise InputError(
            f"{space.name} has {number}, and a predictor learns from {LEAST} or more; give --strategy random"
        )


def scored(one: Trained, question: Question, samples: int, pieces: Pieces, check: Callable[[], None]) -> list[Trial]:
    """The first networks of the space that were ever scored in this way, so that a further question has the same ones;
    as many more as are missing are drawn uniformly and scored. Raises InputError where that leaves too few."""
    scorer = remembering(one, question.recalibrate, question.val_images, pieces)
    known = remembered(one, question, pieces)[:samples]
    countdown, rng = Countdown(max(1, samples - len(known)), "networks for the predictor"), stream(question, "samples")
    draws = (one.space.sample(rng) for _ in count())
    fresh = paths.different(draws, {trial.architecture for trial in known}, lambda architecture: True)
    for architecture in islice(fresh, samples - len(known)):
        check()
        known.append(Trial(len(known), architecture, scorer(architecture, 0)))
        countdown.advance(f"with {100 * known[-1].score.value:.2f} %")
    if len(known) < LEAST:
        few = f"only {len(known)} different networks of {one.space.name} were found"
        raise InputError(f"{few}, and a predictor learns from {LEAST} or more; give --strategy random")
    return known


# --- The predictor, tried ---------------------------------------------------------------------------------------------


def learned(one: Trained, question: Question, known: Sequence[Trial]) -> Found:
    """A predictor of four fifths of the networks, drawn by the question's seed, and what it is worth on the others,
    beside a linear model and a line through multiply-adds that learned from the same."""
    columns, seed = Columns(one.space), stream_seed(question.seed, "specialise-predictor")
    order = np.random.default_rng(seed).permutation(len(known))
    held_out, learnt = np.split(order, [len(known) // HELD_OUT])
    rows = columns.rows([trial.architecture for trial in known])
    macs = np.array([one.count(trial.architecture).macs for trial in known], dtype=np.float64)
    accuracies = np.array([trial.score.value for trial in known])
    model = predictor.trained(columns, rows[learnt], accuracies[learnt], seed)
    linear = predictor.linear_model(columns, rows[learnt], accuracies[learnt])
    line = predictor.line(macs[learnt], accuracies[learnt])
    truth = accuracies[held_out]
    qualities = {
        "predictor": quality(model(rows[held_out]), truth),
        "linear": quality(linear(rows[held_out]), truth),
        "macs": quality(line(macs[held_out]), truth),
    }
    tried = tuple(known[place].architecture for place in held_out)
    return Found(model, len(learnt), tried, tuple(truth.tolist()), qualities)


def quality(predicted: Floats, accuracies: Floats) -> Quality:
    """What predictions are worth: sqrt(mean (p - a)^2), mean |p - a|, Kendall's tau-b. Both (N,), N from 2."""
    errors = predicted - accuracies
    rmse, mean_error = float(np.sqrt(np.mean(errors**2))), float(np.abs(errors).mean())
    return Quality(rmse, mean_error, kendall_tau(predicted.tolist(), accuracies.tolist()), tuple(predicted.tolist()))


# --- Candidates -------------------------------------------------------------------------------------------------------


def usual_candidates(space: SearchSpace, limits: Sequence[Limit]) -> int:
    """So many candidates as are gone through in seconds, or in a minute or more where each is built to be counted."""
    family = FAMILIES[space.family]
    built = family.places is None and (family.timed is None or not family.timed.in_a_row)
    return SLOW_CANDIDATES if limits and built else CANDIDATES


def predicted_best(
    one: Trained, question: Question, first: Architecture, found: Found, candidates: int | None,
    check: Callable[[], None],
) -> tuple[list[Architecture], Found]:  # fmt: skip
    """The candidates of the evolution that are predicted to be best, the best first, twice as many as are scored.
    first: one that is within the limits."""
    number = candidates or usual_candidates(one.space, question.limits)
    countdown = Countdown(number, "candidates")

    def told(fresh: int) -> None:
        check()
        countdown.advance("within the limits", fresh)

    began, columns = time.perf_counter(), found.model.columns
    sizes = sizes_on(one.data, *trials.sizes_of(one.run))
    fit = array_costs.within(array_costs.counting(columns, sizes, one.count, one.table), question.limits)
    rng = np.random.default_rng(stream_seed(question.seed, "specialise-evolution"))
    made = evolved(columns, columns.rows([first]), found.model, fit, number, rng, told)
    rows, _ = made.best(2 * question.scorings)
    seconds = time.perf_counter() - began
    return columns.architectures(rows), replace(found, candidates=len(made.known), seconds=seconds)
