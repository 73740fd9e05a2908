"""What the networks of a space cost, which is known before anything is trained: the smallest one, the one in the
middle, the largest, and how many draws are within limits. Nothing here imports torch."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from dartboard.paths import quoted
from dartboard.runs.atomic_files import replace_file
from dartboard.runs.json_files import as_json
from dartboard.runs.run import ENVIRONMENT, Run
from dartboard.scoring.limits import NAMES, Limit, fits, in_words
from dartboard.spaces.search_space import Architecture, SearchSpace

if TYPE_CHECKING:
    from dartboard.scoring.cost import Cost

DRAWS = 1000
RECORD = "space_costs"  # of environment.json
NETWORKS = ("smallest", "middle", "largest")
WORDS = {name: words.partition(" of ")[0] for name, words in NAMES.items()}
WORDS |= {"memory_mb": "MB of memory", "latency_ms": "ms of latency"}


@dataclass(frozen=True)
class Within:
    """limit: as it is typed, "macs<=400K"; share: of DRAWS uniform draws within it; is_smallest: whether the
    smallest network is."""

    limit: str
    share: float
    is_smallest: bool

    @property
    def words(self) -> str:
        """Whether the limit can be met, and by how many networks."""
        if self.share:
            return f"{100 * self.share:.1f} % of {DRAWS:,} draws are within it"
        which = "only the smallest is" if self.is_smallest else "nor is the smallest"
        return f"none of {DRAWS:,} draws is within it, {which}"


@dataclass(frozen=True)
class SpaceCosts:
    """space, size: its name and number of networks; smallest, middle, largest: their costs, by the names and in the
    units of scoring.limits.NAMES; limits: each by itself, then all together."""

    space: str
    size: int
    smallest: dict[str, float]
    middle: dict[str, float]
    largest: dict[str, float]
    limits: tuple[Within, ...] = ()

    def ratio(self, name: str) -> float:
        """How many times as much the largest costs as the smallest."""
        return self.largest[name] / self.smallest[name]


def space_costs(
    space: SearchSpace, middle: Architecture, count: "Callable[[Architecture], Cost]", limits: Sequence[Limit] = ()
) -> SpaceCosts:
    """The costs of the networks of a space. middle: the network with the middle option of every choice; count: of an
    architecture's network."""
    smallest, largest = count(space.smallest()), count(space.largest())
    within = tuple(shares(space, count, limits, smallest))
    return SpaceCosts(space.name, space.size, smallest.numbers, count(middle).numbers, largest.numbers, within)


def shares(
    space: SearchSpace, count: "Callable[[Architecture], Cost]", limits: Sequence[Limit], smallest: "Cost"
) -> Iterator[Within]:
    """Which of the limits can be met, by draws; nothing is drawn without limits."""
    rng = Random(0)
    drawn = [count(space.sample(rng)) for _ in range(DRAWS if limits else 0)]
    each: list[tuple[Limit, ...]] = [(one,) for one in limits]
    for own in [*each, *([tuple(limits)] if len(limits) > 1 else [])]:
        yield Within(",".join(map(str, own)), sum(fits(cost, own) for cost in drawn) / DRAWS, fits(smallest, own))


def lines(costs: SpaceCosts) -> Iterator[str]:
    """What is printed before a search."""
    yield f"space: {costs.space}, {costs.size:,} networks"
    for name in NETWORKS:
        found: dict[str, float] = getattr(costs, name)
        yield f"  {name}: " + ", ".join(in_words(cost, number, WORDS) for cost, number in found.items())
    yield "  largest / smallest: " + ", ".join(f"{WORDS[name]} {costs.ratio(name):.3g}" for name in costs.smallest)
    yield from (f"  {one.limit}: {one.words}" for one in costs.limits)


def question(costs: SpaceCosts, folder: Path) -> str:
    """The command that asks a trained supernet for a network: within the search's limits where these are counted, else
    within the multiply-adds of the network in the middle."""
    counted = [one.limit for one in costs.limits if "latency_ms" not in one.limit]
    limit = counted[-1] if counted else str(Limit("macs", costs.middle["macs"]))
    return f'dartboard specialise {quoted(str(folder))} --limit "{limit}"'


# --- In the run -------------------------------------------------------------------------------------------------------


def note(run: Run, costs: SpaceCosts) -> None:
    """Notes them in environment.json, for the page."""
    replace_file(run.folder / ENVIRONMENT, as_json({**run.environment, RECORD: asdict(costs)}))


def noted(environment: Any) -> SpaceCosts | None:
    """What `note` wrote; None if the run has none, or something else there."""
    try:
        record = environment[RECORD]
        return SpaceCosts(**{**record, "limits": tuple(Within(**one) for one in record["limits"])})
    except (KeyError, TypeError):
        return None
