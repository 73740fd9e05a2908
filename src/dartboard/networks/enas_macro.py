"""The networks of ENAS macro: `Supernet`, the search child; `Network`, the published final one; `inherit`.

Layers (melodyguan/enas, src/cifar10/general_child.py): a 3x3 stem of C channels with BatchNorm; L layers; global
average pooling; a linear classifier without bias. After the layers L // 3 and 2 (L // 3) every state so far, the stem's
included, is halved by a factorized reduction. No convolution has a bias. `cells` counts the layers.

The search child and the final network differ, as in the authors' code (docs/enas-macro.md has a table):
    convolution  search: 1x1, BatchNorm, ReLU, kxk, BatchNorm, ReLU; final: ReLU, 1x1, BatchNorm, ReLU, kxk, BatchNorm
    separable    search: kxk is a depthwise and a pointwise convolution; final: a plain one
    pool         1x1, BatchNorm, ReLU, pool; in the final network, too (departure 2)
    skips        search: added, BatchNorm; final: joined, ReLU, 1x1 convolution, BatchNorm
    channels     search: the same everywhere; final: twice as many behind each reduction

Departures from the authors' code:
    1. In their search child the branches close over a variable that is assigned again, so that all are max pools; here
       each is what it is meant to be.
    2. Their final network has nothing for pools; here they are those of the search child.
    3. Dropout before the classifier is not part of the network.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from dartboard.errors import InputError
from dartboard.networks import check_sizes, darts_timed
from dartboard.networks import plain as of_one_form
from dartboard.networks.layers import FactorizedReduce, relu_conv_norm
from dartboard.spaces import enas_macro as space
from dartboard.spaces.family import Mixed
from dartboard.spaces.search_space import Architecture

Form = Literal["final", "search"]
KERNELS = {"conv_3x3": 3, "sep_conv_3x3": 3, "conv_5x5": 5, "sep_conv_5x5": 5}
SEARCH_EPS = 1e-3  # of the second BatchNorm of a convolution of the search child, as in the authors' code


def plain(in_channels: int, channels: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2, bias=False)


def shared_operation(name: str, channels: int) -> nn.Sequential:
    """An operation of the search child."""
    first = [plain(channels, channels, 1), nn.BatchNorm2d(channels), nn.ReLU()]
    if name not in KERNELS:
        return nn.Sequential(*first, pool(name))
    kernel = KERNELS[name]
    if name.startswith("sep"):
        depthwise = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False)
        second: list[nn.Module] = [depthwise, plain(channels, channels, 1)]
    else:
        second = [plain(channels, channels, kernel)]
    return nn.Sequential(*first, *second, nn.BatchNorm2d(channels, eps=SEARCH_EPS), nn.ReLU())


def final_operation(name: str, channels: int) -> nn.Sequential:
    """An operation of the final network."""
    if name not in KERNELS:
        return shared_operation(name, channels)
    second = [nn.ReLU(), plain(channels, channels, KERNELS[name]), nn.BatchNorm2d(channels)]
    return nn.Sequential(*relu_conv_norm(channels, channels), *second)


def pool(name: str) -> nn.Module:
    return nn.AvgPool2d(3, 1, 1, count_include_pad=False) if name == "avg_pool" else nn.MaxPool2d(3, 1, 1)


class SharedLayer(nn.Module):
    """A layer of the search child: the operations that it offers; skip connections are added."""

    def __init__(self, operations: Sequence[str], channels: int, first: bool) -> None:
        super().__init__()
        self.ops = nn.ModuleDict({name: shared_operation(name, channels) for name in operations})
        self.norm = None if first else nn.BatchNorm2d(channels)

    def forward(self, states: Sequence[Tensor], layer: space.Layer) -> Tensor:
        """states: (B, C, H, W) of the stem and of every layer so far."""
        operation, skips = layer
        out: Tensor = self.ops[operation](states[-1])
        if self.norm is None:
            return out
        for state, bit in zip(states, skips, strict=False):
            out = out + state if bit else out
        return self.norm(out)  # type: ignore[no-any-return]


class FinalLayer(nn.Module):
    """A layer of the final network: its operation; skip connections are joined."""

    def __init__(self, layer: space.Layer, channels: int, first: bool) -> None:
        super().__init__()
        operation, skips = layer
        self.body = final_operation(operation, channels)
        self.join = None if first else relu_conv_norm((1 + sum(skips)) * channels, channels)

    def forward(self, states: Sequence[Tensor], layer: space.Layer) -> Tensor:
        """As SharedLayer."""
        out: Tensor = self.body(states[-1])
        if self.join is None:
            return out
        joined = [state for state, bit in zip(states, layer[1], strict=False) if bit]
        return self.join(torch.cat([*joined, out], dim=1))  # type: ignore[no-any-return]


class Trunk(nn.Module):
    """What supernet and network share: stem, layers, the halving of all states, classifier."""

    def __init__(
        self,
        make: Callable[[int, int], nn.Module],
        cells: int,
        channels: int,
        num_classes: int,
        in_channels: int,
        growth: int,
    ) -> None:
        """make: the layer of a place and its channels; growth: by what a reduction multiplies the channels."""
        super().__init__()
        self.stem = nn.Sequential(plain(in_channels, channels, 3), nn.BatchNorm2d(channels))
        self.cells, self.halves = nn.ModuleList(), nn.ModuleDict()
        for place in range(cells):
            self.cells.append(make(place, channels))
            if place in space.reductions(cells):
                wide = growth * channels
                states = range(place + 2)  # the stem's, and those of all layers so far
                self.halves[str(place)] = nn.ModuleList(FactorizedReduce(channels, wide, relu=False) for _ in states)
                channels = wide
        self.classifier = nn.Linear(channels, num_classes, bias=False)

    def logits(self, x: Tensor, layers: Sequence[space.Layer]) -> Tensor:
        """Logits (B, classes) of images x: (B, in_channels, H, W)."""
        states = [self.stem(x)]
        for place, (cell, layer) in enumerate(zip(self.cells, layers, strict=True)):
            states.append(cell(states, layer))
            if str(place) in self.halves:
                halves: Any = self.halves[str(place)]
                states = [halve(state) for halve, state in zip(halves, states, strict=True)]
        return self.classifier(states[-1].mean((2, 3)))  # type: ignore[no-any-return]


class Supernet(Trunk):
    """The search child: all chains with shared weights."""

    head_prefix = "classifier."  # of the names of tensors that depend on the classes: a warm start leaves them behind

    def __init__(
        self,
        *,
        operations: Mixed | None = None,
        channels: int = 36,
        cells: int = 12,
        num_classes: int = 10,
        in_channels: int = 3,
    ) -> None:
        """operations: as `mixed` of a space gives them; all of ENAS' if not given. Raises InputError."""
        offered = space.mixed(space.SPACE)[space.LAYERS] if operations is None else operations[space.LAYERS]
        check_layers(cells, len(offered))

        def make(place: int, width: int) -> nn.Module:
            return SharedLayer(offered[place], width, place == 0)

        super().__init__(make, cells, channels, num_classes, in_channels, 1)

    def forward(self, x: Tensor, choice: Architecture) -> Tensor:
        """Logits (B, classes) of images x: (B, in_channels, H, W); only what the architecture names is computed."""
        return self.logits(x, space.layers_of(choice))


