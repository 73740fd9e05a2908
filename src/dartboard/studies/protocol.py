"""The settings of a transfer study, and the stages that follow from them. Needs no torch.

The question is about the data: does a cell found on one data set work on another, and does a search that has learned on
one and continues on the other find a better one? Every comparison has its control (docs/transfer.md).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from dartboard.config import MOST_EPOCHS, check_data_name, check_ranges, check_types
from dartboard.errors import InputError, unknown
from dartboard.methods import METHODS
from dartboard.spaces import SPACES
from dartboard.spaces.search_space import Architecture

EACH = "each"  # all ways to carry over, one after the other
PROXIES = ("classes", "images", "size", "channels")
Side = Literal["a", "b"]
SIDES: tuple[Side, Side] = ("a", "b")


@dataclass(frozen=True)
class Protocol:
    """The protocol of a study: everything that determines its numbers."""

    a: str
    """data set A: a name of `dartboard list data`, or images:DIR"""
    b: str
    """data set B"""
    method: str = "darts"
    """the search: a method of `dartboard list methods`"""
    space: str = "darts"
    """a space of `dartboard list spaces`"""
    seed: int = 0
    """the first seed"""
    seeds: int = 3
    """number of seeds, each with all searches and trainings"""
    epochs: int = 50
    """epochs of a phase on A; on B the number that gives the same number of steps"""
    epochs_b: int = 50
    """epochs of a phase on B"""
    carry: str = "weights,alphas"
    """what phase 2 takes from phase 1: all that the method carries, one part of it, or each of these ways in turn"""
    restart_schedule: bool = True
    """phase 2 starts with a new learning rate schedule and new optimizers, or continues those of phase 1"""
    random: int = 6
    """cells drawn from the space, each choice uniform, as a control"""
    proxy: str = ""
    """instead of the swap: searches on parts of A, such as classes:0.5,images:0.25,size:0.5,channels:0.5"""
    images_a: int | None = None
    """training images of A; none: all"""
    images_b: int | None = None
    """training images of B; none: all"""
    image_size: int | None = None
    """height and width in pixels to which the images of both are resized; none: those of the data set"""
    budget: str = ""
    """the time of a phase from which the epochs were computed; empty: the epochs were given"""
    train_epochs: int = 600
    """epochs of every training from scratch"""

    def __post_init__(self) -> None:
        check_types(self)
        for name in (self.a, self.b):
            check_data_name(name)
        check_ranges(self, epochs="[1, inf)", epochs_b="[1, inf)", train_epochs="[1, inf)", random="[0, 10000]")
        check_ranges(self, epochs=MOST_EPOCHS, epochs_b=MOST_EPOCHS, train_epochs=MOST_EPOCHS)
        check_ranges(self, images_a="[2, inf)", images_b="[2, inf)", image_size="[1, 4096]")
        check_ranges(self, seed="[0, 1e18]", seeds="[1, 1000]")
        if self.space not in SPACES:
            raise unknown("space", self.space, SPACES)
        if self.method not in METHODS:
            raise unknown("method", self.method, METHODS)
        if self.carry not in (known := ways(METHODS[self.method].carries)):
            raise InputError(f"--carry is {self.carry[:60]!r}; give {', or '.join(known)}")
        parse_proxies(self.proxy)
        if not self.restart_schedule and self.epochs != self.epochs_b and not self.proxy:
            raise InputError(
                f"a continued schedule would jump: a phase is {self.epochs} epochs on A and {self.epochs_b} on B; "
                "give --restart-schedule, or --epochs and --equal-images"
            )

    @property
    def carries(self) -> dict[str, str]:
        """What --carry says of each way that this study takes, by the suffix of the names of phase 2's stages."""
        all_ways = carries(METHODS[self.method].carries)
        return {suffix: carry for suffix, carry in all_ways.items() if self.carry in (carry, EACH)}


def carries(words: Sequence[str]) -> dict[str, str]:
    """Every way to carry over what a method has: all of it, and each part alone; by the suffix of stages' names."""
    return {"": ",".join(words)} | ({f"-{word}": word for word in words} if len(words) > 1 else {})


