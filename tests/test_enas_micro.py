"""ENAS micro: both networks in double against files that the authors' code made, exact counts, arcs, and pictures."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dartboard import formats
from dartboard.cli import main
from dartboard.networks import blocks, same_padding
from dartboard.networks import enas_micro as networks
from dartboard.networks import enas_micro_layers as layers
from dartboard.scoring.cost import count
from dartboard.spaces import enas_micro as space
from enas_names import Turn, adjusted, check_gradients, depthwise, filled, golden, kernel, norm, seeded, tensor

RELEASED = "0 2 0 0 0 4 0 1 0 4 1 1 1 0 0 1 0 2 1 1 1 0 1 0 0 3 0 2 1 1 3 1 1 0 0 4 0 3 1 1"
HALVES = {"normal": RELEASED[:39], "reduce": RELEASED[40:]}


def shared_names(net: networks.Supernet) -> Iterator[tuple[str, str, Turn]]:
    """Of each tensor of the search child: our name, theirs, and how theirs becomes ours."""
    yield "stem.0.weight", "child/stem_conv/w", kernel
    yield from norm("stem.1", "child/stem_conv/bn")
    yield "classifier.weight", "child/fc/w", lambda found: found.T
    for place, layer in enumerate(net.cells):
        ours, theirs = f"cells.{place}", f"child/layer_{place}"
        for number, name in enumerate("xy"):
            yield from adjusted(f"{ours}.adjust.{number}", f"{theirs}/calibrate/pool_{name}", layer.adjust[number])
        yield from adjusted(f"{ours}.halve", theirs, layer.halve) if layer.halve is not None else ()
        width = layer.join.bn.num_features
        for node in layer.join.nodes:
            row = lambda found, node=int(node), width=width: found[node].reshape(1, 1, width, width)  # noqa: E731
            yield (
                f"{ours}.join.nodes.{node}.weight",
                f"{theirs}/final_conv/w",
                lambda found, row=row: kernel(row(found)),
            )
        yield from norm(f"{ours}.join.bn", f"{theirs}/final_conv/bn")
        for side, sources in enumerate(layer.sides):
            for node in range(len(sources)):
                for name, size in layers.KERNELS.items():
                    place_ = f"{theirs}/cell_{side // 2}/{'xy'[side % 2]}/conv_{size}x{size}"
                    yield from stacked(f"{ours}.sides.{side}.{node}.{name}", place_, node, size, width)


def stacked(ours: str, theirs: str, node: int, size: int, width: int) -> Iterator[tuple[str, str, Turn]]:
    """A separable convolution whose tensors have a row for each node that is read."""
    for half in range(2):
        own, stack = 4 * half, f"{theirs}/stack_{half}"
        yield (
            f"{ours}.{own + 1}.conv.weight", f"{stack}/w_depth",
            lambda found: depthwise(found[node].reshape(size, size, width, 1)),
        )  # fmt: skip
        yield (
            f"{ours}.{own + 2}.weight", f"{stack}/w_point",
            lambda found: kernel(found[node].reshape(1, 1, width, width)),
        )  # fmt: skip
        yield f"{ours}.{own + 3}.weight", f"{stack}/bn/scale", lambda found: found[node]
        yield f"{ours}.{own + 3}.bias", f"{stack}/bn/offset", lambda found: found[node]


def final_names(net: networks.Network) -> Iterator[tuple[str, str, Turn]]:
    """Of each tensor of the final network: our name, theirs, and how theirs becomes ours."""
    yield "stem.0.weight", "child/stem_conv/w", kernel
    yield from norm("stem.1", "child/stem_conv/bn")
    yield "classifier.weight", "child/fc/w", lambda found: found.T
    for place, layer in enumerate(net.cells):
        ours, theirs = f"cells.{place}", f"child/layer_{place}"
        for number, name in enumerate("xy"):
            yield from adjusted(f"{ours}.adjust.{number}", f"{theirs}/calibrate/pool_{name}", layer.adjust[number])
        yield from adjusted(f"{ours}.base", f"{theirs}/layer_base", layer.base)
        for node, module in layer.halve.items():
            yield from adjusted(f"{ours}.halve.{node}", f"{theirs}/final_combine/calibrate_{node}", module)
        for number, op in enumerate(layer.ops):
            conv = f"{theirs}/cell_{number // 2}/{'xy'[number % 2]}_conv"
            if isinstance(op, nn.Sequential):
                for half in range(2):
                    own = f"{ours}.ops.{number}.{4 * half + 1}.conv.weight"
                    yield own, f"{conv}/sep_conv_{half}/w_depth", depthwise
                    yield f"{ours}.ops.{number}.{4 * half + 2}.weight", f"{conv}/sep_conv_{half}/w_point", kernel
                    yield from norm(f"{ours}.ops.{number}.{4 * half + 3}", f"{conv}/sep_conv_{half}/bn")
            elif list(op.parameters()):
                yield from adjusted(f"{ours}.ops.{number}", conv, op)
    if net.auxiliary_head is not None:
        yield "auxiliary_head.features.2.weight", "child/aux_head/proj/w", kernel
        yield from norm("auxiliary_head.features.3", "child/aux_head/proj/bn")
        yield "auxiliary_head.features.6.weight", "child/aux_head/avg_pool/w", kernel
        yield from norm("auxiliary_head.features.7", "child/aux_head/avg_pool/bn")
        yield "auxiliary_head.classifier.weight", "child/aux_head/fc/w", lambda found: found.T


@pytest.mark.parametrize("number", [0, 1])
def test_the_search_child_computes_what_the_authors_code_does(reference: Path, number: int) -> None:
    found = golden(reference, "enas_micro_child")
    net = seeded(lambda: networks.Supernet(channels=4, cells=5))
    names = list(shared_names(net))
    filled(net, names, found, "state/").train()
    a = space.from_cell_arcs(*(found[f"{number}/arc_{kind}"].tolist() for kind in ("normal", "reduce")))
    logits = net(tensor(found, "x"), a)
    torch.testing.assert_close(logits, tensor(found, f"{number}/logits_train"), rtol=1e-8, atol=1e-9)
    loss = F.cross_entropy(logits, tensor(found, "y").long())
    torch.testing.assert_close(loss, tensor(found, f"{number}/loss_train"), rtol=1e-9, atol=0)
    loss.backward()
    if number == 0:
        assert check_gradients(net, names, found, "0/grad/") > 100
    inherited = seeded(lambda: networks.inherit(net, a))
    torch.testing.assert_close(inherited(tensor(found, "x")), logits, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("number", "side"), [(0, 16), (1, 32)])
def test_the_final_network_computes_what_the_authors_code_does(reference: Path, number: int, side: int) -> None:
    found = golden(reference, "enas_micro_final")
    a = space.from_arc(found[f"{number}/arc"].tolist())
    net = seeded(lambda: networks.Network(a, channels=4, cells=5, image_size=side, auxiliary=True))
    assert (net.auxiliary_head is not None) == (number == 1)
    names = list(final_names(net))
    filled(net, names, found, f"{number}/state/")
    x, y = (tensor(found, name if name in found else f"{number}/{name}") for name in ("x", "y"))
    torch.testing.assert_close(net.eval()(x), tensor(found, f"{number}/logits_eval"), rtol=1e-8, atol=1e-9)
    output = net.train().output(x)
    torch.testing.assert_close(output.logits, tensor(found, f"{number}/logits_train"), rtol=1e-8, atol=1e-9)
    if number == 1:
        torch.testing.assert_close(output.auxiliary, tensor(found, "1/logits_aux_train"), rtol=1e-8, atol=1e-9)
    else:
        F.cross_entropy(output.logits, y.long()).backward()
        assert check_gradients(net, names, found, "0/grad/") > 50


def test_the_published_counts_are_exact() -> None:
    released = space.from_arc([int(one) for one in RELEASED.split()])
    found = count(released)
    assert (found.params, found.params_with_auxiliary) == (3_894_372, 4_389_220)
    with torch.device("meta"):
        search = networks.Supernet(channels=20, cells=8)
        head = layers.AuxiliaryHead(80, 10, 8)
    assert sum(parameter.numel() for parameter in search.parameters()) == 5_373_140
    assert sum(parameter.numel() for parameter in head.parameters()) == 412_928


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [7, 8])
def test_pools_pad_as_tensorflow_does_and_leave_padding_out(stride: int, side: int) -> None:
    x = torch.randn(2, 3, side, side, dtype=torch.double, generator=torch.Generator().manual_seed(0)) - 5.0
    before = max((-(-side // stride) - 1) * stride + 3 - side, 0) // 2
    means, largest = torch.empty(2, 3, -(-side // stride), -(-side // stride)).double(), None
    largest = means.clone()
    for i in range(means.shape[2]):
        for j in range(means.shape[3]):
            rows = slice(max(i * stride - before, 0), i * stride - before + 3)
            columns = slice(max(j * stride - before, 0), j * stride - before + 3)
            means[..., i, j] = x[:, :, rows, columns].mean((2, 3))
            largest[..., i, j] = x[:, :, rows, columns].amax((2, 3))
    torch.testing.assert_close(same_padding.AvgPool(stride)(x), means)
    torch.testing.assert_close(same_padding.MaxPool(stride)(x), largest)


def test_loose_ends_are_the_nodes_that_no_block_takes() -> None:
    released = space.from_arc([int(one) for one in RELEASED.split()])
    assert space.loose_ends(space.blocks(released, "normal")) == [2, 3, 4, 5, 6]
    assert space.loose_ends(space.blocks(released, "reduce")) == [2, 4, 5, 6]
    assert space.to_text(released) == RELEASED


@pytest.mark.parametrize(
    ("arc", "said"),
    [
        (RELEASED[:-2], "39 integers are no arc"),
        (RELEASED[:-1] + "9", "block 5 of the reduction cell has the operation 9; operations are 0 to 4"),
        ("7" + RELEASED[1:], "block 1 of the normal cell reads node 7; it can read 0 to 1"),
        (RELEASED.replace("4", "-1", 1), "block 2 of the normal cell has the operation -1"),
    ],
)
def test_a_wrong_arc_is_one_line_that_names_the_block(arc: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", arc]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


@pytest.mark.parametrize(
    "text",
    [
        RELEASED[:39] + "\n" + RELEASED[40:],
        "[" + RELEASED.replace(" ", ", ") + "]",
        f'fixed_arc="{RELEASED[:39]}"\nfixed_arc="$fixed_arc {RELEASED[40:]}"\n',
        json.dumps({kind: [int(one) for one in half.split()] for kind, half in HALVES.items()}),
    ],
)
def test_an_arc_is_read_in_every_form_that_people_have_it_in(text: str) -> None:
    assert formats.read(text) == (formats.published()["ENAS_micro"].architecture, "enas_micro")


def test_the_cells_of_the_public_rerun_are_shipped_as_they_were_published(reference: Path) -> None:
    record = json.loads((reference / "reference" / "genotypes.json").read_text())["enas"]["micro"]["public_rerun_2023"]
    found = formats.published()["ENAS_micro_rerun_2023"].architecture
    assert found == space.from_cell_arcs(record["normal"], record["reduce"])


def test_small_maps_have_no_auxiliary_head_and_odd_ones_go_through() -> None:
    a = formats.published()["ENAS_micro"].architecture
    for side in (7, 8, 28):
        net = seeded(lambda side=side: networks.Network(a, channels=2, cells=4, image_size=side))
        assert (net.auxiliary_head is None) == (side < 17)
        output = net.output(torch.zeros(2, 3, side, side).double())
        assert output.logits.shape == (2, 10) and (output.auxiliary is None) == (side < 17)


def test_drop_path_drops_every_operation_but_identities_more_often_in_deeper_layers() -> None:
    a = formats.published()["ENAS_micro"].architecture
    net = seeded(lambda: networks.Network(a, channels=2, cells=4))
    x = torch.zeros(4000, 1)
    factors = blocks.drawn(net, x, 0.4, torch.Generator().manual_seed(0))
    assert blocks.drawn(net, x, 0.0, None) is None
    kinds = ("reduce", "reduce", "normal", "normal")
    names = [(place, name) for place, kind in enumerate(kinds) for b in space.blocks(a, kind) for name in b[2:]]
    places = [place for place, name in names if name != "identity"]
    shares = (factors == 0).flatten(1).double().mean(1)
    assert len(shares) == len(places)
    assert [round(float(share), 1) for share in shares] == [round(0.1 * (place + 1), 1) for place in places]