class Network(Trunk):
    """The network of one architecture, an ordinary module with no trace of the search.

    form: "final", the published network, or "search", its part of the search child.
    """

    def __init__(
        self,
        architecture: Architecture,
        *,
        channels: int = 96,
        cells: int | None = None,
        num_classes: int = 10,
        in_channels: int = 3,
        form: Form = "final",
    ) -> None:
        """cells: the architecture's layers, which is what it is if it is not given. Raises InputError."""
        self.layers = space.layers_of(architecture)
        number = len(self.layers)
        check_layers(number if cells is None else cells, number)

        def make(place: int, width: int) -> nn.Module:
            layer = self.layers[place]
            return (
                SharedLayer(layer[:1], width, place == 0) if form == "search" else FinalLayer(layer, width, place == 0)
            )

        super().__init__(make, number, channels, num_classes, in_channels, 1 if form == "search" else 2)
        self.architecture, self.form = architecture, form

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, classes) of images x: (B, in_channels, H, W)."""
        return self.logits(x, self.layers)


def check_layers(cells: int, number: int) -> None:
    """Raises InputError for another number of layers than the architecture has."""
    if cells != number:
        raise InputError(f"--cells {cells}: these architectures have {number} layers; give --cells {number}")


def inherit(supernet: Supernet, architecture: Architecture) -> Network:
    """The architecture in its search form with its weights copied out of the supernet, with which it computes the same.

    Raises InputError if the architecture does not lie inside the supernet.
    """
    layers = space.layers_of(architecture)
    check_layers(len(supernet.cells), len(layers))
    for number, ((operation, _), cell) in enumerate(zip(layers, supernet.cells, strict=True), 1):
        if operation not in cell.ops:  # type: ignore[operator]
            raise InputError(
                f"the supernet has no operation {operation!r} in layer {number}, which the architecture uses"
            )
    weights = supernet.state_dict()
    network = Network(architecture, **sizes_in(weights), form="search").to(next(supernet.parameters()))
    network.load_state_dict({name: weights[name] for name in network.state_dict()})
    return network.train(supernet.training)


# --- Layers that are timed --------------------------------------------------------------------------------------------


class TimedJoin(nn.Module):
    """What joins skip connections, by itself. It has the one map for all of them."""

    def __init__(self, channels: int, joined: int) -> None:
        super().__init__()
        self.joined, self.join = joined, relu_conv_norm(joined * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W), and so is what comes out."""
        return self.join(torch.cat([x] * self.joined, dim=1))  # type: ignore[no-any-return]