def ways(words: Sequence[str]) -> list[str]:
    """What --carry may be for a method that carries this."""
    found = list(carries(words).values())
    return [*found, EACH] if len(found) > 1 else found


@dataclass(frozen=True)
class Stage:
    """One run of a study: a search or a training, in stages/NAME.

    group: its group in the tables, such as "ab"; side: its data set; before: the search that it continues, or whose
    cell it trains; draw: the number of the random cell that it trains; proxy: the part of A that it uses.
    """

    name: str
    command: Literal["search", "train"]
    group: str
    side: Side
    seed: int
    epochs: int
    before: str | None = None
    carry: str = ""
    schedule_epochs: int | None = None
    draw: int | None = None
    proxy: str = ""


def stages(protocol: Protocol) -> list[Stage]:
    """All stages, each after those that it needs; seed by seed, so that the first seeds can be compared early."""
    found: list[Stage] = []
    for seed in range(protocol.seed, protocol.seed + protocol.seeds):
        searches = list(proxy_searches(protocol, seed) if protocol.proxy else swap_searches(protocol, seed))
        found += searches
        for search in searches:
            found += trainings(protocol, search.group, seed, before=search.name)
        for draw in range(protocol.random):
            if draw % protocol.seeds == seed - protocol.seed:
                found += trainings(protocol, f"random{draw}", seed, draw=draw)
    return found


def swap_searches(protocol: Protocol, seed: int) -> Iterator[Stage]:
    """Phase 1 on A and on B; phase 2 of each on the other's data (swap) and its own (stay); both budgets alone."""
    epochs = {"a": protocol.epochs, "b": protocol.epochs_b}
    for side in SIDES:
        both = None if protocol.restart_schedule else 2 * epochs[side]
        yield Stage(f"search-{side}-s{seed}", "search", side, side, seed, epochs[side], schedule_epochs=both)
    for first in SIDES:
        for second in SIDES:
            for suffix, carry in protocol.carries.items():
                group = f"{first}{second}{suffix}"
                more = {"before": f"search-{first}-s{seed}", "carry": carry}
                yield Stage(f"search-{group}-s{seed}", "search", group, second, seed, epochs[second], **more)  # type: ignore[arg-type]
    for side in SIDES:
        yield Stage(f"search-{side}-whole-s{seed}", "search", f"{side}-whole", side, seed, 2 * epochs[side])


def proxy_searches(protocol: Protocol, seed: int) -> Iterator[Stage]:
    """A search on all of A, and one on each part of it, with equal numbers of epochs: a proxy is meant to save work."""
    for proxy in ("", *parse_proxies(protocol.proxy)):
        group = proxy.replace(":", "") or "a"
        yield Stage(f"search-{group}-s{seed}", "search", group, "a", seed, protocol.epochs, proxy=proxy)


def trainings(
    protocol: Protocol, group: str, seed: int, *, before: str | None = None, draw: int | None = None
) -> Iterator[Stage]:
    """A cell trained from scratch on A and on B, with one protocol."""
    for side in SIDES:
        name = f"train-{group}-on-{side}-s{seed}"
        yield Stage(name, "train", group, side, seed, protocol.train_epochs, before=before, draw=draw)


def parse_proxies(text: str) -> dict[str, tuple[str, float]]:
    """{"classes:0.5": ("classes", 0.5), ...} of a text with commas. Raises InputError."""
    found = {}
    for word in (word.strip() for word in text.split(",") if word.strip()):
        kind, _, share = word.partition(":")
        try:
            number = float(share)
        except ValueError:
            number = 0.0
        if kind not in PROXIES or not 0 < number < 1:
            known = ", ".join(f"{name}:SHARE" for name in PROXIES)
            raise InputError(f"--proxy has {word[:40]!r}; give {known} with a share between 0 and 1")
        found[word] = (kind, number)
    return found


def drawn(protocol: Protocol, draw: int) -> Architecture:
    """The random cell of that number: each choice of the space uniform."""
    return SPACES[protocol.space].sample(Random(f"transfer/{protocol.seed}/{draw}"))
