"""Mobile networks of inverted residual blocks: `Supernet`, of which an architecture takes a part of every layer;
`Network`, one of them by itself, elastic or published; `inherit`, which cuts it out.

Layout: spaces/mobilenet_plans.py. A network brings its images to its own resolution first, by bicubic interpolation
without antialiasing (AttentiveNAS; in Once-for-All the images are loaded so). The classifier has a bias, the
convolution before it has none, but for published networks. `cells` counts the stages, which are the same in all
networks of a plan; `channels` are those of the widest stem, and other widths are scaled as it is, to multiples of 8.

Departures from the authors' codes:
    1. AttentiveNAS' shortcuts have a 1x1 convolution in every block whose stage's width is open, and apply it where
       width changes; here blocks have one only where width may change (bignas_counts.json counts both).
    2. Dropout, and dropping blocks, are the business of methods.
    3. BatchNorm of a single number takes its running statistics in training, too, where torch's fails.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from dartboard.errors import InputError
from dartboard.networks import mobilenet_sorting as sorting
from dartboard.networks import plain
from dartboard.networks.elastic_layers import SlicedLinear, SlicedNorm, inherited, sliced_conv
from dartboard.networks.fast import slices
from dartboard.networks.mobilenet_layers import ACTIVATIONS, ElasticBlock, FixedBlock, conv, resized
from dartboard.networks.mobilenet_timed import timed_layer
from dartboard.networks.plain import Sizes
from dartboard.spaces import mobilenet as space
from dartboard.spaces.mobilenet import Block, largest_net, net_of
from dartboard.spaces.mobilenet_family import own_sizes
from dartboard.spaces.mobilenet_plans import PLANS, Plan
from dartboard.spaces.search_space import Architecture

__all__ = ["Network", "Sizes", "Supernet", "inherit", "of_sizes", "reported", "sized", "sizes_of", "timed_layer"]

PARTS = {"plain": sliced_conv, "fast": slices.sliced_conv}  # by the form of the supernet: depthwise convolutions


class Supernet(nn.Module):
    """All networks of a plan with shared weights."""

    head_prefix = "classifier."  # of the names of tensors that depend on the classes: a warm start leaves them behind

    def __init__(
        self,
        *,
        plan: str | Plan = "ofa",
        channels: int | None = None,
        cells: int | None = None,
        num_classes: int = 10,
        in_channels: int = 3,
        form: str = "plain",
    ) -> None:
        """plan: itself, or its name; form: "plain", or "fast", the same function (fast/slices.py).

        Raises InputError for another number of stages than it has.
        """
        super().__init__()
        self.part = PARTS[form]
        self.plan = PLANS[plan] if isinstance(plan, str) else plan
        check_stages(cells, len(self.plan.stages))
        self.width = self.plan.stem[-1] if channels is None else channels
        net = largest_net(self.plan, self.width / self.plan.stem[-1])
        self.stem, self.stem_norm = conv(in_channels, net.stem, 3, net.stem_stride), SlicedNorm(net.stem)
        self.cells = nn.ModuleList(
            nn.ModuleList(self.block(block) for block in stage) for stage in space.in_stages(net.blocks)
        )
        self.last, self.last_norm = conv(net.blocks[-1].outputs, net.expand), SlicedNorm(net.expand)
        self.head, self.classifier = conv(net.expand, net.head), SlicedLinear(net.head, num_classes)
        self.activation = ACTIVATIONS[net.activation]

    def block(self, block: Block) -> ElasticBlock:
        """The largest block of a place."""
        stage = self.plan.stages[block.stage]
        before = self.plan.stem if block.stage == 0 else self.plan.stages[block.stage - 1].widths
        can_widen = block.number == 0 and (len(before) > 1 or before != stage.widths or len(stage.widths) > 1)
        largest = stage.kernels[-1]
        made = tuple(size for size in (5, 3) if stage.kernels[0] <= size < largest) if self.plan.transforms else ()
        return ElasticBlock(block, can_widen, made, self.part)

    def residual_ends(self) -> list[nn.BatchNorm2d]:
        """The last BatchNorm of every block that a shortcut goes around."""
        net = largest_net(self.plan, self.width / self.plan.stem[-1])
        return [self.cells[one.stage][one.number].project_norm for one in net.blocks if one.shortcut]  # type: ignore

    def sort_channels(self, kept: Sequence[int] = ()) -> list[sorting.Orders]:
        """Brings the channels inside blocks into the order of their importance; see mobilenet_sorting.py."""
        stages = zip(self.plan.stages, self.cells, strict=True)
        blocks: list[Any] = [one for stage, own in stages if len(stage.expansions) > 1 for one in own]  # type: ignore
        return [sorting.sort_block(one, kept) for one in blocks]

    def forward(self, x: Tensor, choice: Architecture) -> Tensor:
        """Logits (B, classes) of images x: (B, in_channels, H, W); only what the architecture takes is computed."""
        net = net_of(choice, self.width, self.plan)
        x = self.activation(self.stem_norm(sliced_conv(resized(x, net.resolution), self.stem, net.stem)))
        for block in net.blocks:
            x = self.cells[block.stage][block.number](x, block)  # type: ignore[index]
        x = self.activation(self.last_norm(sliced_conv(x, self.last, net.expand)))
        x = self.activation(sliced_conv(x.mean((2, 3), keepdim=True), self.head, net.head))
        return self.classifier(x.flatten(1))  # type: ignore[no-any-return]


class Network(nn.Module):
    """The network of one architecture, an ordinary module with no trace of the search."""

    def __init__(
        self,
        architecture: Architecture,
        *,
        channels: int | None = None,
        cells: int | None = None,
        num_classes: int = 10,
        in_channels: int = 3,
        plan: Plan | None = None,
    ) -> None:
        """channels: of the widest stem of its plan; plan: its plan, if it is not one that has a name.

        Raises InputError for another number of stages than it has.
        """
        super().__init__()
        net = net_of(architecture, channels, plan)
        check_stages(cells, own_sizes(architecture)["cells"] if plan is None else len(plan.stages))
        self.architecture, self.net = architecture, net
        stem = own_sizes(architecture)["channels"] if plan is None else plan.stem[-1]
        self.register_buffer("channels", torch.tensor(stem if channels is None else channels))  # widths do not tell it
        self.stem, self.stem_norm = conv(in_channels, net.stem, 3, net.stem_stride), SlicedNorm(net.stem)
        self.cells = nn.ModuleList(
            nn.Sequential(*(FixedBlock(block) for block in stage)) for stage in space.in_stages(net.blocks)
        )
        self.last, self.last_norm = conv(net.blocks[-1].outputs, net.expand), SlicedNorm(net.expand)
        self.head = nn.Conv2d(net.expand, net.head, 1, bias=net.biased) if net.head else None
        self.classifier = nn.Linear(net.head or net.expand, num_classes)
        self.stem_activation, self.activation = ACTIVATIONS[net.stem_activation], ACTIVATIONS[net.activation]

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, classes) of images x: (B, in_channels, H, W)."""
        x = self.stem_activation(self.stem_norm(self.stem(resized(x, self.net.resolution))))
        for stage in self.cells:
            x = stage(x)
        x = self.activation(self.last_norm(self.last(x))).mean((2, 3), keepdim=True)
        if self.head is not None:
            x = self.activation(self.head(x))
        return self.classifier(x.flatten(1))  # type: ignore[no-any-return]


