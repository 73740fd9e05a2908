"""Layers by which the latency of a network is summed up, as plain values: what decides how long one takes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dartboard.spaces.search_space import Architecture, SearchSpace, Value

Sizes = Mapping[str, int]  # channels, cells, num_classes, in_channels, image_size


@dataclass(frozen=True)
class Layer:
    """A part of a network that is timed by itself. channels, side: of the square map that it takes; settings: all else
    that its time depends on, such as kernel and stride. Layers that are equal are one entry of a table."""

    kind: str
    channels: int
    side: int
    settings: tuple[tuple[str, Value], ...] = ()

    def __str__(self) -> str:
        """As it is named in a table: "block channels=16 side=32 kernel=3 ..."."""
        words = (("channels", self.channels), ("side", self.side), *self.settings)
        return " ".join([self.kind, *(f"{name}={value}" for name, value in words)])

    @property
    def millions(self) -> float:
        """Numbers of the map of an image that it takes, in millions."""
        return self.channels * self.side**2 / 1e6

    @property
    def weights(self) -> "Layer":
        """The same for any map: layers with equal weights are one module."""
        return Layer(self.kind, self.channels, 0, self.settings)


Between = Callable[[Layer], Sequence[tuple[Layer, float]]]


@dataclass(frozen=True)
class TimedLayers:
    """How networks of a family fall into layers, which are computed one after another.

    of_network: the layers of an architecture's network at these sizes; of_space: all layers that networks of a space
    have at these sizes, each once. in_a_row: whether the layers one behind the other compute what the network computes,
    so that its costs are theirs. of_edge: those that an operation adds which `parts` of the family names, in all cells
    together; None for a family without parts. between: of a space whose layers are too many to be timed, what gives of
    a layer those of `of_space` between which it lies, with weights by which their times add up to its own; None where
    each is timed. networks/ makes the modules, by `timed_layer` in the family's file.
    """

    of_network: Callable[[Architecture, Sizes], Sequence[Layer]]
    of_space: Callable[[SearchSpace, Sizes], Sequence[Layer]]
    in_a_row: bool = False
    of_edge: Callable[[tuple[str, int, str], Sizes], Sequence[Layer]] | None = None
    between: Callable[[SearchSpace, Sizes], Between] | None = None


def halved(side: int, stride: int) -> int:
    """The side of a map behind a convolution of this stride, padded by half its odd kernel."""
    return (side - 1) // stride + 1
