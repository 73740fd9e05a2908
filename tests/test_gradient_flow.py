"""Gradients at cells and on edges, against autograd on the same network written out."""

import math
from random import Random

import pytest
import torch
from torch.nn import functional as F

from dartboard.analysis.gradient_flow import flow
from dartboard.networks.darts import Network
from dartboard.spaces import SPACES, darts
from dartboard.spaces.search_space import Architecture

SPACE = SPACES["darts"]


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(6, 1, 8, 8, generator=generator, dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1, 2])


def built(architecture: Architecture) -> Network:
    network = Network(architecture, channels=4, cells=3, num_classes=3, in_channels=1, auxiliary=False)
    return network.double()


def changed(architecture: Architecture, name: str) -> Architecture:
    """The architecture with every operation of the normal cell replaced."""
    cells = {kind: darts.cell(architecture, kind) for kind in darts.CELLS}
    nodes = tuple(tuple((name, pred) for _, pred in node) for node in cells["normal"].nodes)
    return darts.architecture({**cells, "normal": darts.Cell(nodes, cells["normal"].concat)})


def written_out(network: Network, x: torch.Tensor, y: torch.Tensor) -> tuple[list[float], list[float], list[float]]:
    """Norms at the cells' outputs, of what arrives on each edge, and of what each passes back; each edge reads a copy
    of its source, whose gradient autograd is asked for."""
    before_last = last = network.stem(x)
    outputs, results, copies = [], [], []
    for cell in network.cells:
        states = [cell.preprocess0(before_last), cell.preprocess1(last)]
        ops = iter(cell.ops)
        for node in cell.cell.nodes:
            terms = []
            for _, pred in node:
                copies.append(states[pred] * 1.0)
                terms.append(next(ops)(copies[-1]) * 1.0)
                results.append(terms[-1])
            states.append(sum(terms[1:], terms[0]))
        before_last, last = last, torch.cat([states[node] for node in cell.cell.concat], 1)
        outputs.append(last)
    loss = F.cross_entropy(network.classifier(last.mean((2, 3))), y)
    everything = torch.autograd.grad(loss, [*outputs, *results, *copies], allow_unused=True)
    norms = [0.0 if gradient is None else float(gradient.norm()) for gradient in everything]
    return norms[: len(outputs)], norms[len(outputs) : len(outputs) + len(results)], norms[-len(copies) :]


@pytest.mark.usefixtures("global_rng")
def test_the_gradients_are_those_of_the_network_written_out() -> None:
    rng = Random(2)
    nodes = (("skip_connect", 0), ("max_pool_3x3", 1), ("sep_conv_3x3", 0)), (("dil_conv_3x3", 2),)
    imported = darts.architecture(dict.fromkeys(darts.CELLS, darts.Cell(nodes, (3, 2))))
    for architecture in (SPACE.sample(rng), SPACE.sample(rng), imported):
        network = built(architecture).train()
        x, y = batch()
        found = flow(network, x, y)
        outputs, arriving, passed = written_out(network, x, y)
        assert [cell.output for cell in found.cells] == pytest.approx(outputs, rel=1e-9)
        assert [edge.arriving for edge in found.edges] == pytest.approx(arriving, rel=1e-9)
        assert [edge.passed for edge in found.edges] == pytest.approx(passed, rel=1e-9)


@pytest.mark.usefixtures("global_rng")
def test_the_norms_of_the_weights_are_those_of_their_gradients() -> None:
    network, (x, y) = built(SPACE.sample(Random(0))), batch()
    found = flow(network, x, y)
    loss = F.cross_entropy(network.train()(x), y)
    loss.backward()  # type: ignore[no-untyped-call]
    squares = [float((p.grad**2).sum()) for p in network.parameters() if p.grad is not None]
    assert found.total == pytest.approx(math.sqrt(sum(squares)), rel=1e-9)
    assert found.loss == pytest.approx(float(loss.detach()), rel=1e-12)
    inside = [float((p.grad**2).sum()) for p in network.cells[1].parameters() if p.grad is not None]
    assert found.cells[1].weights == pytest.approx(math.sqrt(sum(inside)), rel=1e-9)
    assert [cell.kind for cell in found.cells] == ["normal", "reduce", "reduce"]


@pytest.mark.usefixtures("global_rng")
def test_a_skip_passes_the_whole_gradient_and_none_passes_nothing() -> None:
    architecture, (x, y) = SPACE.sample(Random(0)), batch()
    skips = flow(built(changed(architecture, "skip_connect")), x, y)
    normal = [edge for edge in skips.edges if edge.kind == "normal"]
    assert all(edge.transmission == pytest.approx(1.0, abs=1e-12) and edge.arriving > 0 for edge in normal)
    nothing = flow(built(changed(architecture, "none")), x, y)
    assert all(edge.passed == edge.transmission == 0.0 for edge in nothing.edges if edge.kind == "normal")


@pytest.mark.usefixtures("global_rng")
def test_a_look_at_the_gradient_leaves_the_network_as_it_was() -> None:
    network, (x, y) = built(SPACE.sample(Random(3))).eval(), batch()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    flow(network, x, y)
    assert all(tensor.equal(before[name]) for name, tensor in network.state_dict().items())
    assert not network.training and all(p.grad is None for p in network.parameters())
    assert not any(module._backward_hooks for module in network.modules())
