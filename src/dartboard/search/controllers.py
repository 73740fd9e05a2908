"""Controllers: distributions over the architectures of a space, learned by gradient ascent; independent logits.

A controller walks a space: at each choice that exists it has probabilities of the options, and those of an architecture
multiply to p(a). So the probabilities of all architectures sum to 1, whatever choices are conditional. search/lstm.py
has the controller whose choices depend on those before.

Symbols: p, probabilities; H, the entropy of the distribution over architectures; A(a), the advantage of an architecture
that was drawn; beta, the weight of the entropy. A step goes up the gradient of   mean A(a) log p(a) + beta H.

Arrays have a row for each of R runs, which know nothing of each other: (R, C, O), choices and options; a choice with
fewer options is filled up with some that have the probability 0. A row's numbers are the same whatever R is.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from random import Random
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dartboard.spaces.search_space import Architecture, Choice, SearchSpace, Value

Array = NDArray[np.float64]
Propose = Callable[[Random], Architecture]


class Controller(Protocol):
    """The distributions of R runs. What `load` takes is what `tensors` of a controller of the same space gave."""

    def proposals(self) -> list[Propose]:
        """What draws an architecture from the distribution of each run, as it is now."""

    def ascend(self, drawn: Sequence[Sequence[Architecture]], advantages: Array, entropy_weight: float) -> None:
        """One step of Adam for each run. drawn: B architectures of each; advantages: (R, B)."""

    def log_probabilities(self, drawn: Sequence[Sequence[Architecture]]) -> Array:
        """(R, B): log p of B architectures of each run, by its distribution as it is now."""

    def probabilities(self) -> list[tuple[str, tuple[Value, ...], list[float]]]:
        """Of the first run, for each choice that can be told by itself: its name, its options, their probabilities."""

    def tensors(self) -> dict[str, Tensor]: ...

    def load(self, tensors: Mapping[str, Tensor]) -> None: ...


class Adam:
    """Steps uphill (Kingma, Ba, 2015, Algorithm 1), with the constants of torch.optim.Adam."""

    def __init__(self, lr: float, shape: tuple[int, ...]) -> None:
        self.lr, self.steps = lr, 0
        self.first, self.second = np.zeros(shape), np.zeros(shape)

    def step(self, gradient: Array) -> Array:
        """What to add to the parameters."""
        self.steps += 1
        self.first = 0.9 * self.first + (1 - 0.9) * gradient
        self.second = 0.999 * self.second + (1 - 0.999) * gradient**2
        mean, square = self.first / (1 - 0.9**self.steps), self.second / (1 - 0.999**self.steps)
        move: Array = self.lr * mean / (np.sqrt(square) + 1e-8)
        return move


class IndependentLogits:
    """Logits of the options of each choice, which depend on no other choice. They begin at 0: all are equally likely.

    there: (C, O), which options there are; after: for each choice that is conditional the number of the one that it
    depends on, and (O,) which of its options make it exist.
    """

    def __init__(self, space: SearchSpace, runs: int, lr: float) -> None:
        self.space, self.number = space, {choice.name: number for number, choice in enumerate(space.choices)}
        self.places = [{option: place for place, option in enumerate(choice.options)} for choice in space.choices]
        most = max(len(choice.options) for choice in space.choices)
        self.there = np.array([np.arange(most) < len(choice.options) for choice in space.choices])
        self.after = {self.number[one.name]: self.condition(one, most) for one in space.choices if one.when is not None}
        self.logits = np.zeros((runs, *self.there.shape))
        self.adam = Adam(lr, self.logits.shape)

    def condition(self, choice: Choice, most: int) -> tuple[int, NDArray[np.bool_]]:
        """The number of the choice on which another depends, and which of its options make that one exist."""
        assert choice.when is not None
        number = self.number[choice.when[0]]
        makes = [option in choice.when[1] for option in self.space.choices[number].options]
        return number, np.array(makes + [False] * (most - len(makes)))

    def proposals(self) -> list[Propose]:
        return [self.proposal(rows) for rows in distributions(self.logits, self.there)[0].tolist()]

    def proposal(self, rows: list[list[float]]) -> Propose:
        """What draws by these probabilities of each choice's options: one random number for each that exists."""
        sums = {name: list(accumulate(rows[number])) for name, number in self.number.items()}

        def propose(rng: Random) -> Architecture:
            def pick(choice: Choice) -> Value:
                last = len(choice.options) - 1  # where rounding leaves the sum of all a little below 1
                return choice.options[bisect_right(sums[choice.name], rng.random(), 0, last)]

            return self.space.walk(pick)

        return propose

    def ascend(self, drawn: Sequence[Sequence[Architecture]], advantages: Array, entropy_weight: float) -> None:
        self.logits = self.logits + self.adam.step(self.gradient(drawn, advantages, entropy_weight))

    def gradient(self, drawn: Sequence[Sequence[Architecture]], advantages: Array, entropy_weight: float) -> Array:
        """(R, C, O): that of  mean A(a) log p(a) + beta H  by the logits."""
        p, log_p = distributions(self.logits, self.there)
        found: Array = np.zeros_like(p)
        for batch in range(advantages.shape[1]):
            taken = self.taken([own[batch] for own in drawn])
            # grad log p(a): of each choice that exists, 1 at the option taken, minus p
            score = taken - taken.sum(-1, keepdims=True) * p
            found += advantages[:, batch, None, None] * score
        found /= advantages.shape[1]
        return found + entropy_weight * self.entropy_gradient(p, log_p) if entropy_weight else found

    def taken(self, architectures: Sequence[Architecture]) -> Array:
        """(R, C, O): 1 at the option of each choice that exists."""
        found = np.zeros((len(architectures), *self.there.shape))
        for run, architecture in enumerate(architectures):
            for name, value in architecture.choices:
                number = self.number[name]
                found[run, number, self.places[number][value]] = 1.0
        return found

    def log_probability(self, architectures: Sequence[Architecture]) -> Array:
        """(R,): log p(a) of one architecture for each run."""
        found: Array = (self.taken(architectures) * distributions(self.logits, self.there)[1]).sum((1, 2))
        return found

    def log_probabilities(self, drawn: Sequence[Sequence[Architecture]]) -> Array:
        return np.stack([self.log_probability(own) for own in zip(*drawn, strict=True)], axis=1)

    def entropy(self) -> Array:
        """(R,): H, exact."""
        p, log_p = distributions(self.logits, self.there)
        below = self.below(p, log_p)
        free = [number for number in range(len(self.places)) if number not in self.after]
        found: Array = (p * below)[:, free].sum((1, 2))
        return found

    def below(self, p: Array, log_p: Array) -> Array:
        """(R, C, O): - log p of an option, plus the entropies of what exists by it, which come later."""
        found: Array = -log_p
        for number, (before, makes) in reversed(self.after.items()):
            own = (p[:, number] * found[:, number]).sum(-1)
            found[:, before] += own[:, None] * makes
        return found

    def entropy_gradient(self, p: Array, log_p: Array) -> Array:
        """(R, C, O): that of H by the logits."""
        exists = np.ones(p.shape[:2])
        for number, (before, makes) in self.after.items():
            exists[:, number] = exists[:, before] * (p[:, before] * makes).sum(-1)
        below = self.below(p, log_p)
        found: Array = exists[..., None] * p * (below - (p * below).sum(-1, keepdims=True))
        return found

    def probabilities(self) -> list[tuple[str, tuple[Value, ...], list[float]]]:
        rows = distributions(self.logits, self.there)[0][0].tolist()
        pairs = zip(self.space.choices, rows, strict=True)
        return [(choice.name, choice.options, row[: len(choice.options)]) for choice, row in pairs]

    def tensors(self) -> dict[str, Tensor]:
        arrays = {"logits": self.logits, "first": self.adam.first, "second": self.adam.second}
        return {**{name: torch.from_numpy(one) for name, one in arrays.items()}, "steps": torch.tensor(self.adam.steps)}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        found: dict[str, Any] = {name: tensors[name].numpy() for name in ("logits", "first", "second", "steps")}
        if any(found[name].shape != self.logits.shape for name in ("logits", "first", "second")):
            raise ValueError("logits of another space")
        self.logits, self.adam.first, self.adam.second = found["logits"], found["first"], found["second"]
        self.adam.steps = int(found["steps"])


def distributions(logits: Array, there: NDArray[np.bool_]) -> tuple[Array, Array]:
    """p and log p, both (R, C, O): a softmax over the options that there are; 0 for the others in both."""
    largest = np.where(there, logits, -np.inf).max(-1, keepdims=True)
    powers = np.where(there, np.exp(np.where(there, logits - largest, 0.0)), 0.0)
    sums = powers.sum(-1, keepdims=True)
    return powers / sums, np.where(there, logits - largest - np.log(sums), 0.0)
