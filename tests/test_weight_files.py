"""Weight files of the original code and ours load by name; hostile, foreign and damaged ones are refused in a line."""

import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy
import pytest
import torch
from safetensors.torch import save_file

from dartboard.errors import InputError
from dartboard.formats import load_weights, published
from dartboard.networks.darts import Network, Supernet

THEIRS = {
    "stem.0.weight": torch.arange(6.0).reshape(2, 3),
    "cells.0.preprocess0.op.1.weight": torch.ones(2, dtype=torch.float64),
    "cells.3._ops.13._ops.7.op.2.weight": torch.full((1, 2), 7.0),
    "cells.3._ops.5.op.2.num_batches_tracked": torch.tensor(3),
}
OURS = dict(
    zip(
        (
            "stem.0.weight",
            "cells.0.preprocess0.1.weight",
            "cells.3.ops.13.ops.7.2.weight",
            "cells.3.ops.5.2.num_batches_tracked",
        ),
        THEIRS.values(),
        strict=True,
    )
)


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_weights(path)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert len(message) < 600
    return message


def assert_ours(found: dict[str, torch.Tensor]) -> None:
    assert found.keys() == OURS.keys()
    assert all(torch.equal(found[name], OURS[name]) and found[name].dtype == OURS[name].dtype for name in OURS)


@pytest.mark.parametrize("zipped", [True, False])
def test_torch_files_of_both_ages_load_by_our_names(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "weights.pt"
    torch.save(OrderedDict(THEIRS), path, _use_new_zipfile_serialization=zipped)
    assert_ours(load_weights(path))


def test_safetensors_load_whatever_the_file_is_called(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    save_file(THEIRS, path)
    assert_ours(load_weights(path))


def test_a_checkpoint_is_unwrapped_and_the_prefix_of_parallel_training_goes(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pth.tar"
    state = {f"module.{name}": tensor for name, tensor in THEIRS.items()}
    torch.save({"epoch": 600, "state_dict": state, "best_acc_top1": 97.2}, path)
    assert_ours(load_weights(path))


def test_safetensors_of_our_own_names_keep_them(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(OURS, path)
    assert_ours(load_weights(path))


@pytest.mark.usefixtures("global_rng")
def test_weights_of_the_original_code_fill_our_network_and_give_its_answers(tmp_path: Path, reference: Path) -> None:
    with numpy.load(reference / "reference" / "darts_v2_network.npz") as golden:
        state = {name.removeprefix("state/"): torch.from_numpy(golden[name]) for name in golden if "state/" in name}
        x, expected = torch.from_numpy(golden["x"]), torch.from_numpy(golden["logits_eval"])
    torch.save(state, tmp_path / "weights.pt")
    network = Network(published()["DARTS_V2"].architecture, channels=4, cells=5).double().eval()
    network.load_state_dict(load_weights(tmp_path / "weights.pt"))
    with torch.no_grad():
        logits = network(x)
    torch.testing.assert_close(logits[0] if isinstance(logits, tuple) else logits, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.usefixtures("global_rng")
def test_search_weights_of_the_original_code_have_the_names_of_our_supernet(tmp_path: Path, reference: Path) -> None:
    with numpy.load(reference / "reference" / "darts_supernet.npz") as golden:
        state = {name.removeprefix("state/"): torch.from_numpy(golden[name]) for name in golden if "state/" in name}
    torch.save(state, tmp_path / "weights.pt")
    Supernet(channels=4, cells=5).load_state_dict(load_weights(tmp_path / "weights.pt"))


class Hostile:
    """Runs a command when an unrestricted reader unpacks it."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
def test_code_in_a_weight_file_is_refused_and_not_run(tmp_path: Path, form: str) -> None:
    path, mark = tmp_path / "hostile.pt", tmp_path / "was-run"
    if form == "pickle":
        path.write_bytes(pickle.dumps({"weight": Hostile(mark)}, protocol=2))
    else:
        torch.save({"weight": Hostile(mark)}, path, _use_new_zipfile_serialization=form == "zip")
    assert "hostile.pt" in refusal(path)
    assert not mark.exists()


@pytest.mark.usefixtures("global_rng")
def test_a_pickled_module_is_refused_with_what_it_asks_for(tmp_path: Path) -> None:
    path = tmp_path / "module.pt"
    torch.save(torch.nn.Linear(2, 2), path)
    assert "torch.nn.modules.linear.Linear" in refusal(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_torch_file_cut_off_or_overwritten_anywhere_is_refused(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "cut.pt"
    torch.save(THEIRS, path, _use_new_zipfile_serialization=zipped)
    data = path.read_bytes()
    for length in range(0, len(data) - 1, 41):
        path.write_bytes(data[:length])
        refusal(path)
    path.write_bytes(data[:100] + b"\xff" * 100 + data[200:])
    refusal(path)


def test_a_safetensors_file_cut_off_anywhere_or_with_a_lying_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    save_file(THEIRS, path)
    data = path.read_bytes()
    for length in range(0, len(data) - 1, 23):
        path.write_bytes(data[:length])
        refusal(path)
    path.write_bytes((2**62).to_bytes(8, "little") + data[8:])
    refusal(path)


def test_what_is_no_weight_file_is_said(tmp_path: Path) -> None:
    path = tmp_path / "cell.txt"
    path.write_text("Genotype(normal=[])", encoding="utf-8")
    assert "is not a weight file" in refusal(path)
    assert "is a folder" in refusal(tmp_path)
    assert "there is no file" in refusal(tmp_path / "missing.pt")
    assert "pipe or a device" in refusal(Path("/dev/zero"))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "hello")
    assert "is an archive of other files, not a file of torch.save" in refusal(path)


def test_a_compressed_archive_is_refused_before_it_unpacks(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/data.pkl", bytes(10_000_000))
    assert "is a compressed archive" in refusal(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (torch.ones(2), "holds 'Tensor'"),
        ({}, "holds 'dict'"),
        ([torch.ones(2)], "holds 'list'"),
        ({"a": 3}, "'a' is 'int'"),
        ({3: torch.ones(2)}, "3 is 'Tensor'"),
        ({"a": torch.ones(1).expand(10**12)}, "not a plain tensor"),
        ({"a": torch.ones(3).to_sparse()}, "not a plain tensor"),
        ({"a": torch.ones(1), "module.a": torch.ones(1)}, "two tensors for 'a'"),
    ],
)
def test_anything_but_named_tensors_is_refused(tmp_path: Path, content: object, words: str) -> None:
    path = tmp_path / "content.pt"
    torch.save(content, path)
    assert words in refusal(path)


@pytest.mark.parametrize("first", [b"\x80", b"{", b"P", b"\n", b" "])
def test_a_header_of_any_length_is_that_of_safetensors(tmp_path: Path, first: bytes) -> None:
    header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    length = next(n for n in range(len(header), 1000) if n % 256 == first[0])
    content = length.to_bytes(8, "little") + header.ljust(length) + bytes(4)
    (tmp_path / "w.safetensors").write_bytes(content)
    assert load_weights(tmp_path / "w.safetensors")["a"].tolist() == [0.0]
