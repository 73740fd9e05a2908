"""The spaces S1 to S4 of RobustDARTS: their data, edges that mix different operations, and noise that repeats."""

from itertools import product
from pathlib import Path
from random import Random

import pytest
import torch
from torch import Tensor

import tiny
from dartboard import formats
from dartboard.config import Setup
from dartboard.errors import InterruptedRunError
from dartboard.networks.darts import Supernet, check_inside
from dartboard.networks.layers import Noise, noises_of, renew
from dartboard.report.drawing import graph_svg
from dartboard.runs.run import Run
from dartboard.scoring.cost import count_supernet
from dartboard.spaces import SPACES, darts
from dartboard.spaces.darts import derive
from dartboard.spaces.search_space import SearchSpace

S1, S2, S3, S4 = (SPACES[name] for name in ("s1", "s2", "s3", "s4"))
restricted = pytest.mark.parametrize("space", [S1, S2, S3, S4], ids=lambda space: space.name)


def supernet(space: SearchSpace, form: str = "plain") -> Supernet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Supernet(channels=2, cells=3, num_classes=3, operations=darts.mixed(space), form=form).double()


def images() -> Tensor:
    return torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def weights_of(module: Supernet) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = module.choice_shapes().items()
    return {kind: torch.rand(shape, generator=generator).double().requires_grad_() for kind, shape in shapes}


def test_s1_has_the_published_operations_on_every_edge_and_the_others_the_same_on_all() -> None:
    normal, reduce = darts.mixed(S1)["normal"], darts.mixed(S1)["reduce"]
    assert [len(row) for row in (*normal, *reduce)] == [2] * 28
    assert normal[1] == ("skip_connect", "dil_conv_5x5")
    assert normal[5] == ("max_pool_3x3", "skip_connect")
    assert normal[13] == ("dil_conv_3x3", "dil_conv_5x5")
    assert reduce[1] == ("max_pool_3x3", "dil_conv_3x3")
    assert reduce[6] == ("max_pool_3x3", "sep_conv_3x3")
    assert darts.candidates(S2) == ("skip_connect", "sep_conv_3x3")
    assert darts.candidates(S3) == ("none", "skip_connect", "sep_conv_3x3")
    assert darts.candidates(S4) == ("sep_conv_3x3", "noise")


def test_in_s1_the_same_name_is_a_choice_on_one_edge_and_none_on_another() -> None:
    into_3 = S1.choices[1].options
    by_hand = {
        ((one, first), (other, second))
        for first, second in ((0, 1), (0, 2), (1, 2))
        for one, other in product(darts.mixed(S1)["normal"][2 + first], darts.mixed(S1)["normal"][2 + second])
    }
    assert set(into_3) == by_hand
    assert len(into_3) == len(by_hand) == 12


@restricted
def test_a_supernet_has_weights_for_what_its_edges_mix_and_no_others(space: SearchSpace) -> None:
    module = supernet(space)
    for cell in module.cells:
        rows = darts.mixed(space)["reduce" if cell.reduction else "normal"]
        assert [edge.operations for edge in cell.ops] == [tuple(row) for row in rows]  # type: ignore[union-attr]
    assert count_supernet(space, 2, 3, 3).params == sum(tensor.numel() for tensor in module.parameters())


@restricted
@pytest.mark.usefixtures("global_rng")
def test_the_fast_form_computes_what_the_plain_one_does_gradients_included(space: SearchSpace) -> None:
    found = []
    for form in ("plain", "fast"):
        module = supernet(space, form)
        weights = weights_of(module)
        logits = module(images(), weights)
        gradients = torch.autograd.grad(logits.square().sum(), [*weights.values(), *module.parameters()])
        found.append([logits, *gradients])
    assert all(torch.allclose(a, b, rtol=1e-9, atol=1e-11) for a, b in zip(*found, strict=True))


