"""ENAS macro: both networks in double against files that the authors' code made, exact counts, and arcs."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dartboard.cli import main
from dartboard.networks import enas_macro as networks
from dartboard.scoring.cost import count
from dartboard.spaces import enas_macro as space
from enas_names import Turn, adjusted, check_gradients, depthwise, filled, golden, kernel, norm, seeded, tensor


def shared_names(net: networks.Supernet) -> Iterator[tuple[str, str, Turn]]:
    """Of each tensor of the search child: our name, theirs, and how theirs becomes ours."""
    yield from around(net)
    for place, layer in enumerate(net.cells):
        theirs = f"child/layer_{place}"
        if layer.norm is not None:
            yield from norm(f"cells.{place}.norm", f"{theirs}/skip/bn")
        for number, (name, ops) in enumerate(layer.ops.items()):
            ours, branch = f"cells.{place}.ops.{name}", f"{theirs}/branch_{number}"
            first = f"{branch}/{'inp_' if name in networks.KERNELS else ''}conv_1"
            yield f"{ours}.0.weight", f"{first}/w", kernel
            yield from norm(f"{ours}.1", f"{first}/bn")
            if name not in networks.KERNELS:
                continue
            second = f"{branch}/out_conv_{networks.KERNELS[name]}"
            if name.startswith("sep"):
                yield f"{ours}.3.weight", f"{second}/w_depth", depthwise
                yield f"{ours}.4.weight", f"{second}/w_point", lambda found: found[..., None, None]
            else:
                yield f"{ours}.3.weight", f"{second}/w", kernel
            yield from norm(f"{ours}.{len(ops) - 2}", f"{second}/bn")


def final_names(net: networks.Network) -> Iterator[tuple[str, str, Turn]]:
    """Of each tensor of the final network: our name, theirs, and how theirs becomes ours."""
    yield from around(net)
    for place, layer in enumerate(net.cells):
        ours, theirs = f"cells.{place}", f"child/layer_{place}"
        size = networks.KERNELS[net.layers[place][0]]
        for number, name in ((1, "conv_1x1"), (4, f"conv_{size}x{size}")):
            yield f"{ours}.body.{number}.weight", f"{theirs}/{name}/w", kernel
            yield from norm(f"{ours}.body.{number + 1}", f"{theirs}/{name}/bn")
        if layer.join is not None:
            yield from adjusted(f"{ours}.join", f"{theirs}/skip", layer.join)


def around(net: networks.Trunk) -> Iterator[tuple[str, str, Turn]]:
    """Stem, halves and classifier."""
    yield "stem.0.weight", "child/stem_conv/w", kernel
    yield from norm("stem.1", "child/stem_conv/bn")
    yield "classifier.weight", "child/fc/w", lambda found: found.T
    for place, halves in net.halves.items():
        for number, halve in enumerate(halves):
            theirs = f"child/layer_{place}/pool_at_{place}/from_{number}"
            yield from adjusted(f"halves.{place}.{number}", theirs, halve)


@pytest.mark.parametrize("number", [0, 1])
def test_the_search_child_computes_what_the_authors_code_is_meant_to_do(reference: Path, number: int) -> None:
    found = golden(reference, "enas_macro_child")
    offered = space.mixed(space.space("six", "made up", layers=6))
    net = seeded(lambda: networks.Supernet(channels=4, cells=6, operations=offered))
    names = list(shared_names(net))
    filled(net, names, found, "search/state/")
    a, x = space.from_arc(found[f"search/{number}/arc"].tolist()), tensor(found, "search/x")
    expected = f"search/{number}/intended"
    torch.testing.assert_close(net.eval()(x, a), tensor(found, f"{expected}/logits_eval"), rtol=1e-8, atol=1e-9)
    logits = net.train()(x, a)
    torch.testing.assert_close(logits, tensor(found, f"{expected}/logits_train"), rtol=1e-8, atol=1e-9)
    assert (logits - tensor(found, f"search/{number}/as_coded/logits_train")).abs().max() > 1e-3
    loss = F.cross_entropy(logits, tensor(found, "search/y").long())
    torch.testing.assert_close(loss, tensor(found, f"{expected}/loss_train"), rtol=1e-9, atol=0)
    loss.backward()
    if number == 0:
        assert check_gradients(net, names, found, f"{expected}/grad/") > 50
    inherited = seeded(lambda: networks.inherit(net, a))
    torch.testing.assert_close(inherited(x), logits, rtol=1e-12, atol=1e-12)


def test_the_final_network_computes_what_the_authors_code_does(reference: Path) -> None:
    found = golden(reference, "enas_macro_child")
    a, x = space.from_arc(found["fixed/0/arc"].tolist()), tensor(found, "fixed/0/x")
    net = seeded(lambda: networks.Network(a, channels=4))
    names = list(final_names(net))
    filled(net, names, found, "fixed/0/state/")
    torch.testing.assert_close(net.eval()(x), tensor(found, "fixed/0/logits_eval"), rtol=1e-8, atol=1e-9)
    logits = net.train()(x)
    torch.testing.assert_close(logits, tensor(found, "fixed/0/logits_train"), rtol=1e-8, atol=1e-9)
    F.cross_entropy(logits, tensor(found, "fixed/0/y").long()).backward()
    assert check_gradients(net, names, found, "fixed/0/grad/") > 50


def test_the_published_counts_are_exact(reference: Path) -> None:
    record = json.loads((reference / "reference" / "genotypes.json").read_text())["enas"]["macro"]
    released = space.from_arc([one for layer in record["layers"] for one in layer])
    assert count(released).params == 42_559_392
    with torch.device("meta"):
        search = networks.Supernet(channels=36, cells=12)
    assert sum(parameter.numel() for parameter in search.parameters()) == 697_860


def test_a_pool_of_the_final_network_is_that_of_the_search_child() -> None:
    a = space.from_arc([4, 5, 1, 0, 0, 1])
    net = seeded(lambda: networks.Network(a, channels=2))
    assert isinstance(net.cells[0].body[-1], nn.AvgPool2d) and isinstance(net.cells[1].body[-1], nn.MaxPool2d)
    assert net(torch.zeros(2, 3, 8, 8).double()).shape == (2, 10)


TWELVE = space.to_text(space.SPACE.smallest())


@pytest.mark.parametrize(
    ("arc", "said"),
    [
        (f"{TWELVE} 1", "79 integers are no arc"),
        (TWELVE[:-22], "67 integers are no arc"),
        (f"0 3 0 0 1 0 6{TWELVE[13:]}", "layer 4 has the operation 6; operations are 0 to 5"),
        (f"0 3 0 0 1 2{TWELVE[11:]}", "layer 3 has 2 for its skip.2, from layer 1; a skip connection is 0 or 1"),
        ("[[0], [3, 0], [0, 1, 0, 0], [0, 0, 1]]", "layer 3 of an arc of ENAS macro has 4 integers; give"),
        ("0\n3 0\n0 1 0 0\n0 0 1", "layer 3 of an arc of ENAS macro has 4 integers; give"),
    ],
)
def test_a_wrong_arc_is_one_line_that_names_the_layer(arc: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", arc]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_the_layers_follow_from_the_architecture_and_another_number_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    four = json.dumps(space.from_arc([0, 3, 0, 0, 1, 0, 2, 0, 0, 1]).to_json())
    assert main(["show", four]) == 0
    assert "96 channels, 4 layers" in capsys.readouterr().out
    words = ["train", four, "--data", "digits", "--epochs", "1", "--out", str(tmp_path / "run")]
    assert main([*words, "--cells", "5"]) == 2
    assert "these architectures have 4 layers; give --cells 4" in capsys.readouterr().err
    assert main([*words, "--print-config"]) == 0
    assert "cells = 4" in capsys.readouterr().out