def check_stages(cells: int | None, number: int) -> None:
    """Raises InputError for another number of stages than the networks have."""
    if cells is not None and cells != number:
        raise InputError(f"--cells {cells}: these networks have {number} stages; give --cells {number}")


def inherit(supernet: Supernet, architecture: Architecture) -> Network:
    """The architecture by itself with its part of the supernet's weights and statistics, and so what it computes there.

    Raises InputError if the architecture is not of the supernet's plan.
    """
    plan = supernet.plan
    if architecture["plan"] != plan.name:
        raise InputError(f"the supernet is of the plan {plan.name}, the architecture of {architecture['plan']}")
    classes, in_channels = supernet.classifier.out_features, supernet.stem.in_channels
    sizes = {"channels": supernet.width, "num_classes": classes, "in_channels": in_channels}
    network = Network(architecture, **sizes, plan=plan).to(next(supernet.parameters()))
    own = {**supernet.state_dict(), "channels": network.channels}
    for block in network.net.blocks:
        elastic: ElasticBlock = supernet.cells[block.stage][block.number]  # type: ignore[index]
        name = f"cells.{block.stage}.{block.number}.depth.weight"
        own[name] = elastic.kernel(block.kernel, block.middle).detach()
    inherited(own, network)
    return network.train(supernet.training)


def sizes_of(tensors: Mapping[str, Tensor], origin: str) -> dict[str, Any]:
    """The fields of Sizes as far as tensors determine them.

    origin: where the tensors are from, for the message. Raises InputError if they are not a network of this family.
    """
    stem, classifier = tensors.get("stem.weight"), tensors.get("classifier.weight")
    if stem is None or stem.dim() != 4 or classifier is None or "channels" not in tensors:
        wanted = "stem.weight, channels and classifier.weight"
        raise InputError(f"{origin} has no weights of a network of mobilenet, which has {wanted}")
    if any(".transforms." in name for name in tensors):
        raise InputError(f"{origin} holds the weights of a search's supernet; give those of a network cut out of it")
    sizes = {"num_classes": len(classifier), "in_channels": stem.shape[1], "channels": int(tensors["channels"])}
    return {**sizes, "cells": len({name.split(".")[1] for name in tensors if name.startswith("cells.")})}


of_sizes = partial(plain.of_sizes, Network)
reported = partial(plain.reported, Network)


def sized(architecture: Architecture, config: Any, data: Any) -> Network:
    """As plain.sized; raises InputError for images that are too small for a network that takes them as they are."""
    network = plain.sized(Network, architecture, config, data)
    if network.net.resolution is None:
        plain.check_side("these blocks", network.net.stride, data.image_size)
    return network
