"""The networks of NAS-Bench-201: `Supernet` holds every cell, `Network` is one, `inherit` cuts it out.

Layout (NAS-Bench-201, section 2.1, and its code): a 3x3 stem with BatchNorm; three stages of equal cells, of C, 2C and
4C channels; between two stages a residual block that halves the map; BatchNorm, ReLU, global average pooling; a linear
classifier. `cells` counts all layers between stem and classifier, the two residual blocks at cells // 3 and
2 * cells // 3 among them, as everywhere in this house: the benchmark's N = 5 cells a stage are 3 * 5 + 2 = 17.

In the search form (Supernet, and Network with search=True) BatchNorm inside the cells has no scale and shift and no
running statistics, and the convolutions before it have a bias, as in the benchmark's searches.
Departure from the benchmark's code: a map of odd size is halved upwards on both ways through a residual block, where
that code fails; on even sizes nothing is different.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import add
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dartboard.errors import InputError
from dartboard.networks import check_cells, check_sizes, plain
from dartboard.networks.layers import Zero, conv_norm
from dartboard.networks.rows import Choice, Row, Rows, brought
from dartboard.spaces import nasbench201 as space
from dartboard.spaces.search_space import Architecture


def relu_conv_norm(
    in_channels: int, out_channels: int, kernel: int, stride: int = 1, *, search: bool = False
) -> nn.Sequential:
    """ReLU, convolution, BatchNorm. The convolution has a bias exactly where BatchNorm has no shift."""
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=search)
    norm = nn.BatchNorm2d(out_channels, affine=not search, track_running_stats=not search)
    return nn.Sequential(nn.ReLU(), conv, norm)


LAYERS: dict[str, Callable[[int, bool], nn.Module]] = {  # of (channels, search)
    "none": lambda channels, search: Zero(1),
    "skip_connect": lambda channels, search: nn.Identity(),
    "nor_conv_1x1": lambda channels, search: relu_conv_norm(channels, channels, 1, search=search),
    "nor_conv_3x3": lambda channels, search: relu_conv_norm(channels, channels, 3, search=search),
    "avg_pool_3x3": lambda channels, search: nn.AvgPool2d(3, 1, 1, count_include_pad=False),
}


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a pooled shortcut: halves the map and changes the width."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv_a = relu_conv_norm(in_channels, channels, 3, stride=2)
        self.conv_b = relu_conv_norm(channels, channels, 3)
        pool, conv = nn.AvgPool2d(2, 2, ceil_mode=True), nn.Conv2d(in_channels, channels, 1, bias=False)
        self.downsample = nn.Sequential(pool, conv)

    def forward(self, x: Tensor) -> Tensor:
        return self.downsample(x) + self.conv_b(self.conv_a(x))  # type: ignore[no-any-return]


def lastact(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())


class Trunk(nn.Module):
    """What all networks of the family share: all but what a cell is."""

    def __init__(
        self, channels: int, cells: int, num_classes: int, in_channels: int, make_cell: Callable[[int], nn.Module]
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(*conv_norm(in_channels, channels))
        self.cells = nn.ModuleList()
        for position in range(cells):
            if position in check_cells(cells):
                self.cells.append(ResidualBlock(channels, 2 * channels))
                channels *= 2
            else:
                self.cells.append(make_cell(channels))
        self.lastact = lastact(channels)
        self.classifier = nn.Linear(channels, num_classes)

    def head(self, x: Tensor) -> Tensor:
        """Logits (B, classes) of the last map (B, C, H, W)."""
        return self.classifier(self.lastact(x).mean((2, 3)))  # type: ignore[no-any-return]


class MixedCell(nn.Module):
    """A cell with every operation on every edge. The choice is passed in at each call."""

    def __init__(self, operations: Sequence[Sequence[str]], channels: int) -> None:
        super().__init__()
        self.operations = tuple(map(tuple, operations))
        self.edges = nn.ModuleDict(
            {
                name: nn.ModuleList(LAYERS[operation](channels, True) for operation in offered)
                for name, offered in zip(space.NAMES, operations, strict=True)
            }
        )

    def forward(self, x: Tensor, rows: Rows) -> Tensor:
        """x: (B, C, H, W); rows: of each edge, in the order of EDGES."""
        nodes = [x]
        for target in range(1, space.NUM_NODES):
            into = [index for index, (_, other) in enumerate(space.EDGES) if other == target]
            nodes.append(reduce(add, (self.edge(index, nodes[space.EDGES[index][0]], rows[index]) for index in into)))
        return nodes[-1]

    def edge(self, index: int, x: Tensor, row: Row) -> Tensor:
        """The weighted sum of all operations of an edge, or what is named, which alone is computed."""
        return brought(row, self.operations[index], self.layers(index), x)

    def layers(self, index: int) -> nn.ModuleList:
        """The operations of an edge."""
        layers = self.edges[space.NAMES[index]]
        assert isinstance(layers, nn.ModuleList)
        return layers


class Supernet(Trunk):
    """All cells of the space with shared weights; every cell of the network has its own."""

    head_prefix = "classifier."  # of the names of tensors that depend on the classes: a warm start leaves them behind

    def __init__(
        self,
        *,
        channels: int = 16,
        cells: int = 17,
        num_classes: int = 10,
        in_channels: int = 3,
        operations: Sequence[str] | space.Mixed = space.OPERATIONS,
        form: str = "plain",
    ) -> None:
        """form: "plain", one module an edge and operation, or "fast", the same function with fewer, larger layers.

        Both have the same parameters under the same names. operations: one list for every edge, or by edge.
        """
        self.mixed = space.on_edges(operations)
        offered = self.mixed[space.CELL]
        super().__init__(channels, cells, num_classes, in_channels, lambda width: MixedCell(offered, width))
        self.form, self.channels, self.num_classes, self.in_channels = form, channels, num_classes, in_channels
        self.operations = tuple(name for name in space.OPERATIONS if any(name in row for row in offered))

    def choice_shapes(self) -> dict[str, tuple[int, int]]:
        """(edges, operations) of the mixture weights: a row an edge, a column what it mixes."""
        rows = self.mixed[space.CELL]
        return {space.CELL: (len(rows), len(rows[0]))}

    def forward(self, x: Tensor, choice: Choice) -> Tensor:
        """Logits (B, classes) of images x: (B, in_channels, H, W).

        choice: mixture weights {"cell": (E, O)}, or rows of another form, or an Architecture: of rows that name
        operations, and of an architecture, only what they name is computed.
        """
        rows: Any = choice[space.CELL] if isinstance(choice, Mapping) else names_of(choice)
        x = self.stem(x)
        for cell in self.cells:
            if isinstance(cell, ResidualBlock):
                x = cell(x)
            elif self.form == "fast" and isinstance(rows, Tensor) and isinstance(cell, MixedCell):
                x = mixed_by_source(cell, x, rows)
            else:
                x = cell(x, rows)
        return self.head(x)


def names_of(architecture: Architecture) -> tuple[str, ...]:
    """The operation of every edge, in the order of EDGES."""
    values = dict(architecture.choices)
    return tuple(values[name] for name in space.NAMES)


# --- The mixed cell, fast --------------------------------------------------------------------------------------------


def mixed_by_source(cell: MixedCell, x: Tensor, rows: Tensor) -> Tensor:
    """What MixedCell computes of mixture weights (E, O), node by node in the order in which they are read.

    All edges that leave a node read the same map: it is pooled once, and their convolutions of one size are a single
    one with more output channels. BatchNorm works channel by channel, so it does not see the difference.
    """
    arriving: list[list[Tensor]] = [[x], *([] for _ in range(1, space.NUM_NODES))]
    for source in range(space.NUM_NODES - 1):
        node = total(arriving[source], x)
        leaving = [index for index, (start, _) in enumerate(space.EDGES) if start == source]
        for terms in (parameter_free(cell, node, rows, leaving), convolved(cell, node, rows, leaving)):
            for index, term in terms:
                arriving[space.EDGES[index][1]].append(term)
    return total(arriving[-1], x)


def total(terms: Sequence[Tensor], like: Tensor) -> Tensor:
    """The sum of maps; zeros if there are none."""
    return reduce(add, terms) if terms else torch.zeros_like(like)


Weighted = Iterator[tuple[int, Tensor]]  # edge, and what it brings


def parameter_free(cell: MixedCell, node: Tensor, rows: Tensor, leaving: Sequence[int]) -> Weighted:
    """Skip connections and pools out of a node. `none` brings nothing."""
    pooled = None
    for index in leaving:
        for weight, operation in zip(rows[index], cell.operations[index], strict=True):
            if operation == "skip_connect":
                yield index, weight * node
            elif operation == "avg_pool_3x3":
                pooled = F.avg_pool2d(node, 3, 1, 1, count_include_pad=False) if pooled is None else pooled
                yield index, weight * pooled


def convolved(cell: MixedCell, node: Tensor, rows: Tensor, leaving: Sequence[int]) -> Weighted:
    """The convolutions out of a node, those of one size together; their mixture weights are BatchNorm's scale."""
    active = F.relu(node)
    for operation in ("nor_conv_1x1", "nor_conv_3x3"):
        own = [index for index in leaving if operation in cell.operations[index]]
        if not own:
            continue
        columns = [cell.operations[index].index(operation) for index in own]
        convs: Any = [cell.layers(index)[column][1] for index, column in zip(own, columns, strict=True)]  # type: ignore[index]
        kernel, bias = torch.cat([conv.weight for conv in convs]), torch.cat([conv.bias for conv in convs])
        scale = rows[own, columns].repeat_interleave(len(convs[0].bias))
        maps = F.conv2d(active, kernel, bias, padding=convs[0].padding)
        yield from zip(own, F.batch_norm(maps, None, None, scale, None, True).chunk(len(own), dim=1), strict=True)


