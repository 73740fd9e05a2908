"""What a method by trials is made of: a proposer names the next architectures, and learns from their scores.

`search` of a method runs one over the trials of a run; search/on_tables.py runs one a seed, without a run. Nothing here
imports torch.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

from dartboard.scoring.limits import MOST_DRAWS, Limit, fits, sample_within
from dartboard.scoring.scorers import Score
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture, SearchSpace, as_tuples

if TYPE_CHECKING:
    from torch import Tensor

    from dartboard.scoring.cost import Cost


@dataclass(frozen=True)
class Trial:
    """One scored architecture. number: of the trial, from 0."""

    number: int
    architecture: Architecture
    score: Score

    def to_json(self) -> dict[str, Any]:
        return {"number": self.number, "architecture": self.architecture.to_json(), "score": asdict(self.score)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Trial":
        """The trial that `to_json` wrote. Raises KeyError or TypeError for anything else."""
        family, choices = record["architecture"]["space"], record["architecture"]["choices"]
        architecture = FAMILIES[family].read({name: as_tuples(value) for name, value in choices.items()})
        return cls(record["number"], architecture, Score(**record["score"]))


class Draw(Protocol):
    """Draws an architecture that is within the limits of a search."""

    def __call__(
        self, rng: Random, propose: Callable[[Random], Architecture] | None = None, part: SearchSpace | None = None
    ) -> Architecture:
        """propose: how to draw, such as a mutation; None: each choice uniformly. part: of the space, to draw from."""


class Proposer(Protocol):
    """What proposes architectures, batch by batch, and what it knows of the trials before.

    A batch that is asked for again, from the same knowledge and with the same streams, is the same: a run that stopped
    within one asks for it again.
    """

    def ask(self, rngs: Sequence[Random]) -> list[Architecture]:
        """The architectures of the next batch, one a trial; rngs: the stream of each trial."""

    def tell(self, trials: Sequence[Trial]) -> None:
        """Learns from the trials of the batch that was asked for, in the order of their numbers."""

    def tensors(self) -> "dict[str, Tensor]":
        """What a checkpoint must hold besides `extra`."""

    def extra(self) -> dict[str, Any]:
        """What a checkpoint must hold, as JSON values."""

    def load(self, tensors: "Mapping[str, Tensor]", extra: Mapping[str, Any]) -> None:
        """Puts back what `tensors` and `extra` gave. Raises KeyError, TypeError or ValueError for anything else."""


@dataclass(frozen=True)
class Independent:
    """Proposes by draws that depend on nothing, and learns nothing."""

    draw: Draw

    def ask(self, rngs: Sequence[Random]) -> list[Architecture]:
        return [self.draw(rng) for rng in rngs]

    def tell(self, trials: Sequence[Trial]) -> None:
        pass

    def tensors(self) -> "dict[str, Tensor]":
        return {}

    def extra(self) -> dict[str, Any]:
        return {}

    def load(self, tensors: "Mapping[str, Tensor]", extra: Mapping[str, Any]) -> None:
        pass


@dataclass
class ByHistory:
    """Proposes by a function of all trials so far and a stream. draw: within the limits."""

    propose: Callable[[Sequence[Trial], Random], Architecture]
    draw: Draw
    seen: list[Trial] = field(default_factory=list)

    def ask(self, rngs: Sequence[Random]) -> list[Architecture]:
        return [self.draw(rng, partial(self.propose, self.seen)) for rng in rngs]

    def tell(self, scored: Sequence[Trial]) -> None:
        self.seen += scored

    def tensors(self) -> "dict[str, Tensor]":
        return {}

    def extra(self) -> dict[str, Any]:
        return {"seen": [trial.to_json() for trial in self.seen]}

    def load(self, tensors: "Mapping[str, Tensor]", extra: Mapping[str, Any]) -> None:
        self.seen[:] = [Trial.from_json(record) for record in extra["seen"]]


def drawing(space: SearchSpace, limits: Sequence[Limit], cost: "Callable[[Architecture], Cost]") -> Draw:
    """Draws within the limits. If 1,000 proposals in a row are not, the architecture is drawn uniformly instead.

    What it gives raises InputError if nothing fits the limits, as `sample_within`.
    """

    def draw(
        rng: Random, propose: Callable[[Random], Architecture] | None = None, part: SearchSpace | None = None
    ) -> Architecture:
        if propose is not None:
            for _ in range(MOST_DRAWS):
                architecture = propose(rng)
                if not limits or fits(cost(architecture), limits):
                    return architecture
        return sample_within(part or space, rng, limits, cost)

    return draw
