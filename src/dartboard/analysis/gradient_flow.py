"""How strong the gradient is at each cell and on each edge of a network. Nothing here trains anything."""

import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.hooks import RemovableHandle

from dartboard.networks.darts import Network, NetworkCell
from dartboard.scoring.evaluate import restored_buffers

Gradients = tuple[Tensor | None, ...] | Tensor
Note = Callable[[nn.Module, Gradients, Gradients], None]


@dataclass(frozen=True)
class EdgeFlow:
    """An input of a node of one of the network's cells. arriving: norm of the loss's gradient in the output of the
    operation; passed: norm of the part of the gradient in its source that comes back through this operation."""

    cell: int
    kind: str
    node: int
    input: int
    operation: str
    source: int
    arriving: float
    passed: float

    @property
    def transmission(self) -> float:
        """passed / arriving: 1 for a skip connection at stride 1, 0 for `none`; 0 if nothing arrives."""
        return self.passed / self.arriving if self.arriving else 0.0


@dataclass(frozen=True)
class CellFlow:
    """One cell of the network: norms of the gradient in its output map, and in all its weights."""

    cell: int
    kind: str
    output: float
    weights: float


@dataclass(frozen=True)
class Flow:
    """loss: mean cross entropy of the batch; total: norm of the gradient in all weights."""

    loss: float
    total: float
    cells: tuple[CellFlow, ...]
    edges: tuple[EdgeFlow, ...]


def flow(network: Network, x: Tensor, y: Tensor) -> Flow:
    """The gradient of the mean cross entropy of one batch, x: (B, C, H, W), y: (B,), in training mode.

    All norms are Euclidean, over all numbers of a tensor. Weights, their gradients and BatchNorm's buffers stay.
    """
    was_training, weights = network.training, [p for p in network.parameters() if p.requires_grad]
    arriving: dict[tuple[int, int], float] = {}
    passed: dict[tuple[int, int], float] = {}
    outputs: dict[int, float] = {}
    network.train()
    with restored_buffers(network), ExitStack() as stack:
        for position, cell in enumerate(network.cells):
            stack.enter_context(watching(cell, partial(note_output, outputs, position)))
            assert isinstance(cell, NetworkCell)
            for number, operation in enumerate(cell.ops):
                stack.enter_context(watching(operation, partial(note_edge, arriving, passed, (position, number))))
        loss = F.cross_entropy(network.logits(x)[0], y)
        gradients = torch.autograd.grad(loss, weights, allow_unused=True)
    network.train(was_training)
    known = {id(weight): norm(gradient) for weight, gradient in zip(weights, gradients, strict=True)}
    cells = tuple(
        CellFlow(position, kind_of(cell), outputs.get(position, 0.0), root_of_squares(cell, known))
        for position, cell in enumerate(network.cells)
    )
    edges = tuple(
        EdgeFlow(*place, arriving.get(key, 0.0), passed.get(key, 0.0)) for key, place in edge_places(network).items()
    )
    return Flow(float(loss.detach()), root_of_squares(network, known), cells, edges)


def watching(module: nn.Module, note: Note) -> RemovableHandle:
    """A hook that receives the gradients in the module's inputs and outputs, as a context manager."""
    return module.register_full_backward_hook(note)


def note_output(outputs: dict[int, float], position: int, _: nn.Module, __: Gradients, after: Gradients) -> None:
    outputs[position] = norm(after[0])


def note_edge(
    arriving: dict[tuple[int, int], float],
    passed: dict[tuple[int, int], float],
    key: tuple[int, int],
    _: nn.Module,
    before: Gradients,
    after: Gradients,
) -> None:
    arriving[key], passed[key] = norm(after[0]), norm(before[0])


def edge_places(network: Network) -> dict[tuple[int, int], tuple[int, str, int, int, str, int]]:
    """(cell, number of the operation) -> (cell, kind, node, input, operation, source)."""
    found = {}
    for position, cell in enumerate(network.cells):
        assert isinstance(cell, NetworkCell)
        inputs = [(node, i, *edge) for node, edges in enumerate(cell.cell.nodes, 2) for i, edge in enumerate(edges)]
        for number, (node, i, operation, source) in enumerate(inputs):
            found[position, number] = (position, kind_of(cell), node, i, operation, source)
    return found


def kind_of(cell: nn.Module) -> str:
    return "reduce" if cell.reduction else "normal"


def norm(tensor: Tensor | None) -> float:
    return 0.0 if tensor is None else float(torch.linalg.vector_norm(tensor.detach().double()))


def root_of_squares(module: nn.Module, known: dict[int, float]) -> float:
    """The norm over all weights of a module, from that of each."""
    return math.sqrt(sum(known.get(id(weight), 0.0) ** 2 for weight in module.parameters()))
