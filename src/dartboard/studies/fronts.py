"""Accuracy against cost of the networks of a trained supernet: the best under limits, a random cloud, uniformly scaled
networks, and the grid of the space. All are scored by the supernet's weights, as `dartboard specialise` scores."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice

from dartboard.scoring.cost import Cost
from dartboard.scoring.limits import Limit
from dartboard.scoring.pareto import front
from dartboard.search import coarse_to_fine, paths
from dartboard.spaces.search_space import Architecture
from dartboard.studies import specialise
from dartboard.studies.countdown import Countdown
from dartboard.studies.pieces import Pieces
from dartboard.studies.specialise import Question, Trained

RANDOM, UNIFORM, FOUND, GRID = "random", "uniformly scaled", "found under a limit", "grid"
LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)  # of uniformly scaled networks, from the smallest to the largest
COLUMNS = ("kind", "val_accuracy", "macs", "params", "on_front", "architecture")


@dataclass(frozen=True)
class Point:
    """A network. kind: what it was scored for, one of the words above; levels: of a grid's, by the sort of choice."""

    kind: str
    architecture: Architecture
    accuracy: float
    cost: Cost
    levels: Mapping[str, float] | None = None


def points(
    one: Trained, question: Question, samples: int, targets: int, grid: bool, pieces: Pieces, check: Callable[[], None]
) -> list[Point]:
    """All points. question: how to score, and how many scorings the best under each limit may take; samples: of the
    random cloud; targets: limits on multiply-adds, in equal steps of their logarithm between smallest and largest."""
    scorer = specialise.remembering(one, question.recalibrate, question.val_images, pieces)
    wanted = list(sources(one, question, samples, grid))
    countdown, found = Countdown(len(wanted) + targets, "networks and limits"), list[Point]()
    for kind, architecture, levels in wanted:
        check()
        score = scorer(architecture, 0)
        found.append(Point(kind, architecture, score.value, one.count(architecture), levels))
        countdown.advance(f"with {100 * score.value:.2f} %")
    for most in limits(one, targets):
        answer = specialise.answer(one, replace(question, limits=(Limit("macs", most),)), pieces, check)
        found.append(Point(FOUND, answer.best.architecture, answer.best.score.value, answer.cost))
        countdown.advance(f"up to {most:,} multiply-adds")
    return found


def sources(
    one: Trained, question: Question, samples: int, grid: bool
) -> Iterator[tuple[str, Architecture, Mapping[str, float] | None]]:
    """What is scored besides the best under limits: kind, network, levels."""
    rng = specialise.stream(question, "cloud")
    draws = paths.different((one.space.sample(rng) for _ in range(100 * samples)), (), lambda architecture: True)
    yield from ((RANDOM, architecture, None) for architecture in islice(draws, samples))
    scaled = dict[Architecture, Mapping[str, float]]()  # where options are few, several levels are one network
    for level in LEVELS:
        levels = dict.fromkeys(coarse_to_fine.sorts_of(one.space), level)
        scaled.setdefault(coarse_to_fine.uniform(one.space, levels), levels)
    yield from ((UNIFORM, architecture, levels) for architecture, levels in scaled.items())
    if grid:
        yield from ((GRID, architecture, levels) for architecture, levels in coarse_to_fine.grid(one.space))


def limits(one: Trained, targets: int) -> list[int]:
    """So many limits on multiply-adds between the smallest network and the largest, the largest among them."""
    low, high = one.count(one.space.smallest()).macs, one.count(one.space.largest()).macs
    return [round(low * (high / low) ** (number / targets)) for number in range(1, targets + 1)]


def on_front(found: list[Point]) -> set[int]:
    """Places of the points that no other one beats: higher accuracy at no more multiply-adds."""
    return set(front([point.cost.macs for point in found], [point.accuracy for point in found]))


def as_csv(found: list[Point]) -> str:
    """A line a point, from few multiply-adds to many; latencies by a table have a column, and so have the levels of
    each sort of choice of a grid."""
    best, sorts = on_front(found), sorted({sort for point in found for sort in point.levels or ()})
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    more = ["latency_ms"] if all(point.cost.latency_ms is not None for point in found) else []
    writer.writerow([*COLUMNS, *more, *(f"level_{sort}" for sort in sorts)])
    for place in sorted(range(len(found)), key=lambda place: found[place].cost.macs):
        point = found[place]
        levels = point.levels or {}
        row = [point.kind, point.accuracy, point.cost.macs, point.cost.params, int(place in best)]
        row += [json.dumps(point.architecture.to_json()), *(getattr(point.cost, name) for name in more)]
        writer.writerow([*row, *(levels.get(sort, "") for sort in sorts)])
    return file.getvalue()
