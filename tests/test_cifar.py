"""The official files of CIFAR-10 and CIFAR-100, small ones made here and the real ones."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from cifar_files import records, write_cifar10, write_cifar100, write_python_layout
from dartboard.data import load_data
from dartboard.data.layouts import cache_folder
from dartboard.errors import InputError


def test_the_binary_layout_is_read_record_by_record(tmp_path):
    write_cifar10(tmp_path, num=20)
    data = load_data("cifar10", data_dir=tmp_path, official_split=True)
    for number in range(5):
        pixels, labels = records(20, 10, number)
        part = slice(20 * number, 20 * number + 20)
        assert np.array_equal(data.train_and_val().images[part].numpy().reshape(20, -1), pixels)
        assert data.train_and_val().labels[part].tolist() == labels.tolist()
    assert np.array_equal(data.test.images.numpy().reshape(20, -1), records(20, 10, 5)[0])
    assert data.class_names[3] == "cat" and data.channels == 3 and data.image_size == 32 and data.notes == ()


def test_cifar100_labels_are_the_fine_ones(tmp_path):
    write_cifar100(tmp_path)
    data = load_data("cifar100", data_dir=tmp_path, official_split=True)
    assert data.train_and_val().labels.tolist() == records(400, 100, 0)[1].tolist()
    assert data.num_classes == 100 and data.class_names[0] == "apple" and data.class_names[99] == "worm"


@pytest.mark.parametrize("inside", [True, False])
def test_the_folder_given_may_hold_the_layout_or_be_it(tmp_path, inside):
    folder = write_cifar10(tmp_path)
    assert len(load_data("cifar10", data_dir=folder if inside else tmp_path).test) == 40
    assert len(load_data("cifar10", data_dir=str(folder if inside else tmp_path)).test) == 40


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_the_python_layout_holds_the_same_data(tmp_path, protocol):
    write_cifar10(tmp_path / "binary")
    write_python_layout(tmp_path / "python", protocol)
    binary, python = (load_data("cifar10", data_dir=tmp_path / name) for name in ("binary", "python"))
    assert python.fingerprint == binary.fingerprint


@pytest.mark.parametrize("num", [1, 3])
def test_any_positive_number_of_records_is_accepted_and_missing_classes_are_noted(tmp_path, num):
    write_cifar10(tmp_path, num=num)
    data = load_data("cifar10", data_dir=tmp_path)
    assert len(data.train) + len(data.val) == 5 * num and len(data.test) == num
    assert any("test has no image of" in note for note in data.notes)


def test_a_missing_training_file_is_noted(tmp_path):
    (write_cifar10(tmp_path) / "data_batch_4.bin").unlink()
    data = load_data("cifar10", data_dir=tmp_path)
    assert len(data.train_and_val()) == 160 and any("data_batch_4.bin is not there" in note for note in data.notes)


def damaged(tmp_path, content):
    folder = write_cifar10(tmp_path)
    (folder / "data_batch_2.bin").write_bytes(content)
    with pytest.raises(InputError, match=r"data_batch_2\.bin") as caught:
        load_data("cifar10", data_dir=tmp_path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_cut_file_is_refused(tmp_path):
    assert "3073-byte records" in damaged(tmp_path, bytes(3073 * 3 - 1))


def test_an_empty_file_is_refused(tmp_path):
    assert "is empty" in damaged(tmp_path, b"")


def test_a_label_out_of_range_is_refused_and_its_record_named(tmp_path):
    assert "record 1 has the label 10, and 9 is the highest" in damaged(tmp_path, bytes(3073) + b"\x0a" + bytes(3072))


@pytest.mark.parametrize(("record", "message"), [(b"\x14\x00", "coarse label 20"), (b"\x00\x64", "label 100")])
def test_cifar100_labels_out_of_range_are_refused(tmp_path, record, message):
    (write_cifar100(tmp_path) / "test.bin").write_bytes(record + bytes(3072))
    with pytest.raises(InputError, match=message):
        load_data("cifar100", data_dir=tmp_path)


def test_a_folder_without_the_data_is_refused_at_once(tmp_path):
    with pytest.raises(InputError, match=r"no cifar10 files in .*cifar-10-batches-bin.*--download"):
        load_data("cifar10", data_dir=tmp_path)
    with pytest.raises(InputError, match="no cifar100 files in"):
        load_data("cifar100", data_dir=tmp_path / "absent")
    assert not (tmp_path / "absent").exists()


@pytest.mark.parametrize("lost", ["test_batch.bin", "data_batch_*.bin"])
def test_a_folder_with_half_of_the_data_names_what_is_missing(tmp_path, lost):
    for file in write_cifar10(tmp_path).glob(lost):
        file.unlink()
    with pytest.raises(InputError, match=f"but not {lost.replace('*', '1')}"):
        load_data("cifar10", data_dir=tmp_path)


def test_a_file_as_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        load_data("cifar10", data_dir=tmp_path / "file")


def test_a_file_that_cannot_be_read_is_refused(tmp_path, monkeypatch):
    write_cifar10(tmp_path)

    def refuse(*args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(np, "fromfile", refuse)
    with pytest.raises(InputError, match=r"cannot read .*data_batch_1\.bin: Permission denied"):
        load_data("cifar10", data_dir=tmp_path)


def test_without_a_folder_the_data_are_looked_for_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    write_cifar10(tmp_path / "dartboard")
    assert len(load_data("cifar10").test) == 40
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "dartboard"


def unpacked(reference, tmp_path, name):
    if not (reference / "data" / "unpack.py").is_file():
        pytest.skip("no real files beside the reference")
    script = [sys.executable, str(reference / "data" / "unpack.py"), name, str(tmp_path)]
    subprocess.run(script, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})


def test_the_real_cifar10_is_read_whole_and_has_the_published_statistics(reference, tmp_path):
    unpacked(reference, tmp_path, "cifar10")
    begin = time.monotonic()
    data = load_data("cifar10", data_dir=tmp_path)
    assert time.monotonic() - begin < 30
    assert (len(data.train), len(data.val), len(data.test)) == (25_000, 25_000, 10_000) and not data.notes
    for split, count in ((data.train, 2500), (data.val, 2500), (data.test, 1000)):
        assert torch.bincount(split.labels).tolist() == [count] * 10
    pixels = data.train_and_val().images
    for channel in range(3):
        counts = torch.bincount(pixels[:, channel].flatten(), minlength=256).double() / pixels[:, channel].numel()
        mean = (counts * torch.arange(256) / 255).sum().item()
        spread = (counts * (torch.arange(256) / 255 - mean) ** 2).sum().sqrt().item()
        assert mean == pytest.approx(data.mean[channel], abs=1e-6)
        assert spread == pytest.approx(data.std[channel], abs=1e-6)


def test_the_real_cifar100_is_read_with_its_hundred_classes(reference, tmp_path):
    unpacked(reference, tmp_path, "cifar100")
    data = load_data("cifar100", data_dir=tmp_path, max_images=10_000)
    assert torch.bincount(data.train.labels).tolist() == [50] * 100 and not data.notes
    assert torch.bincount(data.val.labels).tolist() == [50] * 100 and len(data.test) == 5000