def timed_operation(channels: int, name: str) -> nn.Module:
    return final_operation(name, channels)


def timed_half(channels: int, outputs: int) -> nn.Module:
    return FactorizedReduce(channels, outputs, relu=False)


def timed_head(channels: int, classes: int) -> nn.Module:
    return of_one_form.PooledHead(nn.Identity(), nn.Linear(channels, classes, bias=False))


timed_layer = partial(
    of_one_form.timed_layer,
    {
        "stem": darts_timed.stem,
        "operation": timed_operation,
        "join": TimedJoin,
        "halve": timed_half,
        "head": timed_head,
    },
)


# --- Sizes -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sizes:
    """The arguments of a Network, its architecture aside; image_size: of the images it learned from."""

    channels: int = 96
    cells: int = 24
    num_classes: int = 10
    in_channels: int = 3
    image_size: int = 32
    form: Form = "final"

    def __post_init__(self) -> None:
        check_sizes(self)


def of_sizes(architecture: Architecture, sizes: Sizes) -> Network:
    """The network of an architecture at the sizes of a description; it takes images of any size."""
    return reported(architecture, "cifar", **vars(sizes))


def reported(architecture: Architecture, network: str, image_size: int, cells: int, **sizes: Any) -> Network:
    """The network whose counts papers report. There is one; its layers are the architecture's, it takes any image."""
    return Network(architecture, **sizes)


def sized(architecture: Architecture, config: Any, data: Any) -> Network:
    """The network of an architecture at the sizes of a training's config and of a Data.

    torch's global random state stays: a training draws new weights from its run's seed. Raises InputError for
    settings that this network has no part for.
    """
    if config.auxiliary:
        raise InputError("a network of enas_macro has no auxiliary head; give --no-auxiliary")
    if config.stem != "cifar":
        raise InputError(f"a network of enas_macro has no stem {config.stem!r}; leave out --stem")
    if config.drop_path > 0.0:
        raise InputError(f"--drop-path is {config.drop_path}; a network of enas_macro drops no paths, give 0")
    sizes = {"channels": config.channels, "cells": config.cells}
    with torch.random.fork_rng(devices=[]):
        return Network(architecture, num_classes=data.num_classes, in_channels=data.channels, **sizes)


def sizes_of(tensors: Mapping[str, Tensor], origin: str) -> dict[str, Any]:
    """The fields of Sizes as far as tensors determine them; image_size is that of CIFAR.

    origin: where the tensors are from, for the message. Raises InputError if they are not a network of this family.
    """
    first, classifier = tensors.get("stem.0.weight"), tensors.get("classifier.weight")
    form: Form = "search" if any(name.startswith("cells.0.ops.") for name in tensors) else "final"
    if first is None or first.dim() != 4 or classifier is None or not any(n.startswith("halves.") for n in tensors):
        wanted = "stem.0.weight, halves and classifier.weight"
        raise InputError(f"{origin} has no weights of a network of enas_macro, which has {wanted}")
    if len({name.split(".")[3] for name in tensors if name.startswith("cells.0.ops.")}) > 1:
        raise InputError(f"{origin} holds the weights of a search's supernet; give those of a network of one chain")
    return {**sizes_in(tensors), "image_size": 32, "form": form}


def sizes_in(weights: Mapping[str, Tensor]) -> dict[str, int]:
    """The sizes that the shapes of a network's weights, or a supernet's, say."""
    channels, in_channels = weights["stem.0.weight"].shape[:2]
    cells = len({name.split(".")[1] for name in weights if name.startswith("cells.")})
    classes = len(weights["classifier.weight"])
    return {"channels": channels, "cells": cells, "num_classes": classes, "in_channels": in_channels}
