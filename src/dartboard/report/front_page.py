"""The page of a front: accuracy against multiply-adds of a supernet's networks, and how to get each. No torch."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dartboard.paths import quoted
from dartboard.report import page, words
from dartboard.report.architecture_cell import architecture_cell
from dartboard.report.blocks import pair, picture, section, table, tiles
from dartboard.report.figures import Series, curves
from dartboard.report.markup import Html
from dartboard.scoring.pareto import front

if TYPE_CHECKING:
    from dartboard.studies.fronts import Point

COSTS = {"macs": "multiply-adds", "params": "parameters", "latency_ms": "ms of latency by the table"}
KINDS = {  # of points: colour and marker
    "grid": ("--five", "o"),
    "random": ("--muted", "o"),
    "uniformly scaled": ("--three", "s"),
    "found under a limit": ("--one", "D"),
}
PLACES = (("answer", "Answer"), ("front", "Front"), ("networks", "Networks"))
NO_BREAK = "\u00a0"
UNITS = ((1e9, "billion "), (1e6, "million "), (1e3, "thousand "), (1.0, ""))


def write(found: "Sequence[Point]", run: str, images: int, out: Path, scoring: str = "") -> Path:
    """Writes the page; returns its path. run: the search's folder; images: of val, that score; scoring: flags by which
    `dartboard specialise` scores in the same way, if they are not its own. Raises InputError."""
    page.put(page_html(found, run, images, scoring), out, named=False)
    return out


def page_html(found: "Sequence[Point]", run: str, images: int, scoring: str = "") -> str:
    """The complete file."""
    chosen = [found[place] for place in places_of(found)]
    best = max(chosen, key=lambda point: point.accuracy)
    low, high = (words.short_count(one.cost.macs).replace(" ", NO_BREAK) for one in (chosen[0], best))
    title = f"From {low} to {high} multiply-adds"
    lede = (
        f"{words.count(len(found))} networks of the supernet in {Path(run).name}, scored on {words.count(images)} val "
        "images by its weights, each with statistics of its own at its own resolution. None was trained further, and "
        "no test image was read."
    )
    answer = tiles(
        [
            (
                "most accurate",
                words.percent(best.accuracy, images),
                f"{words.short_count(best.cost.macs)} multiply-adds",
            ),
            (
                "smallest on the front",
                words.percent(chosen[0].accuracy, images),
                f"{words.short_count(chosen[0].cost.macs)} multiply-adds",
            ),
            ("on the front", words.count(len(chosen)), f"of {words.count(len(found))} networks"),
        ]
    )
    top = page.Page("Front of a supernet", title, lede, answer, Html(""))
    return page.document(top, PLACES, [drawn(found), networks(chosen, run, images, scoring)], "front.csv")


def places_of(found: "Sequence[Point]", cost: str = "macs") -> list[int]:
    return front([getattr(point.cost, cost) for point in found], [point.accuracy for point in found])


def costs_of(found: "Sequence[Point]") -> dict[str, str]:
    """The costs that are known of all points, in words: latency only where there is a table."""
    return {cost: name for cost, name in COSTS.items() if all(getattr(one.cost, cost) is not None for one in found)}


def drawn(found: "Sequence[Point]") -> Html:
    """Accuracy against multiply-adds, against parameters, and against latency if it is known."""
    return section("front", "The front", pair(*(against(found, cost, name) for cost, name in costs_of(found).items())))


def against(found: "Sequence[Point]", cost: str, name: str) -> Html:
    """Accuracy against a cost, by kind, with the front as a line."""
    largest = max(getattr(point.cost, cost) for point in found)
    size, unit = next((size, unit) for size, unit in UNITS if largest >= 10 * size or size == 1.0)
    edge = [found[place] for place in places_of(found, cost)]
    line = Series("front", [getattr(one.cost, cost) / size for one in edge], [one.accuracy for one in edge], "--two")
    parts = [line]
    for kind, (colour, marker) in KINDS.items():
        own = [point for point in found if point.kind == kind]
        if own:
            x, y = [getattr(point.cost, cost) / size for point in own], [point.accuracy for point in own]
            parts.append(Series(kind, x, y, colour, points=True, marker=marker))
    title = f"Accuracy on val against {name}"
    svg = curves(parts, title, percent=True, x_label=f"{unit}{name}")
    caption = f"Front: no other network is more accurate at no more {name}. Scores that select are optimistic."
    return picture(svg, caption, f"front-{cost}", title=title)


def networks(chosen: "Sequence[Point]", run: str, images: int, scoring: str) -> Html:
    """The networks on the front, and the command that cuts each out."""
    is_timed = "latency_ms" in costs_of(chosen)
    rows = [
        (
            words.short_count(point.cost.macs),
            words.short_count(point.cost.params),
            *([f"{point.cost.latency_ms:.3g} ms"] if is_timed else []),
            words.percent(point.accuracy, images),
            point.kind,
            architecture_cell(text := json.dumps(point.architecture.to_json()), cut_out_command(run, text) + scoring),
        )
        for point in chosen
    ]
    latency = ("latency by the table",) if is_timed else ()
    head = ("multiply-adds", "parameters", *latency, "val accuracy", "found as", "architecture")
    lead = "Open an architecture for the command that cuts its network out of the supernet, with its weights."
    listed = table(head, rows, caption="From few multiply-adds to many")
    return section("networks", "Networks on the front", listed, lead=lead)


def cut_out_command(run: str, architecture: str) -> str:
    """The command that makes a network of it, for a shell."""
    return f"dartboard specialise {quoted(run)} --architecture {quoted(architecture)}"
