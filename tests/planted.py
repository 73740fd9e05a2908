"""A toy with a planted optimum: one cell whose operations see what tells the classes, all others see noise."""

from collections.abc import Sequence
from functools import reduce
from operator import add

import numpy as np
import torch
from torch import Tensor, nn

from dartboard.data import Data, load_data
from dartboard.networks.rows import Choice, Rows
from dartboard.spaces import darts as space
from dartboard.spaces import nasbench201
from dartboard.spaces.search_space import Architecture, SearchSpace

OPERATIONS = ("none", "skip_connect", "sep_conv_3x3", "dil_conv_3x3")
CLASSES, SEEN = 4, 16  # SEEN: pixels that an operation sees


def noisy_images(num_images: int = 400) -> Data:
    """8x8 grey noise; the first SEEN pixels carry the label, weakly."""
    rng = np.random.RandomState(0)
    labels = np.arange(num_images) % CLASSES
    pixels = rng.standard_normal((num_images, 64))
    pixels[:, :SEEN] += 0.7 * rng.standard_normal((CLASSES, SEEN))[labels]
    return load_data(((np.clip(pixels, -3, 3) + 3) / 6).reshape(num_images, 1, 8, 8), labels)


class PlantedSupernet(nn.Module):
    """Each operation of each edge is a linear classifier of SEEN pixels; their weighted sum is the answer.

    The planted cell's operations see the informative pixels, every other one random others: it can only learn noise
    by heart. Interface of a supernet: `operations`, `choice_shapes`, `forward(x, choice)`.
    """

    def __init__(self, planted: Architecture) -> None:
        super().__init__()
        self.operations = OPERATIONS
        self.planted = vertex(planted)
        edges, rng = space.edges(), np.random.RandomState(1)
        shape = (len(space.CELLS), len(edges), len(OPERATIONS))
        seen = np.stack([SEEN + rng.permutation(64 - SEEN)[:SEEN] for _ in range(int(np.prod(shape)))])
        seen[torch.stack(list(self.planted.values())).flatten().bool().numpy()] = np.arange(SEEN)
        self.register_buffer("seen", torch.from_numpy(seen))
        self.weight = nn.Parameter(torch.zeros(len(seen), SEEN, CLASSES))

    def choice_shapes(self) -> dict[str, tuple[int, int]]:
        return dict.fromkeys(space.CELLS, (len(space.edges()), len(OPERATIONS)))

    def forward(self, x: Tensor, choice: Choice) -> Tensor:
        """Logits (B, CLASSES) of x: (B, 1, 8, 8)."""
        parts = vertex(choice) if isinstance(choice, Architecture) else {k: weights(v) for k, v in choice.items()}
        mixture = torch.stack([parts[kind] for kind in space.CELLS])
        mixture = torch.cat([torch.zeros_like(mixture[..., :1]), mixture[..., 1:]], dim=-1)  # `none` adds nothing
        pixels = x.flatten(1)[:, self.seen]  # (B, everything, SEEN)
        return torch.einsum("bks,ksc,k->bc", pixels, self.weight, mixture.flatten().to(x.dtype))


