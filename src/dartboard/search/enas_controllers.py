"""The controllers of ENAS: an LSTM that decides on an architecture step by step, each decision seeing those before.

Pham et al.: Efficient Neural Architecture Search via Parameter Sharing (ICML 2018, arXiv 1802.03268), in the order of
decisions of the authors' code (melodyguan/enas): `OfCells` for its micro space, `OfLayers` for its macro space. Any
other space is walked choice by choice by `OfChoices`, the controller of NAS-Bench-201's code (D-X-Y/AutoDL-Projects).

`controller(decide)` makes the decisions that `decide` takes, and returns them with how likely they were. `given` takes
those of an architecture, `drawn` draws them. Numbers are in double, on the CPU.

Symbols: h, state of the LSTM's last layer; p, probabilities of a decision; H, its entropy.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random

import torch
from torch import Tensor, nn

from dartboard.config import check_ranges
from dartboard.spaces.search_space import Architecture, Choice, SearchSpace, Value

Decide = Callable[[Sequence[str], Tensor], list[int]]  # names of N choices, log p (N, O) -> the place of each option
States = list[tuple[Tensor, Tensor]]  # of each layer: cell and h, both (units,)
SEPARABLE = "sep_conv"  # what the names of the operations begin with to which the micro controller is biased


@dataclass(frozen=True)
class ControllerSettings:
    """Sizes of an LSTM, and how it turns its states into decisions. Defaults: the authors' micro search."""

    controller_units: int = 64
    """units of each layer of the LSTM (code 64; paper 100; NAS-Bench-201's code 32)"""
    controller_layers: int = 1
    """layers of the LSTM (code 1; NAS-Bench-201's code 2)"""
    controller_init: float = 0.1
    """the LSTM's weights begin uniformly between this and its negative (code)"""
    tanh: float = 1.1
    """largest logit of a decision: tanh * tanh(logit / temperature) (code 1.10; macro 1.5; NAS-Bench-201's code 2.5)"""
    temperature: float = 1.0
    """temperature of the decisions (code: none, which is 1; NAS-Bench-201's code 5)"""
    operation_tanh: float = 2.5
    """in the cells of enas_micro, by what the largest logit is divided for operations (--controller_op_tanh_reduce)"""
    operation_bias: float = 10.0
    """in these cells, where the bias of separable convolutions begins, and that of others at 0 (code)"""
    operation_pattern: float = 0.25
    """in normal cells, what logits of separable convolutions have more for good, and those of others less (code)"""
    skip_target: float = 0.4
    """in enas_macro, the share of skip connections from which the penalty is measured (--controller_skip_target)"""

    def check(self) -> None:
        """Raises InputError for a value out of its range."""
        check_ranges(self, controller_units="[1, 4096]", controller_layers="[1, 64]", controller_init="(0, inf)")
        check_ranges(self, tanh="(0, inf)", temperature="(0, inf)", operation_tanh="(0, inf)", skip_target="(0, 1)")
        check_ranges(self, operation_bias="[0, inf)", operation_pattern="[0, inf)")


@dataclass(frozen=True)
class Decided:
    """An architecture; log_p: of it, (), and penalty: of its skip connections, (), both with gradients; entropy: the
    sum of the entropies of the distributions met; taken_entropy: the sum of -p log p of the options taken alone; rows:
    of each choice the distribution met."""

    architecture: Architecture
    log_p: Tensor
    entropy: float
    taken_entropy: float
    penalty: Tensor
    rows: dict[str, Tensor]


