"""The networks: exact counts, all published cells, drop path, the auxiliary head, layers against slow oracles."""

import time
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from dartboard.errors import InputError
from dartboard.formats import published
from dartboard.networks.darts import Network, Supernet
from dartboard.networks.fast import fast_network
from dartboard.networks.layers import FactorizedReduce, Zero, layer, operation
from dartboard.scoring.cost import SIZES, count, count_module, count_supernet
from dartboard.scoring.multiplications import Multiplications
from dartboard.spaces import darts as space
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture
from documents import published_cells

V2 = published()["DARTS_V2"].architecture
# METHODS, table 1(d): CIFAR-10 parameters, with auxiliary head, MACs in units of 10^4, CIFAR-100 parameters, ImageNet
# parameters, ImageNet MACs in units of 10^4.
TABLE = {
    "AmoebaNet": (3145078, 3603072, 48893, 3184048, 4627360, 52675),
    "DARTS_V1": (3169414, 3645840, 50099, 3221344, 4510432, 50586),
    "DARTS_V2": (3349342, 3825768, 52836, 3401272, 4718752, 52991),
    "PC_DARTS_cifar": (3634678, 4111104, 55667, 3686608, 5270560, 57114),
    "PC_DARTS_image": (3721510, 4197936, 57047, 3773440, 5342464, 58163),
    "PDARTS": (3433798, 3910224, 53217, 3485728, 4944352, 54282),
    "GDAS_V1": (3368782, 3845208, 51943, 3420712, 4969216, 53760),
    "DrNAS_cifar10": (4099294, 4575720, 63514, 4151224, 5738464, 63383),
    "DrNAS_imagenet": (4048750, 4525176, 61794, 4100680, 5726368, 62441),
    "ENASNet": (4020166, 4515024, 62214, 4085056, 5908768, 63034),
    "MdeNAS": (3783286, 4259712, 59911, 3835216, 5325760, 59551),
    "SDARTS_c10_s5_random": (3606166, None, 56239, None, 5120320, 56676),
    "SDARTS_c10_s5_pgd": (3344806, None, 52676, None, 4768864, 53157),
}


DATA = {"cifar": "cifar10", "imagenet": "imagenet", "mobile": "imagenet"}  # by the network that is counted


@pytest.mark.parametrize("name", [name for name, entry in published().items() if entry.counts])
def test_the_counts_of_published_cells_are_exact(name: str) -> None:
    entry = published()[name]
    found = {}
    for network in FAMILIES[entry.architecture.space].sizes:
        own, on = count(entry.architecture, network), DATA[network]
        found[f"{on}_params"], found[f"{on}_params_with_aux"] = own.params, own.params_with_auxiliary
        found[f"{on}_macs"], found[f"{on}_memory_bytes"] = own.macs, round(own.memory_mb * 1e6)
    if "cifar100_params" in entry.counts or name in TABLE:
        found["cifar100_params"] = count(entry.architecture, num_classes=100).params
    assert entry.counts.keys() <= found.keys()
    assert {key: found[key] for key in entry.counts} == dict(entry.counts)
    if name in TABLE:
        cifar, imagenet = count(entry.architecture), count(entry.architecture, "imagenet")
        cifar100 = found["cifar100_params"]
        macs, imagenet_macs = round(cifar.macs / 1e4), round(imagenet.macs / 1e4)
        row = (cifar.params, cifar.params_with_auxiliary, macs, cifar100, imagenet.params, imagenet_macs)
        assert all(theirs in (None, ours) for ours, theirs in zip(row, TABLE[name], strict=True))


def test_every_row_of_the_table_is_a_published_cell_with_counts() -> None:
    assert all(published()[name].counts for name in TABLE)


def test_the_search_network_has_the_official_number_of_weights() -> None:
    cost = count_supernet()
    assert cost.params == cost.params_with_auxiliary == 1_930_618
    assert count_supernet(num_classes=100).params == 1_953_748


@pytest.mark.parametrize("network", list(SIZES))
def test_multiply_adds_are_those_of_torchs_own_counter_which_counts_two_for_each(network: str) -> None:
    sizes = {**SIZES[network], "channels": 6, "cells": 5}
    with torch.random.fork_rng():
        module = Network(V2, stem=network, **sizes).eval()  # type: ignore[arg-type]
    x = torch.zeros(1, 3, sizes["image_size"], sizes["image_size"])
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(x)
    cost = count(V2, network, channels=6, cells=5)
    assert 2 * cost.macs == counter.get_total_flops()
    assert cost == count_module(module.train(), sizes["image_size"])
    assert module.training