# --- One cell --------------------------------------------------------------------------------------------------------


class NetworkCell(nn.Module):
    """One cell, an operation an edge. `search=True` gives the form inside a supernet."""

    def __init__(self, operations: Sequence[str], channels: int, search: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(LAYERS[operation](channels, search) for operation in operations)

    def forward(self, x: Tensor) -> Tensor:
        nodes = [x]
        for target in range(1, space.NUM_NODES):
            edges = zip(space.EDGES, self.layers, strict=True)
            nodes.append(reduce(add, (layer(nodes[source]) for (source, other), layer in edges if other == target)))
        return nodes[-1]


class Network(Trunk):
    """The benchmark's network of one architecture, an ordinary module with no trace of the search."""

    def __init__(
        self,
        architecture: Architecture,
        *,
        channels: int = 16,
        cells: int = 17,
        num_classes: int = 10,
        in_channels: int = 3,
        search: bool = False,
    ) -> None:
        operations = names_of(architecture)
        super().__init__(
            channels, cells, num_classes, in_channels, lambda width: NetworkCell(operations, width, search)
        )
        self.architecture = architecture

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, classes) of images x: (B, in_channels, H, W)."""
        x = self.stem(x)
        for cell in self.cells:
            x = cell(x)
        return self.head(x)


def sized(architecture: Architecture, config: Any, data: Any) -> Network:
    """The network of an architecture at the sizes of a training's config and of a Data.

    torch's global random state stays: a training draws new weights from its run's seed. Raises InputError for
    settings that this network has no part for.
    """
    if config.auxiliary:
        raise InputError("a network of nasbench201 has no auxiliary head; give --no-auxiliary")
    if config.stem != "cifar":
        raise InputError(f"a network of nasbench201 has no stem {config.stem!r}; leave out --stem")
    if config.drop_path > 0.0:
        raise InputError(f"--drop-path is {config.drop_path}; a network of nasbench201 drops no paths, give 0")
    sizes = {"channels": config.channels, "cells": config.cells}
    with torch.random.fork_rng(devices=[]):
        return Network(architecture, num_classes=data.num_classes, in_channels=data.channels, **sizes)


@dataclass(frozen=True)
class Sizes:
    """The arguments of a Network, its architecture aside; image_size: of the images it learned from."""

    channels: int = 16
    cells: int = 17
    num_classes: int = 10
    in_channels: int = 3
    image_size: int = 32
    search: bool = False

    def __post_init__(self) -> None:
        check_sizes(self)


def of_sizes(architecture: Architecture, sizes: Sizes) -> Network:
    """The network of an architecture at the sizes of a description; it takes images of any size."""
    return Network(architecture, **{name: value for name, value in vars(sizes).items() if name != "image_size"})


def sizes_of(tensors: Mapping[str, Tensor], origin: str) -> dict[str, Any]:
    """The fields of Sizes as far as tensors determine them; image_size is the benchmark's.

    Cells without a convolution have no tensors: then the two residual blocks determine the number of cells,
    and of two numbers that would do the smaller one is taken. origin: where the tensors are from, for the message.
    Raises InputError if they are not a network of this family.
    """
    blocks = sorted(int(name.split(".")[1]) for name in tensors if name.endswith(".downsample.1.weight"))
    first, classifier = tensors.get("stem.0.weight"), tensors.get("classifier.weight")
    if len(blocks) != 2 or first is None or first.dim() != 4 or classifier is None:
        wanted = "stem.0.weight, two residual blocks and classifier.weight"
        raise InputError(f"{origin} has no weights of a network of nasbench201, which has {wanted}")
    last = max(int(name.split(".")[1]) for name in tensors if name.startswith("cells."))
    fitting = [count for count in range(last + 1, 3 * blocks[0] + 3) if list(check_cells(count)) == blocks]
    if not fitting:
        raise InputError(f"{origin} has its residual blocks where no network of nasbench201 has them: {blocks}")
    return {
        "channels": len(first),
        "cells": fitting[0],
        "num_classes": len(classifier),
        "in_channels": first.shape[1],
        "search": any(re.fullmatch(r"cells\.\d+\.layers\.\d\.1\.bias", name) for name in tensors),
    }


def reported(architecture: Architecture, network: str, image_size: int, **sizes: Any) -> Network:
    """The network whose counts papers report. There is one; it takes images of any size."""
    return Network(architecture, **sizes)


def edge_layers(network: Network) -> Iterator[tuple[tuple[str, int, str], nn.Module]]:
    """Every operation of the cells with its kind of cell, its row of the mixture weights, and its name."""
    cells = [cell for cell in network.cells if isinstance(cell, NetworkCell)]
    names = enumerate(names_of(network.architecture))
    places = [(space.CELL, row, name) for row, name in names]
    for cell in cells:
        yield from zip(places, cell.layers, strict=True)


# --- Layers that are timed --------------------------------------------------------------------------------------------

timed_layer = partial(
    plain.timed_layer,
    {
        "stem": lambda channels, outputs: nn.Sequential(*conv_norm(channels, outputs)),
        "operation": lambda channels, name, stride: LAYERS[name](channels, False),
        "join": plain.Join,
        "residual": lambda channels, outputs: ResidualBlock(channels, outputs),
        "head": lambda channels, classes: plain.PooledHead(lastact(channels), nn.Linear(channels, classes)),
    },
)

# --- From the supernet to the network ---------------------------------------------------------------------------------


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
        search=True,
    ).to(next(supernet.parameters()))
    pairs: list[tuple[nn.Module, nn.Module]] = [
        (network.stem, supernet.stem), (network.lastact, supernet.lastact), (network.classifier, supernet.classifier)
    ]  # fmt: skip
    for cell, mixed in zip(network.cells, supernet.cells, strict=True):
        pairs += [(cell, mixed)] if isinstance(cell, ResidualBlock) else chosen_operations(cell, mixed, architecture)
    for target, source in pairs:
        target.load_state_dict(source.state_dict())
    return network.train(supernet.training)


def chosen_operations(
    cell: nn.Module, mixed: nn.Module, architecture: Architecture
) -> list[tuple[nn.Module, nn.Module]]:
    """The operations of a cell, each with the supernet's of the same edge and name."""
    assert isinstance(cell, NetworkCell) and isinstance(mixed, MixedCell)
    return [
        (layer, mixed.layers(index)[mixed.operations[index].index(name)])
        for index, (layer, name) in enumerate(zip(cell.layers, names_of(architecture), strict=True))
    ]


def check_inside(supernet: Supernet, architecture: Architecture) -> None:
    """Raises InputError unless the supernet has every operation of the architecture."""
    for edge, name, offered in zip(space.NAMES, names_of(architecture), supernet.mixed[space.CELL], strict=True):
        if name not in offered:
            raise InputError(f"the supernet has no operation {name!r} on the edge {edge}, which the cell uses")