@dataclass
class Decisions:
    """What was decided on the way through a space: values by choice, log p of what was taken, entropies."""

    options: dict[str, tuple[Value, ...]]
    decide: Decide
    values: dict[str, Value] = field(default_factory=dict)
    log_p: list[Tensor] = field(default_factory=list)
    rows: dict[str, Tensor] = field(default_factory=dict)

    def take(self, names: Sequence[str], logits: Tensor) -> list[int]:
        """The places of the options taken. names: N choices; logits: (N, O)."""
        rows = logits.log_softmax(-1)
        places = self.decide(names, rows.detach())
        self.values |= {name: self.options[name][place] for name, place in zip(names, places, strict=True)}
        self.rows |= dict(zip(names, rows.detach().exp(), strict=True))
        self.log_p.append(rows[range(len(places)), places])
        return places

    def end(self, space: SearchSpace, penalty: Tensor) -> Decided:
        log_p = torch.cat(self.log_p)
        taken = -(log_p * log_p.exp()).detach().sum()
        entropy = sum(float(torch.special.entr(p).sum()) for p in self.rows.values())
        return Decided(space.build(self.values), log_p.sum(), entropy, float(taken), penalty, self.rows)


def drawn(rng: Random) -> Decide:
    """Draws each decision by its probabilities: one random number for each choice."""

    def decide(names: Sequence[str], rows: Tensor) -> list[int]:
        sums = [list(accumulate(row)) for row in rows.exp().tolist()]
        return [bisect_right(one, rng.random(), 0, len(one) - 1) for one in sums]

    return decide


def given(architecture: Architecture, space: SearchSpace) -> Decide:
    """Takes the decisions that make the architecture."""
    values, options = dict(architecture.choices), options_of(space)
    return lambda names, rows: [options[name].index(values[name]) for name in names]


def options_of(space: SearchSpace) -> dict[str, tuple[Value, ...]]:
    return {choice.name: choice.options for choice in space.choices}


def zero() -> Tensor:
    return torch.zeros((), dtype=torch.double)


def weight(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(shape, dtype=torch.double))


# --- Their parts ------------------------------------------------------------------------------------------------------