def test_multiply_adds_of_a_supernet_are_those_of_torchs_counter() -> None:
    with torch.random.fork_rng():
        module = Supernet(channels=4, cells=3).eval()
    mixture = {kind: torch.full(shape, 0.125) for kind, shape in module.choice_shapes().items()}
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(torch.zeros(1, 3, 16, 16), mixture)
    assert 2 * count_supernet(channels=4, cells=3, image_size=16).macs == counter.get_total_flops()


def map_values(module: nn.Module, *inputs: Any) -> int:
    """Numbers in the results of all convolutions, as they are computed."""
    found: list[int] = []
    convs = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]
    hooks = [conv.register_forward_hook(lambda _, __, result: found.append(result.numel())) for conv in convs]
    with torch.no_grad():
        module.eval()(*inputs)
    for hook in hooks:
        hook.remove()
    return sum(found)


@pytest.mark.parametrize(
    ("conv", "values", "macs"),
    [
        (nn.Conv2d(3, 8, 3, padding=1), 8 * 9 * 7, 3 * 8 * 9 * 9 * 7),
        (nn.Conv2d(3, 8, 3, stride=2, padding=1), 8 * 5 * 4, 3 * 8 * 9 * 5 * 4),
        (nn.Conv2d(3, 6, (1, 5), stride=(1, 2), padding=(0, 2), groups=3), 6 * 9 * 4, 1 * 6 * 5 * 9 * 4),
        (nn.Conv2d(3, 4, 3, padding=2, dilation=2), 4 * 9 * 7, 3 * 4 * 9 * 9 * 7),
        (nn.Conv2d(3, 4, 3), 4 * 7 * 5, 3 * 4 * 9 * 7 * 5),
    ],
    ids=["plain", "strided", "strided in one direction", "dilated", "without padding"],
)
def test_of_a_convolution_the_results_are_counted_not_what_it_reads(conv: nn.Conv2d, values: int, macs: int) -> None:
    """Maps of 9x7 pixels, both sides odd."""
    with torch.no_grad(), Multiplications() as counted:
        conv(torch.zeros(1, 3, 9, 7))
    assert (counted.map_values, counted.macs) == (values, macs)
    assert map_values(conv, torch.zeros(1, 3, 9, 7)) == values


@pytest.mark.parametrize("network", list(SIZES))
@pytest.mark.usefixtures("global_rng")
def test_map_values_are_the_numbers_in_the_results_of_all_convolutions(network: str) -> None:
    sizes = {**SIZES[network], "channels": 6, "cells": 5, "image_size": 40}
    module, x = Network(V2, stem=network, **sizes), torch.zeros(1, 3, 40, 40)  # type: ignore[arg-type]
    assert count(V2, network, channels=6, cells=5, image_size=40).map_values == map_values(module, x) > 0
    supernet = Supernet(channels=2, cells=3)
    mixture = {kind: torch.full(shape, 0.125) for kind, shape in supernet.choice_shapes().items()}
    found = count_supernet(channels=2, cells=3, image_size=9)
    assert found.map_values == map_values(supernet, torch.zeros(1, 3, 9, 9), mixture)


def test_counting_is_quick_and_moves_no_random_state() -> None:
    started = time.process_time()
    count(V2)
    assert time.process_time() - started < 2.0


def test_counting_refuses_other_networks_and_cells_that_cannot_be_built() -> None:
    with pytest.raises(InputError, match="unknown network 'imagnet'; did you mean 'imagenet'"):
        count(V2, "imagnet")
    with pytest.raises(InputError, match="3 or more"):
        count(V2, cells=2)


# --- Networks --------------------------------------------------------------------------------------------------------


