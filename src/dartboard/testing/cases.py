"""What the contract tests need of each family of spaces and of each method."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from torch import Tensor

from dartboard.data import Data
from dartboard.spaces.families import Mixed
from dartboard.spaces.search_space import Architecture, SearchSpace
from dartboard.testing import tiny

Settings = Mapping[str, Any]
SHOWN = ("keep_every",)  # settings of every supernet, in no case: dartboard's own tests show what they change
ELSEWHERE = "dartboard's own tests"  # where it is shown what a setting does that all methods by trials have


@dataclass(frozen=True)
class FamilyCase:
    """What a family needs to be tried.

    sizes: of every space of the family, how many architectures it has, by its paper.
    small: a space of the family, so small that it can be enumerated in a second.
    drawn: a space of at most a thousand architectures, or some choices of one: each architecture is drawn.
    searched: a space of the family, to be searched quickly.
    forms: of its supernet, which all compute the same; one that has no argument `form` has none.
    vertex: (architecture, what its edges mix) -> mixture weights that are this architecture; for families of which a
    space offers a mixture.
    ordered: whether options go from small to large: then the smallest architecture has the fewest multiply-adds.
    image_size: of images that every network of the family takes.
    """

    sizes: Mapping[str, int]
    small: SearchSpace
    drawn: SearchSpace
    searched: SearchSpace
    forms: tuple[str, ...] = ()
    vertex: Callable[[Architecture, Mixed], dict[str, Tensor]] | None = None
    ordered: bool = False
    image_size: int = 8


def nothing(space: SearchSpace) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Way:
    """One of the ways in which a method computes, each of which must keep the contracts of runs.

    settings: of its Config, unlike those of every run; more: what `search` is given besides, for a space; stops: after
    how many steps a search of more than one epoch is stopped, and stopped again; needs: the kinds of a space on which
    it computes so.
    """

    name: str
    settings: Settings = field(default_factory=dict)
    more: Callable[[SearchSpace], dict[str, Any]] = nothing
    stops: tuple[tuple[int, ...], ...] = ((1,), (2, 1))
    needs: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Planted:
    """A toy whose best architecture is known.

    space; best: the architecture; matches: in how many places one is like another; places: how many there are;
    at_least: in how many of them what the search finds must be like the best one. settings: of its Config; more: what
    `search` is given besides; data: the images. score: (result, architecture) -> how good it is, by what the search
    has learned, higher is better. draws: how many architectures that are drawn at random must be less like the best
    one and do worse; 0 for random search itself.
    """

    name: str
    space: SearchSpace
    best: Architecture
    matches: Callable[[Architecture, Architecture], int]
    places: int
    at_least: int
    settings: Settings
    more: Callable[[], dict[str, Any]]
    score: Callable[[Any, Architecture], float]
    data: Callable[[], Data] = tiny.digits
    draws: int = 100

    def __str__(self) -> str:
        return self.name


Setting = tuple[Any, Settings]  # a value unlike that of every run, and what else must be set for it to matter


@dataclass(frozen=True)
class MethodCase:
    """What a method needs to be tried.

    settings: of a tiny search; longer: what makes it one of several epochs, which can be stopped between them.
    ways: in which it computes.
    planted: toys on which it finds what random draws do not find.
    golden_loss: mean training loss of its first five steps in double, with torch 2.13.0 on a CPU: of the search, or of
    the training of its first trial. golden_settings: what that takes besides `settings`.
    changes: of each field of its Config, a value that changes the metrics of a run, and what else must be set for it.
    elsewhere: of fields whose value needs files, FILE::TEST that shows what they change, or ELSEWHERE.
    changes_data: the images on which they change something.
    """

    settings: Settings
    ways: tuple[Way, ...]
    planted: tuple[Planted, ...]
    golden_loss: float
    changes: Mapping[str, Setting]
    longer: Settings = field(default_factory=lambda: {"epochs": 2})
    golden_settings: Settings = field(default_factory=dict)
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    changes_data: Callable[[], Data] = tiny.digits


# --- Enrolled --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Enrolled:
    """What is tried. searched: the spaces on which methods are tried, by family."""

    families: Mapping[str, FamilyCase]
    methods: Mapping[str, MethodCase]
    searched: Mapping[str, SearchSpace]


Row = Any  # what pytest.param gives
Test = TypeVar("Test", bound=Callable[..., None])


def each(names: str, rows: Callable[[Enrolled], Sequence[Row]]) -> Callable[[Test], Test]:
    """Marks a test that is run for each row of what is enrolled. names: the arguments that a row gives."""

    def marked(test: Test) -> Test:
        test.each = (names, rows)  # type: ignore[attr-defined]
        return test

    return marked
