"""A controller whose probabilities of a choice depend on all choices before: an LSTM that walks the space.

Zoph, Le: Neural Architecture Search with Reinforcement Learning (ICLR 2017, arXiv 1611.01578), section 3.2: the option
taken at a choice, embedded, is the input at the next one; each choice has a softmax of its own over its options.
A choice that does not exist is left out. Symbols: see search/controllers.py. All numbers are in double.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random

import numpy as np
import torch
from torch import Tensor, nn

from dartboard.search.anchors import OfAnchors
from dartboard.search.controllers import Array, Propose
from dartboard.spaces.search_space import Architecture, Choice, SearchSpace, Value
from dartboard.training import loop
from dartboard.training.optimizers import Adam


class Lstm(nn.Module):
    """The network: for each choice an embedding of its options and a linear layer to their logits."""

    def __init__(self, space: SearchSpace, units: int, layers: int) -> None:
        super().__init__()
        self.choice = space.choices[0]
        self.start = nn.Parameter(torch.empty(units, dtype=torch.double))
        self.lstm = nn.LSTM(units, units, layers, dtype=torch.double)
        self.embeddings, self.heads = nn.ModuleList(), nn.ModuleList()
        for choice in space.choices:
            self.embeddings.append(nn.Embedding(len(choice.options), units, dtype=torch.double))
            self.heads.append(nn.Linear(units, len(choice.options), dtype=torch.double))
        self.number = {choice.name: number for number, choice in enumerate(space.choices)}
        self.places = [{option: place for place, option in enumerate(choice.options)} for choice in space.choices]

    def embedded(self, name: str, value: Value) -> Tensor:
        """(units,): the input after this option was taken."""
        number = self.number[name]
        found: Tensor = self.embeddings[number].weight[self.places[number][value]]  # type: ignore[index]
        return found

    def rows(self, architecture: Architecture) -> list[Tensor]:
        """log p of the options of each choice that exists, given the options taken before it."""
        taken = architecture.choices
        inputs = torch.stack([self.start, *(self.embedded(*pair) for pair in taken[:-1])])
        outputs = self.lstm(inputs)[0]
        return [self.heads[self.number[n]](row).log_softmax(-1) for (n, _), row in zip(taken, outputs, strict=True)]

    def log_probabilities(self, architecture: Architecture) -> tuple[Tensor, Tensor]:
        """Of each of the T choices that exist: log p of the option taken, and the entropy of its options; (T,) both."""
        rows = self.rows(architecture)
        pairs = zip(rows, architecture.choices, strict=True)
        taken = [row[self.places[self.number[name]][value]] for row, (name, value) in pairs]
        return torch.stack(taken), torch.stack([-(row.exp() * row).sum() for row in rows])

    @torch.no_grad()
    def propose(self, space: SearchSpace, rng: Random) -> Architecture:
        """Draws an architecture: one random number for each choice that exists."""
        given: Tensor = self.start
        state: tuple[Tensor, Tensor] | None = None

        def pick(choice: Choice) -> Value:
            nonlocal given, state
            output, state = self.lstm(given[None], state)
            sums = self.heads[self.number[choice.name]](output[0]).softmax(-1).cumsum(-1)
            place = int(torch.searchsorted(sums, rng.random(), right=True))
            value = choice.options[min(place, len(choice.options) - 1)]
            given = self.embedded(choice.name, value)
            return value

        return space.walk(pick)

    @torch.no_grad()
    def alone(self) -> tuple[Choice, Tensor]:
        """The one choice whose probabilities depend on nothing, the first, and these."""
        return self.choice, self.heads[0](self.lstm(self.start[None])[0][0]).softmax(-1)


Network = Lstm | OfAnchors
Make = Callable[[SearchSpace, int, int], Network]


class LstmController:
    """An LSTM for each run, one after another. Weights begin uniformly in [-init, init]. rngs: of each run; make: the
    kind of network."""

    def __init__(
        self,
        space: SearchSpace,
        rngs: Sequence[Random],
        lr: float,
        units: int,
        layers: int,
        init: float,
        make: Make = Lstm,
    ) -> None:
        self.space = space
        self.networks = [initial(space, rng, units, layers, init, make) for rng in rngs]
        self.adams = [Adam(network.parameters(), lr, maximize=True) for network in self.networks]

    def proposals(self) -> list[Propose]:
        return [partial(network.propose, self.space) for network in self.networks]

    def ascend(self, drawn: Sequence[Sequence[Architecture]], advantages: Array, entropy_weight: float) -> None:
        for network, adam, own, values in zip(self.networks, self.adams, drawn, advantages.tolist(), strict=True):
            parts = [objective(network, a, value, entropy_weight) for a, value in zip(own, values, strict=True)]
            weights = list(network.parameters())
            gradients = torch.autograd.grad(torch.stack(parts).mean(), weights, materialize_grads=True)
            for weight, gradient in zip(weights, gradients, strict=True):  # 0 for choices that no path met
                weight.grad = gradient
            adam.step()

    @torch.no_grad()
    def log_probabilities(self, drawn: Sequence[Sequence[Architecture]]) -> Array:
        pairs = zip(self.networks, drawn, strict=True)
        return np.array([[network.log_probabilities(a)[0].sum().item() for a in own] for network, own in pairs])

    def probabilities(self) -> list[tuple[str, tuple[Value, ...], list[float]]]:
        choice, row = self.networks[0].alone()
        return [(choice.name, choice.options, row.tolist())]

    def tensors(self) -> dict[str, Tensor]:
        parts: dict[str, loop.Savable] = {"network": self.networks[0], "adam": self.adams[0]}
        return {f"{name}/{key}": one for name, part in parts.items() for key, one in loop.tensors_of(part).items()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        for name, part in (("network", self.networks[0]), ("adam", self.adams[0])):
            own = {key.removeprefix(f"{name}/"): one for key, one in tensors.items() if key.startswith(f"{name}/")}
            if not loop.fits(part, own):
                raise ValueError(f"{name} of another space or size")
            loop.put_back(part, own)


def initial(space: SearchSpace, rng: Random, units: int, layers: int, init: float, make: Make = Lstm) -> Network:
    """A network with weights from a stream; torch's global generator is left alone."""
    with torch.device("meta"):
        network = make(space, units, layers)
    network = network.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(rng.getrandbits(63))
    with torch.no_grad():
        for weight in network.parameters():
            weight.uniform_(-init, init, generator=generator)
    return network


def objective(network: Network, architecture: Architecture, advantage: float, entropy_weight: float) -> Tensor:
    """A(a) log p(a) + beta H along the path of a; its gradient, averaged over draws, is that of the expectations.

    H is the mean over paths of the sum of the entropies along them. That the path depends on the weights as well is
    the part with log p: an option weighs as much as the entropies of what follows it.
    """
    log_p, entropies = network.log_probabilities(architecture)
    after = entropies.sum() - entropies.cumsum(0)
    return advantage * log_p.sum() + entropy_weight * (entropies + log_p * after.detach()).sum()