def small(architecture: Architecture = V2, **changes: Any) -> Network:
    """A small network with weights from a fixed seed."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Network(architecture, **{"channels": 4, "cells": 3, "num_classes": 5, "image_size": 8, **changes})


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", list(published_cells()))
def test_every_published_cell_builds_and_runs(name: str) -> None:
    architecture = published()[name].architecture
    assert small(architecture)(images(2, 3, 8, 8)).shape == (2, 5)
    if name in ("NASNet", "SETN", "FairDARTS_a"):
        assert small(architecture, stem="imagenet", image_size=64)(images(2, 3, 64, 64)).shape == (2, 5)


@pytest.mark.parametrize("side", [5, 7, 9, 15, 28, 33])
@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
def test_images_of_odd_sizes_pass(side: int, stem: str) -> None:
    network = small(published()["SETN"].architecture, image_size=side, stem=stem)
    logits, auxiliary = network.train().logits(images(2, 3, side, side))
    assert logits.isfinite().all()
    assert (auxiliary is None) == (network.auxiliary_head is None) == (-(-side // 4) < 5 or stem == "imagenet")


def test_the_supernet_takes_odd_sizes_and_other_numbers_of_channels() -> None:
    with torch.random.fork_rng():
        supernet = Supernet(channels=2, cells=3, in_channels=1, num_classes=3)
    mixture = {kind: torch.full(shape, 0.125) for kind, shape in supernet.choice_shapes().items()}
    assert supernet(images(2, 1, 9, 9), mixture).shape == (2, 3)


def test_an_unknown_stem_is_refused_and_so_are_too_few_cells_and_odd_widths() -> None:
    with pytest.raises(InputError, match="neither 'cifar' nor 'imagenet'"):
        small(stem="mnist")
    with pytest.raises(InputError, match="3 or more"):
        small(cells=2)
    with pytest.raises(InputError, match="even number"):
        FactorizedReduce(4, 5)


def test_reductions_lie_at_a_third_and_two_thirds_and_double_the_width() -> None:
    network = small(cells=8, image_size=32)
    assert [cell.reduction for cell in network.cells] == [False, False, True, False, False, True, False, False]
    assert network.classifier.in_features == 4 * 4 * 4
    assert [type(cell.preprocess0).__name__ == "FactorizedReduce" for cell in network.cells] == [
        False, False, False, True, False, False, True, False,
    ]  # fmt: skip


# --- The auxiliary head ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stem", "side", "pool"),
    [
        ("cifar", 32, nn.AvgPool2d),
        ("cifar", 29, nn.AvgPool2d),
        ("cifar", 36, nn.AvgPool2d),
        ("cifar", 20, nn.AdaptiveAvgPool2d),
        ("cifar", 64, nn.AdaptiveAvgPool2d),
        ("cifar", 16, None),
        ("cifar", 8, None),
        ("imagenet", 224, nn.AvgPool2d),
        ("imagenet", 160, nn.AdaptiveAvgPool2d),
        ("imagenet", 128, None),
    ],
)
def test_the_auxiliary_head_is_the_official_one_or_pooled_to_2x2_or_left_out(stem: str, side: int, pool: Any) -> None:
    head = small(stem=stem, image_size=side).auxiliary_head
    if pool is None:
        assert head is None
        return
    assert head is not None
    assert type(head.features[1]) is pool
    with torch.no_grad():
        network = small(stem=stem, image_size=side).train()
        assert network.logits(images(2, 3, side, side))[1].shape == (2, 5)  # type: ignore[union-attr]
    assert isinstance(head.features[6], nn.BatchNorm2d) == (stem == "cifar")


def test_the_auxiliary_head_works_in_training_only_and_on_request() -> None:
    x = images(2, 3, 32, 32)
    assert small(image_size=32, auxiliary=False).train().logits(x)[1] is None
    assert small(image_size=32).eval().logits(x)[1] is None
    network = small(image_size=32).train()
    assert torch.equal(network.logits(x)[0], network(x))


def test_the_auxiliary_head_reads_the_map_after_the_second_reduction() -> None:
    network = small(cells=6, image_size=32).train()
    seen: list[Tensor] = []
    network.cells[4].register_forward_hook(lambda module, args, out: seen.append(out))
    assert network.auxiliary_head is not None
    network.auxiliary_head.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    network.logits(images(2, 3, 32, 32))
    assert seen[0] is seen[1]


# --- Drop path -------------------------------------------------------------------------------------------------------


def test_drop_path_drops_whole_samples_scales_the_others_and_preserves_the_mean() -> None:
    """By one factor an operation and image, which the plain form multiplies with what the operation gives."""
    network = small().train()
    factors = fast_network.drawn(network, images(2000, 3, 8, 8), 0.3, torch.Generator().manual_seed(0))
    assert factors is not None and factors.shape[1:] == (2000, 1, 1, 1)
    kept = factors > 0.0
    assert torch.equal(factors[kept], torch.full_like(factors[kept], 1 / 0.7))
    assert abs(float(kept.float().mean()) - 0.7) < 0.01
    assert float(factors.mean()) == pytest.approx(1.0, rel=0.02)


def test_drop_path_leaves_its_input_alone_and_at_zero_everything() -> None:
    network, x = small().train(), images(8, 3, 8, 8)
    before = x.clone()
    network.logits(x, 0.9, torch.Generator().manual_seed(0))
    assert torch.equal(x, before)
    generator = torch.Generator().manual_seed(0)
    assert fast_network.drawn(network, x, 0.0, generator) is None
    assert torch.equal(generator.get_state(), torch.Generator().manual_seed(0).get_state())


def test_drop_path_is_a_function_of_its_generator_and_does_nothing_in_evaluation() -> None:
    network, x = small(), images(6, 3, 8, 8)

    def logits(chance: float, seed: int) -> Tensor:
        return network.logits(x, chance, torch.Generator().manual_seed(seed))[0]

    plain = network.train()(x)
    assert torch.equal(logits(0.0, 1), plain)
    assert torch.equal(logits(0.5, 1), logits(0.5, 1))
    assert not torch.equal(logits(0.5, 1), logits(0.5, 2))
    network.eval()
    assert torch.equal(logits(0.9, 1), network(x))


def test_identities_are_never_dropped() -> None:
    skips = space.Cell(tuple(((("skip_connect", 0), ("skip_connect", 1))) for _ in range(4)), (2, 3, 4, 5))
    only_skips = space.architecture({"normal": skips, "reduce": skips})
    network, x = small(only_skips).train(), images(6, 3, 8, 8)
    normal, reduction = network.cells[0], network.cells[1]
    args = (images(6, 12, 8, 8), images(6, 12, 8, 8, seed=1))
    nothing = torch.zeros(20, 6, 1, 1, 1)  # of every operation that can be dropped
    assert torch.equal(normal(*args, iter(nothing)), normal(*args, None))
    args = (images(6, 12, 8, 8), images(6, 16, 8, 8, seed=1))
    assert not torch.equal(reduction(*args, iter(nothing)), reduction(*args, None))
    assert network.logits(x, 0.9, torch.Generator().manual_seed(0))[0].isfinite().all()


def test_every_operation_of_a_cell_but_identities_is_dropped_on_its_own() -> None:
    """With all other operations dropped, a node is its identity inputs alone."""
    network = small(published()["DARTS_V1"].architecture).train()
    cell = network.cells[0]
    args = (images(4, 12, 8, 8), images(4, 12, 8, 8, seed=1))
    dropped = cell(*args, iter(torch.zeros(8, 4, 1, 1, 1))).chunk(4, dim=1)
    states = [cell.preprocess0(args[0]), cell.preprocess1(args[1])]
    for node, found in zip(cell.cell.nodes, dropped, strict=True):
        terms = [states[pred] for name, pred in node if name == "skip_connect"]
        states.append(sum(terms, torch.zeros_like(states[0])))
        assert torch.allclose(found, states[-1])


# --- Layers against slow oracles -------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [4, 5])
def test_a_factorized_reduce_is_two_strided_convolutions_one_pixel_apart(side: int) -> None:
    with torch.random.fork_rng():
        reduce = FactorizedReduce(3, 4).eval()
    x = images(2, 3, side, side)
    half = -(-side // 2)
    expected = torch.zeros(2, 4, half, half)
    rectified = torch.zeros(2, 3, 2 * half + 1, 2 * half + 1)  # black outside
    rectified[:, :, :side, :side] = x.clamp_min(0)
    for row in range(half):
        for column in range(half):
            expected[:, :2, row, column] = rectified[:, :, 2 * row, 2 * column] @ reduce.conv_1.weight[:, :, 0, 0].T
            beside = rectified[:, :, 2 * row + 1, 2 * column + 1]
            expected[:, 2:, row, column] = beside @ reduce.conv_2.weight[:, :, 0, 0].T
    assert torch.allclose(reduce(x), expected / (1 + reduce.bn.eps) ** 0.5, atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2])
def test_the_average_pool_excludes_padding_and_the_maximum_pool_pads_with_less_than_everything(stride: int) -> None:
    x = images(1, 2, 5, 5) - 10.0
    for name, oracle in (("avg_pool_3x3", Tensor.mean), ("max_pool_3x3", Tensor.amax)):
        found = operation(name, 2, stride)(x)
        for row in range(0, 5, stride):
            for column in range(0, 5, stride):
                window = x[:, :, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
                assert torch.allclose(found[:, :, row // stride, column // stride], oracle(window, dim=(2, 3)))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [4, 5])
def test_none_is_zero_at_the_strided_size_and_passes_no_gradient(stride: int, side: int) -> None:
    x = images(2, 3, side, side).requires_grad_()
    out = Zero(stride)(x)
    assert torch.equal(out, torch.zeros(2, 3, -(-side // stride), -(-side // stride)))
    (gradient,) = torch.autograd.grad(out.sum(), x)
    assert not gradient.any()


def slow_conv(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """The convolution as nested sums."""
    (down, right), (dh, dw), (ph, pw) = conv.stride, conv.dilation, conv.padding
    padded = nn.functional.pad(x, (pw, pw, ph, ph))
    height, width = conv.weight.shape[2:]
    rows = range(0, padded.shape[2] - dh * (height - 1), down)
    columns = range(0, padded.shape[3] - dw * (width - 1), right)
    out = torch.zeros(x.shape[0], conv.out_channels, len(rows), len(columns))
    per_group = conv.out_channels // conv.groups
    for channel in range(conv.out_channels):
        first = channel // per_group * conv.weight.shape[1]
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                window = padded[:, first : first + conv.weight.shape[1], row:, column:][:, :, ::dh, ::dw]
                out[:, channel, i, j] = (window[:, :, :height, :width] * conv.weight[channel]).sum((1, 2, 3))
    return out


POINTWISE = ((1, 1), 1, False, False)
# Kernel, dilation, whether depthwise, whether it takes the edge's stride, of every convolution of an operation.
SHAPES: dict[str, list[tuple[Any, int, bool, bool]]] = {
    "sep_conv_3x3": [((3, 3), 1, True, True), POINTWISE, ((3, 3), 1, True, False), POINTWISE],
    "sep_conv_5x5": [((5, 5), 1, True, True), POINTWISE, ((5, 5), 1, True, False), POINTWISE],
    "sep_conv_7x7": [((7, 7), 1, True, True), POINTWISE, ((7, 7), 1, True, False), POINTWISE],
    "dil_conv_3x3": [((3, 3), 2, True, True), POINTWISE],
    "dil_conv_5x5": [((5, 5), 2, True, True), POINTWISE],
    "conv_7x1_1x7": [((1, 7), 1, False, True), ((7, 1), 1, False, True)],
    "conv_3x1_1x3": [((1, 3), 1, False, True), ((3, 1), 1, False, True)],
}


@pytest.mark.parametrize("name", list(SHAPES))
@pytest.mark.parametrize("stride", [1, 2])
def test_convolutional_operations_are_the_chains_that_methods_says(name: str, stride: int) -> None:
    with torch.random.fork_rng():
        module = operation(name, 2, stride).eval()
    convs = [part for part in module.modules() if isinstance(part, nn.Conv2d)]
    for conv, (kernel, dilation, depthwise, strided) in zip(convs, SHAPES[name], strict=True):
        assert (conv.kernel_size, conv.dilation, conv.groups) == (kernel, (dilation, dilation), 2 if depthwise else 1)
        wanted = tuple(stride if strided and (depthwise or side > 1) else 1 for side in kernel)
        assert (conv.stride, conv.bias, conv.out_channels) == (wanted, None, 2)
    x = images(1, 2, 7, 7)
    expected = x
    for part in module:  # type: ignore[union-attr]
        if isinstance(part, nn.ReLU):
            expected = expected.clamp_min(0)
        elif isinstance(part, nn.Conv2d):
            expected = slow_conv(expected, part)
        else:
            expected = expected / (1 + part.eps) ** 0.5
    assert torch.allclose(module(x), expected, atol=1e-5)
    assert module(x).shape[2] == -(-7 // stride)


@pytest.mark.usefixtures("global_rng")
def test_normalisation_has_scale_and_shift_in_networks_and_none_in_supernets_which_normalise_pools() -> None:
    for name in space.OPERATIONS:
        for stride in (1, 2):
            norms = [part for part in operation(name, 4, stride).modules() if isinstance(part, nn.BatchNorm2d)]
            search = [m for m in operation(name, 4, stride, search=True).modules() if isinstance(m, nn.BatchNorm2d)]
            assert all(norm.affine for norm in norms)
            assert not any(norm.affine for norm in search)
            assert len(search) - len(norms) == (1 if "pool" in name else 0)


def test_the_identity_is_nothing_at_stride_1_and_an_unknown_operation_is_refused() -> None:
    assert isinstance(operation("skip_connect", 4, 1), nn.Identity)
    with pytest.raises(InputError, match="operation 'blur'"):
        operation("blur", 4, 1)


def test_a_random_cell_of_the_space_builds_at_every_size() -> None:
    for seed in range(3):
        architecture = space.SPACE.sample(Random(seed))
        assert small(architecture, cells=3 + seed)(images(2, 3, 8, 8)).shape == (2, 5)


@pytest.mark.parametrize("word", ["pointwise/", "pointless3", "sep conv"])
def test_a_recipe_word_that_cannot_be_built_is_refused_by_name(word):
    with pytest.raises(InputError, match=f"recipe word '{word}'"):
        layer(word, 4, 2, search=True)
