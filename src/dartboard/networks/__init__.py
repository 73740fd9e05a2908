"""The networks of each space, in the file of the space's name: `Network`, `Sizes`, and, of families whose spaces have a
supernet, `Supernet` and `inherit`."""

from importlib import import_module
from types import ModuleType
from typing import Any, Protocol

from dartboard import plugins
from dartboard.config import check_ranges, check_types
from dartboard.errors import InputError, unknown
from dartboard.spaces.families import FAMILIES, OURS
from dartboard.spaces.search_space import SearchSpace
from dartboard.spaces.timed_cells import reductions

MOST_CELLS = 1000


def module(family: str) -> ModuleType:
    """The file of networks of a space's family. Raises InputError for an unknown one, and if it cannot be imported."""
    if family not in FAMILIES:
        raise unknown("space", family, FAMILIES)
    if family in OURS:
        return import_module(f"dartboard.networks.{family}")
    return plugins.module_of(plugins.FAMILIES, family, FAMILIES[family].networks)


def supernet_of(family: str) -> Any:
    """The `Supernet` of a family. Raises InputError for one that has none, and as `module` does."""
    found = getattr(module(family), "Supernet", None)
    if found is None:
        raise InputError(f"the family {family} has no supernet; train its architectures one by one")
    return found


class Sizes(Protocol):
    """What every network has of sizes; each family's `Sizes` has what its own has besides."""

    @property
    def channels(self) -> int: ...
    @property
    def cells(self) -> int: ...
    @property
    def num_classes(self) -> int: ...
    @property
    def in_channels(self) -> int: ...
    @property
    def image_size(self) -> int: ...


def check_layers(space: SearchSpace, cells: int) -> None:
    """Raises InputError for another number of layers than all networks of a space have, or than most of them can."""
    family = FAMILIES[space.family]
    most = family.needs(space).get("cells", cells)
    if cells != most and family.layers is None:
        raise InputError(f"--cells {cells}: a network of {space.name} has {most} {family.counted}; leave it out")
    if cells != most:
        raise InputError(f"--cells {cells}: networks of {space.name} have up to {most} layers; give --cells {most}")


def check_sizes(sizes: Sizes) -> None:
    """What the `Sizes` of every family check of themselves. Raises InputError for sizes of no sense."""
    check_types(sizes)
    check_ranges(sizes, channels="[1, 65536]", num_classes="[1, 1e6]", in_channels="[1, 4096]")
    check_ranges(sizes, cells=f"[3, {MOST_CELLS}]", image_size="[1, 4096]")


def family_of(network: object, kind: str = "Network") -> str | None:
    """The family whose `Network` an object is, or its `Supernet`; None for anything else."""
    known = {getattr(module(family), kind, None): family for family in FAMILIES}
    return next((known[kind] for kind in type(network).__mro__ if kind in known), None)


def __getattr__(name: str) -> ModuleType:
    """`networks.darts` without importing it first."""
    if name in OURS:
        return module(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def check_cells(cells: int) -> tuple[int, int]:
    """Positions of the two reduction cells. Raises InputError if the two would not fit."""
    if cells < 3:
        raise InputError(f"--cells {cells}: give 3 or more, two of them are reduction cells")
    if cells > MOST_CELLS:
        raise InputError(f"--cells {cells}: give {MOST_CELLS} or less")
    return reductions(cells)
