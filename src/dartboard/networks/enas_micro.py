"""The networks of ENAS micro: `Supernet`, the search child; `Network`, the published final one; `inherit`.

Layers (melodyguan/enas, src/cifar10/micro_child.py): a 3x3 stem of 3C channels with BatchNorm; `cells` layers, two of
them reductions, which double the channels; ReLU, global average pooling, a linear classifier without bias. `cells`
counts the reductions: of n + 2 layers they are the layers n // 3 and 2 (n // 3) + 1. No convolution has a bias. A
separable convolution is two rounds of ReLU, depthwise, pointwise, BatchNorm. Padding is TensorFlow's SAME, which at
stride 2 on an even size pads more behind than before; an average pool leaves padding out of the mean.

The search child and the final network differ, as in the authors' code (docs/enas-micro.md has a table):
    weights       search: a set for each block, side, operation and node that is read; final: each operation its own
    reduction     search: halves the newest map first, then a cell of stride 1; final: stride 2 in what reads the inputs
    newest input  search: as it is, brought to the width if need be; final: one more ReLU, 1x1 convolution, BatchNorm
    loose ends    search: joined, ReLU, 1x1 convolution to C channels, BatchNorm; final: joined; an input is halved
                  where it is larger

Departures from the authors' code:
    1. BatchNorm has running statistics in the search child, too (momentum 0.1), so that they can be collected again.
    2. Of a layer's statistics the code keeps a share of 0.9 without bias towards their start; here as everywhere in
       this house. Both take the batch's own in training.
    3. The auxiliary head's second convolution has the kernel of the map that it reads, 2x2 on CIFAR; maps smaller than
       5x5 have no such head.
    4. Dropout before the classifier is not part of the network.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from dartboard.errors import InputError
from dartboard.networks import check_sizes
from dartboard.networks.enas_micro_layers import SIDES, AuxiliaryHead, FinalLayer, OwnLayer, SharedLayer
from dartboard.spaces import enas_micro as space
from dartboard.spaces.family import Mixed
from dartboard.spaces.search_space import Architecture
from dartboard.tasks.task import Output

Form = Literal["final", "search"]
STEM_MULTIPLIER = 3
SMALLEST_AUXILIARY_MAP = 5


def reductions(cells: int) -> tuple[int, int]:
    """The places of both reduction layers."""
    third = (cells - 2) // 3
    return third, 2 * third + 1


# --- Networks --------------------------------------------------------------------------------------------------------


def places(cells: int, channels: int) -> Iterator[tuple[bool, int, bool]]:
    """Of each layer: whether it is a reduction, its channels, whether it follows a reduction. Raises InputError."""
    if cells < 3:
        raise InputError(f"--cells {cells}: give 3 or more, two of them are reduction layers")
    after = False
    for place in range(cells):
        reduction = place in reductions(cells)
        channels = 2 * channels if reduction else channels
        yield reduction, channels, after
        after = reduction


class Supernet(nn.Module):
    """The search child: all pairs of cells with shared weights. It has no auxiliary head."""

    head_prefix = "classifier."  # of the names of tensors that depend on the classes: a warm start leaves them behind

    def __init__(
        self,
        *,
        operations: Mixed | None = None,
        channels: int = 20,
        cells: int = 8,
        num_classes: int = 10,
        in_channels: int = 3,
    ) -> None:
        """operations: as `mixed` of a space gives them; all of ENAS' if not given. Raises InputError."""
        super().__init__()
        offered = space.mixed(space.SPACE) if operations is None else operations
        self.stem = stem(in_channels, channels)
        older = newest = STEM_MULTIPLIER * channels
        self.cells = nn.ModuleList()
        for reduction, width, _ in places(cells, channels):
            own = offered[space.BLOCKS["reduce" if reduction else "normal"]]
            self.cells.append(SharedLayer((older, newest, width), reduction, own))
            older, newest = (width if reduction else newest), width
        self.classifier = nn.Linear(newest, num_classes, bias=False)

    def forward(self, x: Tensor, choice: Architecture) -> Tensor:
        """Logits (B, classes) of images x: (B, in_channels, H, W); only what the architecture names is computed."""
        parts = {kind: space.blocks(choice, kind) for kind in space.CELLS}
        older = newest = self.stem(x)
        for cell in self.cells:
            older, newest = cell(older, newest, parts["reduce" if cell.reduction else "normal"])
        return self.classifier(newest.relu().mean((2, 3)))  # type: ignore[no-any-return]

    def output(self, x: Tensor, choice: Architecture, state: Any = None, drop: Tensor | None = None) -> Output:
        """The logits, and nothing besides: the search child drops no paths."""
        return Output(self(x, choice))


