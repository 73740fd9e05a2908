"""Properties of a cell that can be counted, and how such counts correlate with accuracy. Nothing here imports torch.

Everything follows from the cell and from the recipes of its operations (spaces/darts.py). Depth and width are those of
Shu, Wang and Cai, "Understanding Architectures Learnt by Cell-based Neural Architecture Search" (ICLR 2020).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction

from dartboard.analysis.p_values import holm, spearman_p
from dartboard.analysis.statistics import spearman
from dartboard.spaces import darts
from dartboard.spaces.search_space import Architecture
from dartboard.spaces.timed_cells import places

WORD = re.compile(r"([a-z_]+?)(\d+)?(?:x(\d+))?(/)?")
CONVOLUTIONS = ("depthwise", "dilated", "conv")  # whose kernels span more than one pixel


@dataclass(frozen=True)
class Motifs:
    """Counts of one cell.

    depth: links on the longest path from an input of the cell to its output, with the link into the concatenation; a
    link of `none` is not a path. width: sum over the nodes of the share of their inputs that are inputs of the cell, in
    widths of a node (3.5 of DARTS_V2's normal cell). longest_path: the most convolutions of more than a pixel in a row.
    receptive_field: side in pixels of what one pixel of the output can see of the cell's inputs. skips, pools,
    separable, dilated: inputs whose operation is a skip connection, a pool, a separable or a dilated convolution.
    """

    depth: int
    width: float
    longest_path: int
    receptive_field: int
    skips: int
    pools: int
    separable: int
    dilated: int


# --- One operation ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layer:
    """A word of a recipe: its kind, the sides of its kernel in pixels of the map, its strides down and along."""

    kind: str
    height: int
    width: int
    stride: tuple[int, int]
    weights: int  # of one channel, of the kernel alone

    @property
    def spans_pixels(self) -> bool:
        return self.kind in CONVOLUTIONS


def layers(operation: str, stride: int) -> tuple[Layer, ...]:
    """The layers of an operation at stride 1 or 2, in order. Raises KeyError for one without a recipe."""
    return tuple(layer(word, stride) for word in darts.RECIPES[operation])


def layer(word: str, stride: int) -> Layer:
    match = WORD.fullmatch(word)
    assert match is not None, word
    kind, height = match[1], int(match[2] or 1)
    width, stride = int(match[3] or height), stride if match[4] else 1
    # a 1xk convolution takes the stride along the width only, a kx1 along the height only (layers.py)
    along = kind == "conv" and height != width
    strides = (1 if along and height == 1 else stride, 1 if along and width == 1 else stride)
    spread = 2 if kind == "dilated" else 1  # a dilated kernel reaches every second pixel
    if kind == "skip" and stride == 2:
        return Layer(kind, 2, 2, strides, 1)  # two 1x1 convolutions, one pixel apart on the diagonal
    return Layer(kind, spread * (height - 1) + 1, spread * (width - 1) + 1, strides, height * width)


def params(operation: str, channels: int, stride: int) -> int:
    """Trainable numbers of an operation in a trained network, in which BatchNorm has scale and shift."""
    return sum(layer_params(one, channels) for one in layers(operation, stride))


def layer_params(one: Layer, channels: int) -> int:
    match one.kind:
        case "norm":
            return 2 * channels
        case "depthwise" | "dilated":
            return one.weights * channels
        case "pointwise" | "conv":
            return one.weights * channels**2
        case "skip" if one.height == 2:  # two halves of channels/2 outputs each, then BatchNorm
            return channels**2 + 2 * channels
    return 0


def macs(operation: str, channels: int, stride: int, side: int) -> int:
    """Multiply-adds of an operation on a map of side x side pixels (counting rule of cost.py)."""
    total, height, width = 0, side, side
    for one in layers(operation, stride):
        height, width = -(-height // one.stride[0]), -(-width // one.stride[1])
        if one.kind in (*CONVOLUTIONS, "pointwise", "skip"):
            norm = 2 * channels if one.kind == "skip" and one.height == 2 else 0
            total += (layer_params(one, channels) - norm) * height * width
    return total


# --- One cell --------------------------------------------------------------------------------------------------------


def of_cell(cell: darts.Cell, kind: str) -> Motifs:
    """The counts of a cell; kind: "normal" or "reduce", whose inputs' operations have stride 2."""
    names = [operation for node in cell.nodes for operation, _ in node]
    return Motifs(
        depth=depth(cell),
        width=float(sum(share_of_inputs(node) for node in cell.nodes)),
        longest_path=longest_path(cell),
        receptive_field=receptive_field(cell, kind),
        skips=names.count("skip_connect"),
        pools=sum("pool" in name for name in names),
        separable=sum(name.startswith("sep_conv") for name in names),
        dilated=sum(name.startswith("dil_conv") for name in names),
    )


def share_of_inputs(node: Sequence[darts.Edge]) -> Fraction:
    live = [pred for operation, pred in node if operation != "none"]
    return Fraction(sum(pred < darts.NUM_INPUTS for pred in live), len(live)) if live else Fraction(0)


def depth(cell: darts.Cell) -> int:
    """Links of the longest path from an input to the output; 0 if there is none."""
    lengths: list[int | None] = [0, 0]
    for node in cell.nodes:
        ways = [found + 1 for name, pred in node if name != "none" and (found := lengths[pred]) is not None]
        lengths.append(max(ways, default=None))
    return max((found + 1 for node in cell.concat if (found := lengths[node]) is not None), default=0)


def longest_path(cell: darts.Cell) -> int:
    """The most convolutions of more than one pixel in a row, on the paths from an input to the output."""
    found: list[int | None] = [0, 0]
    for node in cell.nodes:
        ways = [
            before + sum(one.spans_pixels for one in layers(name, 1))
            for name, pred in node
            if name != "none" and (before := found[pred]) is not None
        ]
        found.append(max(ways, default=None))
    return max((count for node in cell.concat if (count := found[node]) is not None), default=0)


def receptive_field(cell: darts.Cell, kind: str) -> int:
    """Side, in pixels of the cell's inputs, of what one pixel of the output sees on the widest path; 0: nothing.

    A layer whose kernel spans k pixels, of a map whose neighbours are j pixels apart, adds (k - 1) j.
    """
    seen: list[tuple[int, int] | None] = [(1, 1), (1, 1)]
    for node in cell.nodes:
        ways = [wider(before, name, pred, kind) for name, pred in node if name != "none" and (before := seen[pred])]
        seen.append((max(way[0] for way in ways), max(way[1] for way in ways)) if ways else None)
    return max((max(view) for node in cell.concat if (view := seen[node])), default=0)


def wider(before: tuple[int, int], operation: str, pred: int, kind: str) -> tuple[int, int]:
    """What is seen (down, along) through one more operation."""
    reduction = kind == "reduce"
    stride = 2 if reduction and pred < darts.NUM_INPUTS else 1
    apart = [1, 1] if pred < darts.NUM_INPUTS or not reduction else [2, 2]
    view = list(before)
    for one in layers(operation, stride):
        for axis, side in enumerate((one.height, one.width)):
            view[axis] += (side - 1) * apart[axis]
            apart[axis] *= one.stride[axis]
    return view[0], view[1]


# --- An architecture, and sets of them -------------------------------------------------------------------------------


def of_architecture(
    architecture: Architecture, *, channels: int = 16, cells: int = 8, image_size: int = 32
) -> dict[str, float]:
    """Both cells' counts as {"normal.depth": ..., "reduce.dilated": ...}, with `params` and `macs`.

    params, macs: of the operations on the edges of all cells, in a network of these sizes; what architectures with the
    same number of nodes have in common (stem, 1x1 convolutions before each cell, classifier) is left out.
    """
    parts = {kind: darts.cell(architecture, kind) for kind in darts.CELLS}
    found: dict[str, float] = {
        f"{kind}.{name}": value for kind, cell in parts.items() for name, value in asdict(of_cell(cell, kind)).items()
    }
    edges = list(network_edges(parts, channels, cells, image_size))
    found["params"] = sum(params(name, width, stride) for name, width, stride, _ in edges)
    found["macs"] = sum(macs(name, width, stride, side) for name, width, stride, side in edges)
    return found


def network_edges(
    parts: Mapping[str, darts.Cell], channels: int, cells: int, side: int
) -> Iterator[tuple[str, int, int, int]]:
    """(operation, channels, stride, side of its input map) of each edge of each cell of a network (networks/darts)."""
    for place in places({"channels": channels, "cells": cells, "image_size": side}):
        for node in parts["reduce" if place.reduction else "normal"].nodes:
            for name, pred in node:
                outside = pred < darts.NUM_INPUTS
                stride = 2 if place.reduction and outside else 1
                yield name, place.channels, stride, place.side if outside else place.inner


@dataclass(frozen=True)
class Correlation:
    """How a motif correlates with a score over n cells: Spearman's rho, its permutation p-value, and the one of Holm.

    All three are None if the motif, or the score, is the same for all cells.
    """

    motif: str
    n: int
    rho: float | None
    p: float | None
    p_holm: float | None


def correlations(
    counts: Sequence[Mapping[str, float]], scores: Sequence[float], seed: int, *, draws: int = 10_000
) -> list[Correlation]:
    """Every motif against the scores, p-values corrected for the number of motifs that vary.

    counts: as of_architecture, one for each cell. With fewer than three cells the list is empty.
    """
    if len(counts) < 3:
        return []
    found = []
    for name in counts[0]:
        values = [one[name] for one in counts]
        found.append((name, spearman(values, scores), spearman_p(values, scores, seed, draws=draws)))
    known = [p for _, _, p in found if p is not None]
    adjusted = iter(holm(known))
    return [Correlation(name, len(counts), rho, p, None if p is None else next(adjusted)) for name, rho, p in found]
