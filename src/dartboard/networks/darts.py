"""The networks of the DARTS space: `Supernet` holds every architecture, `Network` is one, `inherit` cuts it out.

Layout (DARTS section 3.1 and the official code): a stem, then `cells` cells, of which those at cells // 3 and
2 * cells // 3 (counted from 0) are reduction cells that double the width; global average pooling; a linear classifier.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, Literal

import torch
from torch import Tensor, nn

from dartboard.errors import InputError
from dartboard.networks import check_cells, check_sizes
from dartboard.networks.darts_timed import timed_layer
from dartboard.networks.fast import fast_network, path
from dartboard.networks.fast.mixed_cell import laid_out, mixed_cell
from dartboard.networks.layers import FactorizedReduce, conv_norm, operation, relu_conv_norm
from dartboard.networks.mixed_cell import MixedCell, MixedOperation
from dartboard.networks.rows import Choice, Rows
from dartboard.spaces import darts as space
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture
from dartboard.spaces.timed_cells import STEM_MULTIPLIER
from dartboard.tasks.task import Output

__all__ = [
    "Network", "Sizes", "Supernet", "edge_layers", "inherit", "of_sizes", "reported", "sized", "sizes_of", "timed_layer"
]  # fmt: skip


class Supernet(nn.Module):
    """All architectures of the space with shared weights."""

    head_prefix = "classifier."  # of the names of tensors that depend on the classes: a warm start leaves them behind

    def __init__(
        self,
        *,
        channels: int = 16,
        cells: int = 8,
        num_classes: int = 10,
        in_channels: int = 3,
        operations: Sequence[str] | space.Mixed = space.OPERATIONS,
        num_nodes: int = space.NUM_NODES,
        form: str = "plain",
    ) -> None:
        """form: "plain", one module an edge and operation, or "fast", the same function by the identities of fast_cell.

        Both have the same parameters under the same names. operations: one list for every edge, or by edge.
        """
        super().__init__()
        self.form = form
        self.mixed, self.num_nodes = space.on_edges(operations, num_nodes), num_nodes
        self.operations = space.united(self.mixed)
        self.channels, self.num_classes, self.in_channels = channels, num_classes, in_channels
        width = STEM_MULTIPLIER * channels
        self.stem = nn.Sequential(*conv_norm(in_channels, width))
        before_last, last = width, width
        self.cells = nn.ModuleList()
        for position in range(cells):
            reduction = position in check_cells(cells)
            channels = channels * 2 if reduction else channels
            after = position - 1 in check_cells(cells)
            offered = self.mixed["reduce" if reduction else "normal"]
            self.cells.append(MixedCell(offered, num_nodes, (before_last, last, channels), reduction, after))
            before_last, last = last, num_nodes * channels
        self.classifier = nn.Linear(last, num_classes)

    def choice_shapes(self) -> dict[str, tuple[int, int]]:
        """(edges, operations) of the mixture weights of each kind of cell: a row an edge, a column what it mixes."""
        return {kind: (len(rows), len(rows[0])) for kind, rows in self.mixed.items()}

    def forward(self, x: Tensor, choice: Choice) -> Tensor:
        """Logits (B, classes) of images x: (B, in_channels, H, W).

        choice: mixture weights by kind of cell, {"normal": (E, O), "reduce": (E, O)}, or rows of another form, or an
        Architecture.
        """
        parts = {kind: choice[kind] for kind in space.CELLS} if isinstance(choice, Mapping) else cells_of(choice)
        stem = self.stem(x)
        before_last = last = laid_out(stem) if self.form == "fast" and self.training else stem
        for cell in self.cells:
            kind = "reduce" if cell.reduction else "normal"
            before_last, last = last, self.compute(cell, before_last, last, parts[kind])
        return self.classifier(last.mean((2, 3)))  # type: ignore[no-any-return]

    def output(self, x: Tensor, choice: Choice, state: Any = None, drop: Tensor | None = None) -> Output:
        """The logits, and nothing besides: no hidden state, no drop path while searching."""
        return Output(self(x, choice))

    def compute(self, cell: nn.Module, before_last: Tensor, last: Tensor, choice: Rows | space.Cell) -> Tensor:
        """One cell, in the form asked for; a choice that names operations computes only those, in either form.

        The fast forms know BatchNorm with batch statistics only: after `eval()` the plain one computes.
        """
        if self.form == "fast" and isinstance(cell, MixedCell) and cell.training:
            if isinstance(choice, Tensor):
                return mixed_cell(cell, before_last, last, choice)
            if path.computes(last, choice):
                return path.path_cell(cell, before_last, last, choice)
        return cell(before_last, last, choice)  # type: ignore[no-any-return]


def cells_of(architecture: Architecture) -> dict[str, space.Cell]:
    return {kind: space.cell(architecture, kind) for kind in space.CELLS}


class NetworkCell(nn.Module):
    """One discrete cell. `search=True` gives the form inside a supernet (BatchNorm without scale and shift)."""

    def __init__(
        self, cell: space.Cell, widths: tuple[int, int, int], reduction: bool, after_reduction: bool, search: bool
    ) -> None:
        """widths: channels of the cell before the last, of the last cell, and of this cell's nodes."""
        super().__init__()
        before_last, last, channels = widths
        self.preprocess0 = (
            FactorizedReduce(before_last, channels, affine=not search)
            if after_reduction
            else relu_conv_norm(before_last, channels, affine=not search)
        )
        self.preprocess1 = relu_conv_norm(last, channels, affine=not search)
        self.cell, self.reduction = cell, reduction
        self.ops = nn.ModuleList(
            operation(name, channels, 2 if reduction and pred < space.NUM_INPUTS else 1, search=search)
            for node in cell.nodes
            for name, pred in node
        )

    def forward(self, before_last: Tensor, last: Tensor, masks: Iterator[Tensor] | None) -> Tensor:
        """masks: a drop-path factor (B, 1, 1, 1) for each operation that is not an identity, in order."""
        states = [self.preprocess0(before_last), self.preprocess1(last)]
        ops = iter(self.ops)
        for node in self.cell.nodes:
            results = []
            for (_, pred), op in zip(node, ops, strict=False):
                result = op(states[pred])
                if masks is not None and not isinstance(op, nn.Identity):
                    result = result * next(masks).to(result.dtype)
                results.append(result)
            states.append(reduce(add, results))
        return torch.cat([states[node] for node in self.cell.concat], dim=1)


