"""Checkpoints as training scripts leave them: the weights are found, or one line says what the file is."""

import argparse
import json
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from dartboard.cli import main
from dartboard.errors import InputError
from dartboard.export.weights import load_foreign
from dartboard.formats import load_weights, published
from dartboard.networks.darts import Network, Supernet

V2 = published()["DARTS_V2"].architecture


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Network(V2, channels=2, cells=3, num_classes=10, auxiliary=False).state_dict()


def same(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> bool:
    """The same names, and the same numbers in the same memory layout."""
    return found.keys() == wanted.keys() and all(
        torch.equal(found[name], wanted[name])
        and found[name].dtype == wanted[name].dtype
        and found[name].stride() == wanted[name].stride()
        for name in wanted
    )


def refusal(path: Path | str) -> str:
    with pytest.raises(InputError) as caught:
        load_weights(path)
    message = str(caught.value)
    assert message.splitlines() == [message]
    assert len(message) < 600
    return message


def layouts(state: dict[str, Tensor]) -> dict[str, Any]:
    optimizer = {"state": {0: {"momentum_buffer": torch.ones(3)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
    beside = {"epoch": 3, "best_acc1": torch.tensor(97.2), "optimizer": optimizer, "arch": None, "lrs": [0.1, 0.2]}
    return {
        **{key: {key: state, **beside} for key in ("state_dict", "model", "net", "base-model", "model_ema", "weights")},
        "alone": {"model_state_dict": state},
        "deep": {"checkpoint": {"model": {"state_dict": state}}, **beside},
        "list": [state],
        "twice": {"model": state, "state_dict": state},
        "other beside": {"model": state, "teacher": {"fc.weight": torch.ones(2, 2)}, "alphas": [torch.ones(14, 8)]},
        "numpy": {"state_dict": state, "best": numpy.float64(97.2), "rng": numpy.arange(3)},
        "namespace": {"state_dict": state, "args": argparse.Namespace(lr=0.1, path=Path("x"))},
        "counters": {**state, "total_ops": torch.zeros(1), "cells.0.total_params": torch.zeros(1)},
        "counters of all": {"module." + name: one for name, one in state.items()} | {"total_ops": torch.zeros(1)},
        "scalars among": {**state, "epoch": 3, "name": "mine"},
        "parameters": OrderedDict((name, nn.Parameter(one, one.is_floating_point())) if one.is_floating_point() else
                                  (name, one) for name, one in state.items()),
        **{
            prefix: {"net": {prefix + name: one for name, one in state.items()}}
            for prefix in ("model.", "_orig_mod.", "module.", "module.module.", "module._orig_mod.", "net.", "a.b.c.")
        },
    }  # fmt: skip


NAMES = list(layouts({}))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("zipped", [True, False])
def test_the_only_dict_of_tensors_is_found_wherever_it_is(
    tmp_path: Path, state: dict[str, Tensor], name: str, zipped: bool
) -> None:
    torch.save(layouts(state)[name], tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    assert same(load_weights(tmp_path / "x.pt"), {key: one.detach() for key, one in state.items()})


@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.net."])
def test_prefixes_also_go_from_safetensors(tmp_path: Path, state: dict[str, Tensor], prefix: str) -> None:
    save_file({prefix + name: tensor.clone() for name, tensor in state.items()}, tmp_path / "x.safetensors")
    assert same(load_weights(tmp_path / "x.safetensors"), state)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_dtype_layout_and_protocol_is_read(tmp_path: Path, zipped: bool, protocol: int) -> None:
    base = torch.arange(24.0).reshape(2, 3, 4)
    kinds = [torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8]
    tensors = {f"k.{kind}": base.to(kind) for kind in (*kinds, torch.uint8, torch.bool)}
    tensors |= {"part": base[1, 1:, ::2], "turned": base.permute(2, 0, 1)}
    tensors |= {"empty": torch.ones(0, 3), "one": base[1, 2, 3]}
    path = tmp_path / "x.pt"
    torch.save(tensors, path, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    assert same(load_weights(path), tensors)


def test_of_a_model_and_its_average_one_is_chosen_by_its_key(
    tmp_path: Path, state: dict[str, Tensor], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.pt"
    average = {name: tensor + 1 for name, tensor in state.items()}
    torch.save({"model": state, "ema": {"module": average}, "epoch": 3}, path)
    assert f"holds several dicts of tensors: model, ema.module; give one, such as {path}:model" in refusal(path)
    assert same(load_weights(f"{path}:ema.module"), average)
    assert "unknown key" in refusal(f"{path}:emma") and "did you mean" in refusal(f"{path}:moddel")
    words = ["--arch", "DARTS_V2", "--data", "digits"]
    assert main(["evaluate", str(path), *words]) == 2
    assert "such as" in capsys.readouterr().err
    assert main(["evaluate", f"{path}:nothing", *words]) == 2
    assert "unknown key" in capsys.readouterr().err


@pytest.mark.usefixtures("global_rng")
def test_the_weights_of_a_search_are_named_as_such(tmp_path: Path) -> None:
    state = Supernet(channels=2, cells=3).state_dict()
    theirs = {name.replace("ops.", "_ops."): tensor for name, tensor in state.items()}
    beside = {"state_dict": theirs, "alphas_normal": torch.ones(14, 8)}
    for content in (theirs, beside, {"alpha_normal.0": torch.ones(2, 8)}):
        torch.save(content, tmp_path / "x.pt")
        with pytest.raises(InputError, match="the weights of a search's supernet, not of a trained network"):
            load_foreign(tmp_path / "x.pt", V2)


OTHERS = {
    b"": "is empty",
    b"<!DOCTYPE html>\n<html>": "is a web page (HTML)",
    b"\xef\xbb\xbf \n<html lang='en'>": "is a web page (HTML)",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n": "is a Git LFS pointer",
    json.dumps({"error": "Repository not found"}).encode(): "is JSON, not weights",
    b'{"a": 1}' + b" " * 20: "is JSON, not weights",
    b"\x1f\x8b\x08\x00" + bytes(20): "is compressed with gzip",
    b"BZh91AY": "is compressed with bzip2",
    b"\xfd7zXZ\x00": "is compressed with xz",
    b"\x89HDF\r\n": "is HDF5",
    b"\x93NUMPY\x01": "is an array of numpy",
    bytes(257) + b"ustar" + bytes(100): "is a tar archive",
    b"PK\x05\x06" + bytes(18): "is an empty archive",
    b"hello": "is not a weight file",
}


@pytest.mark.parametrize("content", OTHERS)
def test_what_a_download_left_in_place_of_weights_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pth").write_bytes(content)
    assert OTHERS[content] in refusal(tmp_path / "x.pth")


def test_archives_of_other_things_are_named(tmp_path: Path) -> None:
    numpy.savez(tmp_path / "x.npz", a=numpy.ones(3))
    assert "is numpy's .npz" in refusal(tmp_path / "x.npz")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("models/weights.pth", b"1234")
    assert "is an archive with 'models/weights.pth' in it; unpack it" in refusal(tmp_path / "x.zip")