class Lstm(nn.Module):
    """LSTM cells without biases, one on another. w: of each, (2 units, 4 units): rows of its input, then of its h;
    columns of the input, forget and output gates, then of what enters the cell."""

    def __init__(self, units: int, layers: int) -> None:
        super().__init__()
        self.w = nn.ParameterList(weight(2 * units, 4 * units) for _ in range(layers))

    def begin(self) -> States:
        zeros = self.w[0].new_zeros(self.w[0].shape[0] // 2)
        return [(zeros, zeros)] * len(self.w)

    def forward(self, x: Tensor, states: States) -> tuple[Tensor, States]:
        """h of the last layer, and the new states. x: (units,)."""
        found = []
        for w, (cell, h) in zip(self.w, states, strict=True):
            enter, forget, leave, new = (torch.cat([x, h]) @ w).chunk(4)
            cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
            x = leave.sigmoid() * cell.tanh()
            found.append((cell, x))
        return x, found


class Attention(nn.Module):
    """How well each of several anchors answers a state: v . tanh(w_1 anchor + w_2 h), by keys w_1 anchor."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.w_1, self.w_2, self.v = weight(units, units), weight(units, units), weight(units, 1)

    def key(self, h: Tensor) -> Tensor:
        return h @ self.w_1

    def forward(self, keys: Sequence[Tensor], h: Tensor) -> Tensor:
        """(N,) of N keys (units,)."""
        return (torch.stack(list(keys)) + h @ self.w_2).tanh() @ self.v[:, 0]


# --- Micro ------------------------------------------------------------------------------------------------------------


class OfCells(nn.Module):
    """ENAS micro: for each block of a cell two inputs, by attention over the nodes before it, then two operations; the
    state goes on from cell to cell. Choices: `normal.2.input1`, `.input2`, `.operation1`, `.operation2`, and so on.

    READS: settings that no other controller reads.
    """

    READS = ("operation_tanh",)

    def __init__(self, space: SearchSpace, sizes: ControllerSettings) -> None:
        super().__init__()
        self.space, self.sizes, self.options = space, sizes, options_of(space)
        self.blocks: dict[str, list[str]] = {}  # by kind of cell, in order
        for choice in space.choices:
            block = choice.name.rpartition(".")[0]
            found = self.blocks.setdefault(block.partition(".")[0], [])
            found += [] if block in found else [block]
        operations = next(choice.options for choice in space.choices if choice.name.endswith("operation1"))
        self.separable = torch.tensor([str(name).startswith(SEPARABLE) for name in operations], dtype=torch.double)
        self.lstm, self.attention = (
            Lstm(sizes.controller_units, sizes.controller_layers),
            Attention(sizes.controller_units),
        )
        self.start, self.embedding = weight(sizes.controller_units), weight(len(operations), sizes.controller_units)
        self.softmax, self.bias = weight(sizes.controller_units, len(operations)), weight(len(operations))

    @torch.no_grad()
    def set_biases(self) -> None:
        """At the start separable convolutions are likelier."""
        self.bias.copy_(self.sizes.operation_bias * self.separable)

    def forward(self, decide: Decide) -> Decided:
        found, states = Decisions(self.options, decide), self.lstm.begin()
        for number, blocks in enumerate(self.blocks.values()):
            states = self.cell(
                blocks, self.sizes.operation_pattern * (2 * self.separable - 1) * (number == 0), states, found
            )
        return found.end(self.space, zero())

    def cell(self, blocks: Sequence[str], pattern: Tensor, states: States, found: Decisions) -> States:
        """Decides on the blocks of a cell. pattern: (O,), added to the logits of operations."""
        anchors, keys = [torch.zeros_like(self.start)] * 2, []
        for _ in range(2):  # the inputs of the cell have keys, and anchors of zeros
            h, states = self.lstm(self.start, states)
            keys.append(self.attention.key(h))
        for block in blocks:
            x: Tensor = self.start
            for name in (f"{block}.input1", f"{block}.input2"):
                h, states = self.lstm(x, states)
                logits = bounded(self.attention(keys, h), self.sizes.tanh, self.sizes.temperature)
                x = anchors[found.take([name], logits[None])[0]]
            for name in (f"{block}.operation1", f"{block}.operation2"):
                h, states = self.lstm(x, states)
                largest = self.sizes.tanh / self.sizes.operation_tanh
                logits = bounded(h @ self.softmax + self.bias, largest, self.sizes.temperature) + pattern
                x = self.embedding[found.take([name], logits[None])[0]]
            h, states = self.lstm(x, states)
            anchors.append(h)
            keys.append(self.attention.key(h))
        return states


def bounded(logits: Tensor, largest: float, temperature: float) -> Tensor:
    """Logits between -largest and largest."""
    return largest * (logits / temperature).tanh()


# --- Macro ------------------------------------------------------------------------------------------------------------


class OfLayers(nn.Module):
    """ENAS macro: for each layer an operation, then whether each earlier layer skips to it, by attention.

    Choices: `layer.1.operation`, `layer.2.operation`, `layer.2.skip.1`, and so on. READS: as of OfCells.
    """

    READS = ("skip_target", "skip_weight")

    def __init__(self, space: SearchSpace, sizes: ControllerSettings) -> None:
        super().__init__()
        self.space, self.sizes, self.options = space, sizes, options_of(space)
        operations = space.choices[0].options
        self.num_layers = sum(choice.name.endswith(".operation") for choice in space.choices)
        self.lstm, self.attention = (
            Lstm(sizes.controller_units, sizes.controller_layers),
            Attention(sizes.controller_units),
        )
        self.start, self.embedding = weight(sizes.controller_units), weight(len(operations), sizes.controller_units)
        self.softmax = weight(sizes.controller_units, len(operations))

    def forward(self, decide: Decide) -> Decided:
        found, states = Decisions(self.options, decide), self.lstm.begin()
        x: Tensor = self.start
        anchors: list[Tensor] = []
        keys: list[Tensor] = []
        penalties = []
        for layer in range(1, self.num_layers + 1):
            h, states = self.lstm(x, states)
            logits = bounded(h @ self.softmax, self.sizes.tanh, self.sizes.temperature)
            place = found.take([f"layer.{layer}.operation"], logits[None])[0]
            h, states = self.lstm(self.embedding[place], states)
            x = self.start
            if anchors:
                q = self.attention(keys, h)
                logits = bounded(torch.stack([-q, q], dim=1), self.sizes.tanh, self.sizes.temperature)
                skips = found.take([f"layer.{layer}.skip.{before + 1}" for before in range(len(keys))], logits)
                penalties.append(skip_penalty(logits, self.sizes.skip_target))
                x = x.new_tensor(skips) @ torch.stack(anchors) / (1 + sum(skips))
            anchors.append(h)
            keys.append(self.attention.key(h))
        return found.end(self.space, torch.stack(penalties).mean() if penalties else zero())


def skip_penalty(logits: Tensor, target: float) -> Tensor:
    """The sum, over the skips into a layer, of KL(p, target) with p the sigmoid of each of the two logits, (N, 2)."""
    p = logits.sigmoid()
    return (p * (p / p.new_tensor([1 - target, target])).log()).sum()


# --- Any other space --------------------------------------------------------------------------------------------------


class OfChoices(nn.Module):
    """Walks the choices of any space; those with the same options share an embedding and a softmax.

    A choice that does not exist is left out. READS: as of OfCells.
    """

    READS = ()

    def __init__(self, space: SearchSpace, sizes: ControllerSettings) -> None:
        super().__init__()
        self.space, self.sizes, self.options = space, sizes, options_of(space)
        kinds = list(dict.fromkeys(self.options.values()))
        self.kind = {name: kinds.index(options) for name, options in self.options.items()}
        units, layers = sizes.controller_units, sizes.controller_layers
        self.start = weight(units)
        self.lstm = nn.LSTM(units, units, layers, dtype=torch.double, device="meta").to_empty(device="cpu")
        self.embeddings = nn.ParameterList(weight(len(options), units) for options in kinds)
        self.heads = nn.ParameterList(weight(units, len(options)) for options in kinds)
        self.biases = nn.ParameterList(weight(len(options)) for options in kinds)

    def forward(self, decide: Decide) -> Decided:
        found = Decisions(self.options, decide)
        x: Tensor = self.start
        states: tuple[Tensor, Tensor] | None = None

        def pick(choice: Choice) -> Value:
            nonlocal x, states
            kind = self.kind[choice.name]
            output, states = self.lstm(x[None], states)
            logits = bounded(output @ self.heads[kind] + self.biases[kind], self.sizes.tanh, self.sizes.temperature)
            place = found.take([choice.name], logits)[0]
            x = self.embeddings[kind][place]
            return choice.options[place]

        self.space.walk(pick)
        return found.end(self.space, zero())


# --- Which one --------------------------------------------------------------------------------------------------------

Controller = OfCells | OfLayers | OfChoices
CONTROLLERS: dict[str, type[OfCells] | type[OfLayers]] = {"enas_micro": OfCells, "enas_macro": OfLayers}  # by family


def unread(space: SearchSpace) -> list[str]:
    """Settings that the controllers of other spaces alone read."""
    own = CONTROLLERS.get(space.family, OfChoices).READS
    return [name for one in CONTROLLERS.values() for name in one.READS if name not in own]


@torch.no_grad()
def initial(space: SearchSpace, sizes: ControllerSettings, generator: torch.Generator) -> Controller:
    """The controller of a space with weights drawn uniformly in [-init, init]."""
    controller = CONTROLLERS.get(space.family, OfChoices)(space, sizes)
    for parameter in controller.parameters():
        parameter.uniform_(-sizes.controller_init, sizes.controller_init, generator=generator)
    if isinstance(controller, OfCells):
        controller.set_biases()
    return controller


@torch.no_grad()
def met(controller: Controller, rngs: Sequence[Random]) -> dict[str, Tensor]:
    """The probabilities of each choice's options, on average over one draw a stream; uniform for one that none met."""
    rows = [controller(drawn(rng)).rows for rng in rngs]
    found = {}
    for name, options in options_of(controller.space).items():
        own = [row[name] for row in rows if name in row]
        found[name] = torch.stack(own).mean(0) if own else torch.full((len(options),), 1 / len(options))
    return found