def stem(in_channels: int, channels: int) -> nn.Sequential:
    """3x3 convolution to 3C channels, BatchNorm."""
    width = STEM_MULTIPLIER * channels
    return nn.Sequential(nn.Conv2d(in_channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))


class Network(nn.Module):
    """The network of one architecture, an ordinary module with no trace of the search.

    form: "final", the published network, or "search", its part of the search child. The auxiliary head is left out if
    the map after the second reduction is smaller than 5x5 (then `self.auxiliary_head is None`).
    """

    def __init__(
        self,
        architecture: Architecture,
        *,
        channels: int = 36,
        cells: int = 17,
        num_classes: int = 10,
        in_channels: int = 3,
        image_size: int = 32,
        auxiliary: bool = True,
        form: Form = "final",
    ) -> None:
        super().__init__()
        self.architecture, self.form = architecture, form
        parts = {kind: space.blocks(architecture, kind) for kind in space.CELLS}
        self.stem = stem(in_channels, channels)
        older = newest = STEM_MULTIPLIER * channels
        self.cells = nn.ModuleList()
        self.auxiliary_head = None
        side = -(-image_size // 4)
        for place, (reduction, width, after) in enumerate(places(cells, channels)):
            blocks = parts["reduce" if reduction else "normal"]
            if form == "search":
                self.cells.append(OwnLayer((older, newest, width), reduction, blocks))
                older, newest = (width if reduction else newest), width
            else:
                self.cells.append(FinalLayer((older, newest, width), reduction, after, blocks))
                older, newest = newest, len(space.loose_ends(blocks)) * width
            if place == reductions(cells)[1] + 1 and auxiliary and side >= SMALLEST_AUXILIARY_MAP:
                self.auxiliary_head = AuxiliaryHead(newest, num_classes, side)
        self.auxiliary_position = reductions(cells)[1] + 1
        self.classifier = nn.Linear(newest, num_classes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, classes) of images x: (B, in_channels, H, W)."""
        return self.output(x).logits

    def output(self, x: Tensor, state: Any = None, drop: Tensor | None = None) -> Output:
        """Logits (B, classes) and, if the head exists and the network trains, the auxiliary head's.

        state: there is none; drop: drop-path factors (N, B, 1, 1, 1) of all N operations but identities, in order.
        """
        masks, auxiliary = None if drop is None else iter(drop.unbind()), None
        older = newest = self.stem(x)
        for place, cell in enumerate(self.cells):
            older, newest = cell(older, newest, masks)
            if place == self.auxiliary_position and self.training and self.auxiliary_head is not None:
                auxiliary = self.auxiliary_head(newest)
        return Output(self.classifier(newest.relu().mean((2, 3))), auxiliary=auxiliary)


def drawn(network: Network, x: Tensor, chance: float, generator: torch.Generator | None) -> Tensor | None:
    """The drop-path factors of `Network.output`, in one draw. The chance of a layer grows linearly with its depth, to
    `chance` in the last one. None for chance 0, and for a network that does not train."""
    if chance == 0.0 or not network.training:
        return None
    chances = []
    for place, cell in enumerate(network.cells, 1):
        names = [name for block in cell.blocks for name in block[2:] if name != "identity"]  # type: ignore[union-attr]
        chances += [chance * place / len(network.cells)] * len(names)
    keep = 1.0 - torch.tensor(chances, device=x.device, dtype=x.dtype).view(-1, 1, 1, 1, 1)
    uniform = torch.rand(len(chances), x.shape[0], 1, 1, 1, device=x.device, generator=generator)
    return (uniform < keep).to(x.dtype) / keep


def inherit(supernet: Supernet, architecture: Architecture) -> Network:
    """The architecture in its search form with its weights copied out of the supernet, with which it computes the same.

    Raises InputError if the architecture does not lie inside the supernet.
    """
    weights = supernet.state_dict()
    sizes = {**sizes_in(weights), "auxiliary": False, "form": "search"}
    check_inside(supernet, architecture)
    network = Network(architecture, **sizes).to(next(supernet.parameters()))
    pairs: list[tuple[nn.Module, nn.Module]] = [
        (network.stem, supernet.stem),
        (network.classifier, supernet.classifier),
    ]
    for own, shared in zip(network.cells, supernet.cells, strict=True):
        assert isinstance(own, OwnLayer) and isinstance(shared, SharedLayer)
        pairs += [(own.adjust, shared.adjust), (own.join.bn, shared.join.bn)]
        pairs += [(own.join.nodes[node], shared.join.nodes[node]) for node in own.join.nodes]
        if own.halve is not None and shared.halve is not None:
            pairs.append((own.halve, shared.halve))
        pairs += zip(own.ops, (op for ops in shared.chosen(own.blocks) for op in ops), strict=True)
    for target, source in pairs:
        target.load_state_dict(source.state_dict())
    return network.train(supernet.training)


def check_inside(supernet: Supernet, architecture: Architecture) -> None:
    """Raises InputError unless the supernet has every block and operation of the architecture."""
    for cell in supernet.cells:
        kind = "reduce" if cell.reduction else "normal"
        blocks, sides = space.blocks(architecture, kind), cell.sides
        if len(blocks) * SIDES != len(sides):  # type: ignore[arg-type]
            raise InputError(f"the {space.TITLES[kind]} has {len(blocks)} blocks, the supernet another number")
        for number, block in enumerate(blocks):
            for side, name in enumerate(block[2:]):
                if name not in sides[SIDES * number + side][0]:  # type: ignore[index]
                    raise InputError(f"the supernet has no operation {name!r} in block {number + 1}")


# --- Sizes -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sizes:
    """The arguments of a Network, its architecture aside; image_size: of the images it learned from."""

    channels: int = 36
    cells: int = 17
    num_classes: int = 10
    in_channels: int = 3
    image_size: int = 32
    auxiliary: bool = False
    form: Form = "final"

    def __post_init__(self) -> None:
        check_sizes(self)


def of_sizes(architecture: Architecture, sizes: Sizes) -> Network:
    """The network of an architecture at the sizes of a description."""
    return Network(architecture, **vars(sizes))


def reported(architecture: Architecture, network: str, **sizes: Any) -> Network:
    """The network whose counts papers report, with its auxiliary head. There is one."""
    return Network(architecture, auxiliary=True, **sizes)


def sized(architecture: Architecture, config: Any, data: Any) -> Network:
    """The network of an architecture at the sizes of a training's config and of a Data.

    torch's global random state stays: a training draws new weights from its run's seed. Raises InputError for a stem.
    """
    if config.stem != "cifar":
        raise InputError(f"a network of enas_micro has no stem {config.stem!r}; leave out --stem")
    sizes = {"channels": config.channels, "cells": config.cells, "auxiliary": config.auxiliary}
    sizes |= {"num_classes": data.num_classes, "in_channels": data.channels, "image_size": data.image_size}
    with torch.random.fork_rng(devices=[]):
        return Network(architecture, **sizes)


def sizes_of(tensors: Mapping[str, Tensor], origin: str) -> dict[str, Any]:
    """The fields of Sizes as far as tensors determine them; image_size is that of CIFAR.

    origin: where the tensors are from, for the message. Raises InputError if they are not a network of this family.
    """
    first, classifier = tensors.get("stem.0.weight"), tensors.get("classifier.weight")
    if first is None or first.dim() != 4 or classifier is None or "cells.0.adjust.0.1.weight" not in tensors:
        wanted = "stem.0.weight, cells.0.adjust and classifier.weight"
        raise InputError(f"{origin} has no weights of a network of enas_micro, which has {wanted}")
    if any(name.startswith("cells.0.sides.") for name in tensors):
        raise InputError(
            f"{origin} holds the weights of a search's supernet; give those of a network of one pair of cells"
        )
    auxiliary = any(name.startswith("auxiliary_head.") for name in tensors)
    form: Form = "search" if "cells.0.join.bn.weight" in tensors else "final"
    return {**sizes_in(tensors), "image_size": 32, "auxiliary": auxiliary, "form": form}


def sizes_in(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """The sizes that the shapes of a network's weights, or a supernet's, say."""
    width, in_channels = weights["stem.0.weight"].shape[:2]
    cells = len({name.split(".")[1] for name in weights if name.startswith("cells.")})
    classes = len(weights["classifier.weight"])
    return {"channels": width // STEM_MULTIPLIER, "cells": cells, "num_classes": classes, "in_channels": in_channels}
