"""Cells as a strip of small pictures: each node in the same place in all, so that changes are easy to see."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from dartboard.analysis.edit_distance import aligned, compare
from dartboard.report import grids, palette
from dartboard.report.chain import swap_index
from dartboard.report.drawing import relaxed_svg
from dartboard.report.facts import Epoch, Facts
from dartboard.report.forms import TITLES
from dartboard.report.markup import Html, join, tag
from dartboard.report.measures import cell_of, difference
from dartboard.spaces import darts

COLUMNS = 8
SWAP_LETTER = 6.2  # width of a letter, about
WIDTH, HEAD, SWAP_HEAD, GAP, MARGIN, EDGE = 132, 32, 13, 10, 8, 7  # of a small picture, its words, those of a swap, ...
DASHES = {"dashed": "14 9", "dotted": "2 9"}
THIN, THICK, ROOM = 5, 10, 12  # lines, and the room around the nodes, in the units of the layout


@dataclass(frozen=True)
class Layout:
    """The places that Graphviz gives the nodes and edges of the relaxed cell, and the box around them all."""

    left: float
    top: float
    width: float
    height: float
    nodes: dict[int, tuple[float, float]]
    paths: dict[tuple[int, int], str]


@lru_cache(maxsize=16)
def layout(num_nodes: int) -> Layout:
    """The places of the relaxed cell's drawing, without its output node's edges."""
    one = darts.relaxed("normal", len(darts.edges(num_nodes)))
    assert one is not None
    drawn = relaxed_svg(one)
    found = re.findall(r'e-(\d+)-(\d+)">.*?<path [^>]*d="([^"]*)"', drawn, flags=re.DOTALL)
    paths = {(int(source), int(target)): rounded(path) for source, target, path in found}
    nodes = {number: node_place(drawn, name) for number, name in enumerate(one.nodes[:-1])}
    corners = [tuple(map(float, pair)) for path in paths.values() for pair in re.findall(r"(-?\d+),(-?\d+)", path)]
    xs, ys = zip(*corners, *nodes.values(), strict=True)
    size = (max(xs) - min(xs) + 2 * ROOM, max(ys) - min(ys) + 2 * ROOM)
    return Layout(min(xs) - ROOM, min(ys) - ROOM, *size, nodes, paths)


def rounded(path: str) -> str:
    """The path in integer points: a small picture shows no finer ones."""
    return re.sub(r"-?\d+\.\d+", lambda found: str(round(float(found[0]))), path)


def node_place(drawn: str, name: str) -> tuple[float, float]:
    """The middle of the node's circle, or of its box if it is an input."""
    written = re.escape(name).replace(r"\-", "(?:-|&#45;)")
    group = re.search(rf'<g class="node state">\s*<title>{written}</title>(.*?)</g>', drawn, flags=re.DOTALL)
    assert group is not None
    if (circle := re.search(r'cx="([-\d.]+)" cy="([-\d.]+)"', group[1])) is not None:
        return float(circle[1]), float(circle[2])
    corners = re.findall(r"([-\d.]+),([-\d.]+)", group[1])
    xs, ys = zip(*((float(x), float(y)) for x, y in corners), strict=True)
    return (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2


@dataclass(frozen=True)
class Frame:
    """A small picture: words above it, and the cell; before: the cell with which it is compared.

    index: its frame of the epoch slider; swap: the words of a swap just before it.
    """

    words: str
    cell: darts.Cell
    before: darts.Cell | None = None
    index: int | None = None
    swap: str = ""


def strip(frames: Sequence[Frame], kind: str, columns: int = COLUMNS) -> Html:
    """The frames row by row as one <svg> element; thick: inputs that the cell before does not have."""
    most = max(len(frame.cell.nodes) for frame in frames)
    place = layout(most)
    head = HEAD + (SWAP_HEAD if any(frame.swap for frame in frames) else 0)
    height = head + 2 * MARGIN + (WIDTH - 2 * MARGIN) * place.height / place.width
    columns = min(columns, len(frames))
    drawn = []
    for number, frame in enumerate(frames):
        x, y = EDGE + (WIDTH + GAP) * (number % columns), EDGE + (height + GAP) * (number // columns)
        where = {"data_index": frame.index, "transform": f"translate({x} {y:.0f})"}
        drawn.append(tag("g", *small(frame, place, head, height), class_="thumb", **where))
    rows = -(-len(frames) // columns)
    total = ((WIDTH + GAP) * columns - GAP + 2 * EDGE, round((height + GAP) * rows - GAP) + 2 * EDGE)
    changes = "; ".join(f"{frame.words}: {change_words(frame)}" for frame in frames if frame.before is not None)
    label = f"{len(frames)} small pictures of the derived {TITLES[kind]}. {changes}"
    return grids.frame(*total, label, "strip", *drawn)


def small(frame: Frame, place: Layout, head: float, height: float) -> list[Html]:
    """One picture in a box of WIDTH x height: its words, its edges, its nodes."""
    scale = (WIDTH - 2 * MARGIN) / place.width
    x, y = MARGIN - scale * place.left, head + MARGIN - scale * place.top
    placed = f"translate({x:.1f} {y:.1f}) scale({scale:.3f})"
    picture = tag("g", *lines(frame, place), *dots(frame, place), transform=placed)
    changed = frame.before is not None and compare(frame.before, frame.cell).edits > 0
    box = tag("rect", width=WIDTH, height=f"{height:.0f}", rx=7, class_="frame changed" if changed else "frame")
    words = [
        tag("text", frame.words, x=MARGIN, y=15, class_="words"),
        tag("text", change_words(frame), x=MARGIN, y=28),
        swap_words(frame.swap) if frame.swap else None,
        tag("line", x1=-GAP / 2, x2=-GAP / 2, y1=-1, y2=f"{height:.0f}", class_="swap") if frame.swap else None,
    ]
    return [box, picture, join(words)]


def swap_words(swap: str) -> Html:
    """The words of a swap on a line of their own, condensed if they are longer."""
    room = WIDTH - 2 * MARGIN
    tight = {"textLength": room, "lengthAdjust": "spacingAndGlyphs"} if SWAP_LETTER * len(swap) > room else {}
    return tag("text", swap, x=MARGIN, y=28 + SWAP_HEAD, class_="swap-words", **tight)


def change_words(frame: Frame) -> str:
    """The number of new inputs, at the best matching of nodes."""
    if frame.before is None:
        return ""
    found = compare(frame.before, frame.cell)
    return f"{found.inputs} of {found.of} new" if found.edits else "the same"


def lines(frame: Frame, place: Layout) -> list[Html]:
    """One edge per input, in the colour and the dash of its operation; a second one on an edge is beside the first."""
    before = aligned(frame.cell, frame.before) if frame.before is not None else frame.cell
    new = set(difference(before, frame.cell).added)
    found, drawn = [], dict.fromkeys(place.paths, 0)
    for target, inputs in enumerate(frame.cell.nodes, start=darts.NUM_INPUTS):
        for operation, source in inputs:
            fresh = (source, target, operation) in new
            twin = drawn[source, target]
            drawn[source, target] += 1
            look = {"stroke": palette.colour(operation), "stroke_width": THICK if fresh else THIN}
            dash = DASHES.get(palette.style(operation))
            aside = f"translate({8 * twin} {8 * twin})" if twin else None
            found.append(
                tag("path", d=place.paths[source, target], fill="none", **look, stroke_dasharray=dash, transform=aside)
            )
    return found


def dots(frame: Frame, place: Layout) -> list[Html]:
    numbers = range(darts.NUM_INPUTS + len(frame.cell.nodes))
    return [
        tag("circle", cx=f"{x:.0f}", cy=f"{y:.0f}", r=9, class_="input" if number < darts.NUM_INPUTS else "node")
        for number in numbers
        for x, y in [place.nodes[number]]
    ]


def epoch_frames(facts: Facts, history: Sequence[Epoch], kind: str) -> list[Frame]:
    """One frame per epoch, each compared with the one before; the first after a swap says so."""
    swaps = {swap_index(history, swap): f"→ {swap.data}" for swap in facts.swaps}
    cells = [cell_of(epoch, kind) for epoch in history]
    on_slider = [id(epoch) for epoch in history if epoch.weights]
    return [
        Frame(
            grids.epoch_word(epoch),
            cells[index],
            cells[index - 1] if index else None,
            on_slider.index(id(epoch)) if epoch.weights else None,
            swaps.get(index, ""),
        )
        for index, epoch in enumerate(history)
    ]