class PlantedPaths(nn.Module):
    """A supernet of single paths, for any space: each option of each choice is a linear classifier of a few pixels, and
    those of a path are added up. The planted options share the informative pixels among them, every other one sees
    random others. Interface of a supernet: `forward(x, path)`."""

    def __init__(self, searched: SearchSpace, planted: Architecture) -> None:
        super().__init__()
        rng, choices = np.random.RandomState(1), searched.choices
        self.seen = {(choice.name, option): SEEN + rng.permutation(64 - SEEN)[: SEEN // len(choices)]
                     for choice in choices for option in choice.options}  # fmt: skip
        self.seen |= {pair: np.arange(SEEN)[place :: len(choices)] for place, pair in enumerate(planted.choices)}
        self.rows = {pair: row for row, pair in enumerate(self.seen)}
        self.weights = nn.ParameterList(torch.zeros(len(pixels), CLASSES) for pixels in self.seen.values())

    def forward(self, x: Tensor, path: Architecture) -> Tensor:
        """Logits (B, CLASSES) of x: (B, 1, 8, 8)."""
        parts = (x.flatten(1)[:, self.seen[pair]] @ self.weights[self.rows[pair]] for pair in path.choices)
        return reduce(add, parts)


def weights(rows: Rows) -> Tensor:
    """The mixture weights (E, O) of rows of any form; a bare number changes no loss, as it is added to every logit."""
    if isinstance(rows, Tensor):
        return rows
    like = next(iter(rows[0].values()))
    return torch.stack([torch.stack([row.get(name, torch.zeros_like(like)) for name in OPERATIONS]) for row in rows])


def vertex(architecture: Architecture, operations: Sequence[str] | space.Mixed = OPERATIONS) -> dict[str, Tensor]:
    """The mixture weights (E, O) that are the architecture: 1 where it has an operation, else 0."""
    edges = space.edges()
    found = {}
    for kind, rows in space.on_edges(operations).items():
        found[kind] = torch.zeros(len(edges), len(rows[0]))
        for number, inputs in enumerate(space.cell(architecture, kind).nodes, start=space.NUM_INPUTS):
            for name, source in inputs:
                edge = edges.index((source, number))
                found[kind][edge, rows[edge].index(name)] += 1.0
    return found


def nasbench201_vertex(architecture: Architecture, operations: nasbench201.Mixed) -> dict[str, Tensor]:
    """The mixture weights of the relaxed cell of NAS-Bench-201 that are the architecture."""
    rows = zip(nasbench201.NAMES, operations[nasbench201.CELL], strict=True)
    return {"cell": torch.tensor([[float(name == architecture[edge]) for name in row] for edge, row in rows])}


def matches(one: Architecture, other: Architecture) -> int:
    """How many of the 16 (edge, operation) pairs of two cells are the same."""
    return int(sum((a * b).sum() for a, b in zip(vertex(one).values(), vertex(other).values(), strict=True)))


class PlantedSlices(nn.Module):
    """A supernet of slices, for a space whose choices always exist: each choice is a linear classifier of the first of
    its pixels, the more the later the option. A few of its pixels are informative, all others are noise; the planted
    option is the first that sees them. Interface of a supernet that is trained by slices."""

    head_prefix = "last."

    def __init__(self, searched: SearchSpace, planted: Architecture, more: int = 12) -> None:
        """more: pixels of noise that each further option sees."""
        super().__init__()
        rng = np.random.RandomState(1)
        self.last = nn.Identity()
        self.choices = [choice for choice in searched.choices if len(choice.options) > 1]
        self.seen, self.sizes = [], []
        for number, choice in enumerate(self.choices):
            first, own = choice.options.index(planted[choice.name]), np.arange(SEEN)[number :: len(self.choices)]
            noise = SEEN + rng.permutation(64 - SEEN)[: more * len(choice.options)]
            self.seen.append(np.insert(noise, more * first, own))
            self.sizes.append([more * place + len(own) * (place >= first) for place in range(len(choice.options))])
        self.weights = nn.ParameterList(torch.zeros(len(pixels), CLASSES) for pixels in self.seen)

    def sort_channels(self, kept: Sequence[int] = ()) -> list[Tensor]:
        return []

    def residual_ends(self) -> list[nn.BatchNorm2d]:
        return []

    def forward(self, x: Tensor, path: Architecture) -> Tensor:
        """Logits (B, CLASSES) of x: (B, 1, 8, 8)."""
        pixels, total = x.flatten(1), x.new_zeros(len(x), CLASSES)
        for choice, seen, sizes, weight in zip(self.choices, self.seen, self.sizes, self.weights, strict=True):
            size = sizes[choice.options.index(path[choice.name])]
            total = total + pixels[:, seen[:size]] @ weight[:size]
        return self.last(total)  # type: ignore[no-any-return]