def edge_layers(network: "Network") -> Iterator[tuple[tuple[str, int, str], nn.Module]]:
    """Every operation of the cells with its kind of cell, its row of the mixture weights, and its name."""
    parts: dict[str, list[tuple[str, int, str]]] = {kind: [] for kind in space.CELLS}
    for name, value in network.architecture.choices:
        parts[name.split(".")[0]] += space.parts(name, value)
    for cell in network.cells:
        yield from zip(parts["reduce" if cell.reduction else "normal"], cell.ops, strict=True)  # type: ignore[arg-type]


class AuxiliaryHead(nn.Module):
    """A second classifier on the map after the second reduction; helps training, is not part of the result."""

    def __init__(self, in_channels: int, num_classes: int, map_size: int, stem: str) -> None:
        super().__init__()
        stride = 3 if stem == "cifar" else 2
        fits = map_size >= 5 and (map_size - 5) // stride + 1 == 2
        pool = nn.AvgPool2d(5, stride, count_include_pad=False) if fits else nn.AdaptiveAvgPool2d(2)
        self.features = nn.Sequential(
            nn.ReLU(),
            pool,
            nn.Conv2d(in_channels, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
            # The official ImageNet network lacks this BatchNorm; its published results were made so.
            nn.BatchNorm2d(768) if stem == "cifar" else nn.Identity(),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(768, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))  # type: ignore[no-any-return]


def map_size(image_size: int, stem: str) -> int:
    """Side of the map after the second reduction, in pixels."""
    for _ in range(2 if stem == "cifar" else 5):
        image_size = -(-image_size // 2)
    return image_size


SMALLEST_AUXILIARY_MAP = 5


class Network(nn.Module):
    """The network of one architecture, an ordinary module with no trace of the search.

    stem: "cifar" has the image's size, "imagenet" divides it by 8. The auxiliary head is left out if the map
    after the second reduction is smaller than 5x5 (then `self.auxiliary_head is None`).
    """

    def __init__(
        self,
        architecture: Architecture,
        *,
        channels: int = 36,
        cells: int = 20,
        num_classes: int = 10,
        in_channels: int = 3,
        image_size: int = 32,
        auxiliary: bool = True,
        stem: str = "cifar",
        search: bool = False,
    ) -> None:
        super().__init__()
        self.architecture = architecture
        before_last, last = self.build_stem(stem, channels, in_channels)
        self.cells = nn.ModuleList()
        parts, positions = cells_of(architecture), check_cells(cells)
        for position in range(cells):
            reduction = position in positions
            channels = channels * 2 if reduction else channels
            after = position - 1 in positions or (stem == "imagenet" and position == 0)
            part = parts["reduce" if reduction else "normal"]
            self.cells.append(NetworkCell(part, (before_last, last, channels), reduction, after, search))
            before_last, last = last, len(part.concat) * channels
            if position == positions[1]:
                side = map_size(image_size, stem)
                wanted = auxiliary and side >= SMALLEST_AUXILIARY_MAP
                self.auxiliary_head = AuxiliaryHead(last, num_classes, side, stem) if wanted else None
        self.auxiliary_position = positions[1]
        self.classifier = nn.Linear(last, num_classes)

    def build_stem(self, stem: str, channels: int, in_channels: int) -> tuple[int, int]:
        """Makes the stem and returns the widths of the first cell's two inputs."""
        if stem == "cifar":
            width = STEM_MULTIPLIER * channels
            self.stem, self.stem1 = nn.Sequential(*conv_norm(in_channels, width)), None
            return width, width
        if stem != "imagenet":
            raise InputError(f"stem {stem!r} is neither 'cifar' nor 'imagenet'")
        half = channels // 2
        self.stem = nn.Sequential(*conv_norm(in_channels, half, 2), nn.ReLU(), *conv_norm(half, channels, 2))
        self.stem1 = nn.Sequential(nn.ReLU(), *conv_norm(channels, channels, 2))
        return channels, channels

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, classes) of images x: (B, in_channels, H, W)."""
        return self.output(x).logits

    def output(self, x: Tensor, state: Any = None, drop: Tensor | None = None) -> Output:
        """Logits (B, classes) and, if the head exists and the network trains, the auxiliary head's.

        state: there is none; drop: drop-path factors (N, B, 1, 1, 1) of all N operations but identities, in order.
        """
        before_last = last = self.stem(x)
        if self.stem1 is not None:
            last = self.stem1(before_last)
        auxiliary, masks = None, None if drop is None else iter(drop.unbind())
        for position, cell in enumerate(self.cells):
            before_last, last = last, cell(before_last, last, masks)
            if position == self.auxiliary_position and self.training and self.auxiliary_head is not None:
                auxiliary = self.auxiliary_head(last)
        return Output(self.classifier(last.mean((2, 3))), auxiliary=auxiliary)

    def logits(
        self, x: Tensor, drop_path: float = 0.0, generator: torch.Generator | None = None, form: str = "plain"
    ) -> tuple[Tensor, Tensor | None]:
        """The logits of `output` and those of its auxiliary head, with what drop path drops drawn from `generator`.

        drop_path: chance that a sample loses one operation's output (identities excepted).
        form: "plain", module by module, or "fast", the same function by the identities of fast_network.
        """
        factors = fast_network.drawn(self, x, drop_path, generator)
        if form == "fast":
            return fast_network.logits(self, x, factors)
        found = self.output(x, drop=factors)
        return found.logits, found.auxiliary


def sized(architecture: Architecture, config: Any, data: Any) -> Network:
    """The network of an architecture at the sizes of a training's config and of a Data.

    torch's global random state stays: a training draws new weights from its run's seed.
    """
    with torch.random.fork_rng(devices=[]):
        return Network(
            architecture,
            channels=config.channels,
            cells=config.cells,
            num_classes=data.num_classes,
            in_channels=data.channels,
            image_size=data.image_size,
            auxiliary=config.auxiliary,
            stem=config.stem,
        )


@dataclass(frozen=True)
class Sizes:
    """The arguments of a Network, its architecture aside."""

    channels: int = 36
    cells: int = 20
    num_classes: int = 10
    in_channels: int = 3
    image_size: int = 32
    auxiliary: bool = False
    stem: Literal["cifar", "imagenet"] = "cifar"
    search: bool = False

    def __post_init__(self) -> None:
        check_sizes(self)


def of_sizes(architecture: Architecture, sizes: Sizes) -> Network:
    """The network of an architecture at the sizes of a description."""
    return Network(architecture, **vars(sizes))


def sizes_of(tensors: Mapping[str, Tensor], origin: str) -> dict[str, Any]:
    """The fields of Sizes as far as tensors determine them; image_size is that of the official network.

    origin: where the tensors are from, for the message. Raises InputError if they are not a network of cells.
    """
    numbers = {name.split(".")[1] for name in tensors if name.startswith("cells.")}
    stem: Literal["cifar", "imagenet"] = "imagenet" if "stem1.1.weight" in tensors else "cifar"
    entrance = tensors.get("stem1.1.weight" if stem == "imagenet" else "stem.0.weight")
    first, classifier = tensors.get("stem.0.weight"), tensors.get("classifier.weight")
    width = 0 if entrance is None else len(entrance) // (1 if stem == "imagenet" else STEM_MULTIPLIER)
    if not numbers or first is None or first.dim() != 4 or not width or classifier is None:
        wanted = "stem.0.weight, cells.0 and classifier.weight"
        raise InputError(f"{origin} has no weights of a network of cells, which has {wanted}")
    return {
        "channels": width,
        "cells": len(numbers),
        "num_classes": len(classifier),
        "in_channels": first.shape[1],
        "image_size": FAMILIES["darts"].sizes[stem]["image_size"],
        "auxiliary": any(name.startswith("auxiliary_head.") for name in tensors),
        "stem": stem,
        "search": "cells.0.preprocess1.2.weight" not in tensors,  # BatchNorm without scale and shift
    }


def reported(architecture: Architecture, network: str, **sizes: Any) -> Network:
    """The network whose counts papers report, with its auxiliary head. network: its stem, "cifar" or "imagenet"."""
    return Network(architecture, stem=network, auxiliary=True, **sizes)


def inherit(supernet: Supernet, architecture: Architecture) -> Network:
    """The architecture with its weights copied out of the supernet, in the supernet's form of BatchNorm.

    Raises InputError if the architecture does not lie inside the supernet.
    """
    check_inside(supernet, architecture)
    network = Network(
        architecture,
        channels=supernet.channels,
        cells=len(supernet.cells),
        num_classes=supernet.num_classes,
        in_channels=supernet.in_channels,
        auxiliary=False,
        search=True,
    ).to(next(supernet.parameters()))
    pairs = [(network.stem, supernet.stem), (network.classifier, supernet.classifier)]
    for cell, mixed in zip(network.cells, supernet.cells, strict=True):
        assert isinstance(cell, NetworkCell) and isinstance(mixed, MixedCell)
        pairs += [(cell.preprocess0, mixed.preprocess0), (cell.preprocess1, mixed.preprocess1)]
        pairs += zip(cell.ops, chosen_operations(mixed, cell.cell), strict=True)
    for target, source in pairs:
        target.load_state_dict(source.state_dict())
    return network.train(supernet.training)


def chosen_operations(mixed: MixedCell, cell: space.Cell) -> list[nn.Module]:
    """The supernet's modules of a discrete cell, in the cell's order."""
    chosen = []
    for node, inputs in enumerate(cell.nodes, start=space.NUM_INPUTS):
        for name, pred in inputs:
            edge = mixed.ops[mixed.edges.index((pred, node))]
            assert isinstance(edge, MixedOperation)
            chosen.append(edge.ops[edge.operations.index(name)])
    return chosen


def check_inside(supernet: Supernet, architecture: Architecture) -> None:
    last = space.NUM_INPUTS + supernet.num_nodes
    for kind, cell in cells_of(architecture).items():
        if len(cell.nodes) != supernet.num_nodes or cell.concat != tuple(range(space.NUM_INPUTS, last)):
            raise InputError(f"the {kind} cell has other nodes than the supernet, or does not concatenate all of them")
        for number, node in enumerate(cell.nodes, start=space.NUM_INPUTS):
            offered = space.incoming(supernet.mixed[kind], number)
            for name, pred in node:
                if name not in offered[pred]:
                    raise InputError(f"the supernet has no operation {name!r}, which the {kind} cell uses")
