"""A controller that decides on a network layer by layer, and on the inputs of each layer by its anchor point.

Zoph, Le: Neural Architecture Search with Reinforcement Learning (ICLR 2017, arXiv 1611.01578), sections 3.2 and 3.3. An
LSTM decides on the filter's height and width, its stride if there is one, and the number of filters, each by a softmax;
what was decided, embedded, is the next input. One step later stands the layer's anchor point, whose state h_i is
compared with those of all earlier layers:
    P(layer j is an input of layer i) = sigmoid(v . tanh(W_prev h_j + W_curr h_i))                       (section 3.3)
So an anchor depends on everything decided before, and p(a) is the product over all decisions, anchors included.

What the paper does not say, and is ours:
    1. All layers share embeddings and softmaxes, one of each for height, width, stride and filters: layers that are
       added later begin with what the earlier ones have learned.
    2. What follows an anchor point is given the mean of the states h_j that it chose, or the first input if none.
    3. The number of layers is not decided: it is that of the space, or of the architecture.

Symbols: p, probabilities; h, state of the LSTM's last layer. All numbers are in double.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from random import Random

import torch
from torch import Tensor, nn

from dartboard.search.enas_controllers import Attention, Decide
from dartboard.spaces.nas_rl import anchors
from dartboard.spaces.search_space import Architecture, Choice, SearchSpace, Value

Taken = tuple[dict[str, Value], Tensor, Tensor]  # values by choice; of each decision log p and entropy, (T,)


class OfAnchors(nn.Module):
    """The network. by_layer: of each layer its decisions in order, without its anchors."""

    def __init__(self, space: SearchSpace, units: int, layers: int) -> None:
        super().__init__()
        self.first, known = space.choices[0], anchors(space)
        self.by_layer: dict[int, list[Choice]] = {}
        for choice in space.choices[1:]:
            if choice.name not in known:
                self.by_layer.setdefault(int(choice.name.split(".")[1]), []).append(choice)
        options = {part_of(choice): choice.options for choice in self.by_layer[1]}
        self.start = nn.Parameter(torch.empty(units, dtype=torch.double))
        self.lstm = nn.LSTM(units, units, layers, dtype=torch.double)
        self.embeddings, self.heads = nn.ModuleDict(), nn.ModuleDict()
        for part, own in options.items():
            self.embeddings[part] = nn.Embedding(len(own), units, dtype=torch.double)
            self.heads[part] = nn.Linear(units, len(own), dtype=torch.double)
        self.attention = Attention(units)

    def decided(self, depth: int, decide: Decide) -> Taken:
        """The decisions on a network of so many layers, which `decide` takes."""
        values: dict[str, Value] = {self.first.name: depth}
        log_p, entropies = [], []

        def take(names: Sequence[str], options: Sequence[Value], logits: Tensor) -> list[int]:
            rows = logits.log_softmax(-1)
            places = decide(names, rows.detach())
            values.update({name: options[place] for name, place in zip(names, places, strict=True)})
            log_p.append(rows[range(len(places)), places])
            entropies.append(-(rows.exp() * rows).sum(-1))
            return places

        self.walk(depth, take)
        return values, torch.cat(log_p), torch.cat(entropies)

    def walk(self, depth: int, take: Callable[[Sequence[str], Sequence[Value], Tensor], list[int]]) -> None:
        """Steps through the layers; take: (names of N choices, their options, logits (N, O)) -> what is taken."""
        x: Tensor = self.start
        states: tuple[Tensor, Tensor] | None = None
        h_before: list[Tensor] = []
        keys: list[Tensor] = []
        for number in range(1, depth + 1):
            for choice in self.by_layer[number]:
                part = part_of(choice)
                output, states = self.lstm(x[None], states)
                place = take([choice.name], choice.options, self.heads[part](output))[0]
                x = self.embeddings[part].weight[place]  # type: ignore[index]
            output, states = self.lstm(x[None], states)
            h, x = output[0], self.start
            if keys:
                q = self.attention(keys, h)  # section 3.3: v . tanh(W_prev h_j + W_curr h_i)
                names = [f"layer.{number}.skip.{earlier}" for earlier in range(1, number)]
                yes = take(names, (0, 1), torch.stack([torch.zeros_like(q), q], dim=1))  # softmax of (0, q): sigmoid(q)
                chosen = [state for state, bit in zip(h_before, yes, strict=True) if bit]
                x = torch.stack(chosen).mean(0) if chosen else x
            h_before.append(h)
            keys.append(self.attention.key(h))

    def log_probabilities(self, architecture: Architecture) -> tuple[Tensor, Tensor]:
        """Of each of the T decisions, anchors included: log p of what was taken, and its entropy; (T,) both."""
        values = dict(architecture.choices)
        options = {choice.name: choice.options for own in self.by_layer.values() for choice in own}

        def decide(names: Sequence[str], rows: Tensor) -> list[int]:
            return [options.get(name, (0, 1)).index(values[name]) for name in names]

        return self.decided(values[self.first.name], decide)[1:]

    @torch.no_grad()
    def propose(self, space: SearchSpace, rng: Random) -> Architecture:
        """Draws an architecture of the first depth of the space: one random number for each decision."""

        def decide(names: Sequence[str], rows: Tensor) -> list[int]:
            sums = [list(accumulate(row)) for row in rows.exp().tolist()]
            return [bisect_right(one, rng.random(), 0, len(one) - 1) for one in sums]

        return space.build(self.decided(space.choices[0].options[0], decide)[0])

    @torch.no_grad()
    def alone(self) -> tuple[Choice, Tensor]:
        """The one decision that depends on nothing, and its probabilities."""
        choice = self.by_layer[1][0]
        return choice, self.heads[part_of(choice)](self.lstm(self.start[None])[0][0]).softmax(-1)


def part_of(choice: Choice) -> str:
    """`height` of `layer.3.height`."""
    return choice.name.rpartition(".")[2]