@restricted
def test_the_derived_cell_lies_in_the_space_and_is_the_strongest_by_hand(space: SearchSpace) -> None:
    """Against a search over all cells: the strongest is the one whose two inputs a node have the most weight."""
    rng, mixed = Random(3), darts.mixed(space)
    weights = {kind: [[rng.random() for _ in row] for row in rows] for kind, rows in mixed.items()}
    found = derive(weights, mixed)
    assert found in space
    named = {
        (kind, *edge, name): weight
        for kind, rows in mixed.items()
        for edge, row, numbers in zip(darts.edges(), rows, weights[kind], strict=True)
        for name, weight in zip(row, numbers, strict=True)
    }
    for choice in space.choices:
        kind, place = choice.name.split(".")
        if place != "concat":
            best = max(choice.options, key=lambda node: sum(named[kind, pred, int(place), op] for op, pred in node))
            assert found[choice.name] == best


def test_an_operation_that_another_edge_offers_lies_outside_of_s1() -> None:
    found = S1.sample(Random(0))
    with_sep = tuple(("sep_conv_3x3", pred) for _, pred in found["normal.2"])
    changed = darts.from_choices({**dict(found.choices), "normal.2": with_sep})
    assert changed not in S1
    with pytest.raises(Exception, match="has no operation 'sep_conv_3x3'"):
        check_inside(supernet(S1), changed)


@restricted
def test_a_cell_is_written_read_and_drawn(space: SearchSpace) -> None:
    found = space.sample(Random(1))
    for notation in ("quark0", "nested", "json"):
        assert formats.read(formats.write(found, notation))[0] == found
    assert "<svg" in graph_svg(darts.graph(darts.cell(found, "normal"), "normal"))


@pytest.mark.parametrize("space", [S1, S4], ids=lambda space: space.name)
def test_a_search_stopped_and_gone_on_with_ends_bit_for_bit_as_one_that_was_not(
    space: SearchSpace, tmp_path: Path
) -> None:
    whole = tiny.search(tmp_path / "whole", space=space, epochs=2, second_order=space is S4)
    with pytest.raises(InterruptedRunError):
        tiny.search(tmp_path / "cut", space=space, epochs=2, second_order=space is S4, budget="2steps")
    with Run.open(tmp_path / "cut", write=True) as run:
        again = tiny.resume(run, space=space)
    assert tiny.history(tmp_path / "cut") == tiny.history(tmp_path / "whole")
    assert tiny.same_tensors(dict(whole.supernet.state_dict()), dict(again.supernet.state_dict()))
    assert whole.architecture == again.architecture in space


@pytest.mark.usefixtures("global_rng")
def test_noise_takes_the_shape_of_the_strided_input_and_nothing_else_of_it() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        one, other = Noise(2), Noise(2)
    x = images()
    assert one(x).shape == (4, 3, 4, 4)
    assert torch.equal(one(x), one(x + 1))
    assert torch.equal(one(x), one(x.contiguous(memory_format=torch.channels_last)))
    assert not torch.equal(one(x), other(x))
    before = one(x)
    renew([one], 1)
    assert not torch.equal(one(x), before)
    renew([one], 0)
    assert torch.equal(one(x), before)


def test_noise_is_normal_and_independent_from_step_to_step() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        noise = Noise(1)
    x, drawn = torch.zeros(8, 8, 16, 16), []
    for step in range(12):
        renew([noise], step)
        drawn.append(noise(x).flatten())
    samples = torch.stack(drawn).double()
    assert abs(float(samples.mean())) < 0.01
    assert abs(float(samples.std()) - 1) < 0.01
    others = torch.corrcoef(samples) - torch.eye(12, dtype=torch.float64)
    assert float(others.abs().max()) < 0.05


def test_the_noise_of_a_training_changes_from_step_to_step_and_repeats_with_the_seed(tmp_path: Path) -> None:
    cell = darts.Cell(tuple((("noise", 0), ("sep_conv_3x3", 1)) for _ in range(4)), (2, 3, 4, 5))
    found = darts.architecture(dict.fromkeys(darts.CELLS, cell))
    scores = []
    for name in ("one", "again"):
        score, module = tiny.fit(tmp_path / name, found, setup=Setup(device="cpu", seed=1))
        scores.append(score)
        assert [int(noise.key[1]) for noise in noises_of(module)] == [7] * len(noises_of(module))
    assert scores[0] == scores[1]
