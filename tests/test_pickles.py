"""The reader of the Python layout: what the files need, and nothing that could run."""

import os
import pickle
import struct
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cifar_files import records, write_python_layout
from dartboard.data import load_data
from dartboard.data.pickles import read_pickle
from dartboard.errors import InputError


def refused(tmp_path, content):
    """The one line with which a file of these bytes is refused, quickly."""
    file = tmp_path / "data_batch_1"
    file.write_bytes(content)
    begin = time.process_time()
    with pytest.raises(InputError) as caught:
        read_pickle(file)
    assert time.process_time() - begin < 1 and "\n" not in str(caught.value) and len(str(caught.value)) < 400
    return str(caught.value)


def python_2_file(pixels, labels):
    """A file as Python 2 wrote the official ones: protocol 2, texts as bytes, numpy's old names."""
    out = [b"\x80\x02}q\x01(U\x0bbatch_labelq\x02U\x04partq\x03U\x06labelsq\x04]q\x05("]
    out += [b"K" + bytes([label]) for label in labels]
    out += [
        b"eU\x04dataq\x06cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85U\x01b\x87Rq\x09"
    ]
    out += [
        b"(K\x01M" + struct.pack("<H", len(pixels)) + b"M\x00\x0c\x86cnumpy\ndtype\nq\x0aU\x02u1K\x00K\x01\x87Rq\x0b"
    ]
    out += [b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T" + struct.pack("<I", pixels.size)]
    out += [pixels.tobytes(), b"tbU\x09filenamesq\x0c](U\x05a.pngU\x05b.pngeu."]
    return b"".join(out)


def test_a_file_as_python_2_wrote_it_is_read(tmp_path):
    pixels, labels = records(12, 10, 0)
    (tmp_path / "batch").write_bytes(python_2_file(pixels, labels))
    content = read_pickle(tmp_path / "batch")
    assert np.array_equal(content["data"], pixels) and content["labels"] == labels.tolist()
    assert content["filenames"] == [b"a.png", b"b.png"]


def test_a_column_order_array_is_read(tmp_path):
    pixels, _ = records(5, 10, 0)
    (tmp_path / "batch").write_bytes(pickle.dumps({"data": np.asfortranarray(pixels)}))
    assert np.array_equal(read_pickle(tmp_path / "batch")["data"], pixels)


class Harmful:
    """Its pickle writes a file when it is read by an ordinary reader."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", range(6))
def test_a_hostile_pickle_is_refused_and_does_not_run(tmp_path, protocol):
    content = pickle.dumps({b"data": Harmful(tmp_path / "harm")}, protocol=protocol)
    assert "posix.mkdir" in refused(tmp_path, content)
    assert not (tmp_path / "harm").exists()
    pickle.loads(content)
    assert (tmp_path / "harm").exists()  # the pickle is one that does harm elsewhere


def test_a_hostile_pickle_in_a_data_folder_is_refused(tmp_path):
    folder = write_python_layout(tmp_path, 2)
    (folder / "data_batch_3").write_bytes(pickle.dumps(Harmful(tmp_path / "harm"), protocol=2))
    with pytest.raises(InputError, match=r"data_batch_3 is refused"):
        load_data("cifar10", data_dir=tmp_path)
    assert not (tmp_path / "harm").exists()


USE = b"c_codecs\nencode\nh\x00U\x06latin1\x86Ra"
HOSTILE = {
    "builtin eval": b"\x80\x02cbuiltins\neval\nU\x011\x85R.",
    "a name with dots": b"\x80\x04\x8c\x05numpy\x8c\x0fdtype.__class__\x93.",
    "numpy's own loader": b"\x80\x02cnumpy\nload\nU\x01x\x85R.",
    "another codec": b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00xX\x05\x00\x00\x00utf-8\x86R.",
    "changing a function": b"\x80\x02c_codecs\nencode\nN}U\x04makeNs\x86b.",
    "an extension": b"\x80\x02\x82\x01.",
    "a persistent object": b"Px\n.",
    "making an instance": b"(inumpy\nndarray\n.",
    "an object array": b"\x80\x02cnumpy\ndtype\nU\x02O8K\x00K\x01\x87R.",
    "an array of another size": python_2_file(np.zeros((2, 3072), np.uint8), [0, 1]).replace(
        b"M\x02\x00", b"M\x03\x00"
    ),
    "memory far away": b"\x80\x02Nr\xff\xff\xff\xff.",
    "a tower of tuples as a key": b"\x80\x02}N" + b"\x85" * 500_000 + b"Ns.",
    "a tower of lists": b"\x80\x02" + b"](" * 50_000 + b"e" * 50_000 + b".",
    "a text longer than the file": b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
    "one text used many times": b"\x80\x02X\xa0\x86\x01\x00" + b"x" * 100_000 + b"q\x00]" + USE * 5 + b".",
    "no stop": b"\x80\x02}",
    "an empty stack": b"\x80\x02.",
    "nothing": b"",
    "plain text": b"hello world, I am no pickle\n",
    "zeros": bytes(1000),
    "a list": pickle.dumps([1, 2]),
    "a set": pickle.dumps({1, 2}),
    "keys that are numbers": pickle.dumps({1: 2}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_else_a_pickle_holds_is_refused(tmp_path, name):
    assert "data_batch_1" in refused(tmp_path, HOSTILE[name])


def test_a_file_cut_anywhere_is_refused(tmp_path):
    whole = pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 1]}, protocol=2)
    for length in [*range(60), *range(60, len(whole), 97), len(whole) - 1]:
        refused(tmp_path, whole[:length])


def test_a_file_far_too_large_is_refused_unread(tmp_path):
    with (tmp_path / "big").open("wb") as file:
        file.truncate(300 * 1024**2)
    with pytest.raises(InputError, match="larger than 256 MiB"):
        read_pickle(tmp_path / "big")


@settings(deadline=None, max_examples=150)
@given(edits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6))
def test_a_damaged_file_gives_a_dict_or_one_line(tmp_path_factory, edits):
    content = bytearray(python_2_file(np.zeros((1, 3072), np.uint8), [1]))
    content = content[:320] + content[-60:]
    for place, value in edits:
        content[int(place * len(content))] = value
    file = tmp_path_factory.mktemp("edited") / "batch"
    file.write_bytes(bytes(content))
    try:
        assert isinstance(read_pickle(file), dict)
    except InputError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({b"labels": [0]}, "has no 'data'"),
        ({b"data": [1, 2], b"labels": [0]}, "has no 'data'"),
        ({b"data": np.zeros((2, 100), np.uint8), b"labels": [0, 1]}, "has no 'data'"),
        ({b"data": np.zeros((2, 3072), np.int64), b"labels": [0, 1]}, "has no 'data'"),
        ({b"data": np.zeros((2, 3072), np.uint8)}, "has no 'labels'"),
        ({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0]}, "has no 'labels'"),
        ({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, "one"]}, "has no 'labels'"),
        ({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 10]}, "record 1 has the label 10"),
        ({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 10**30]}, "record 1 has the label"),
        ({b"data": np.zeros((2, 3072), np.uint8), b"labels": [-1, 0]}, "record 0 has the label -1"),
    ],
)
def test_a_dict_that_is_no_batch_is_refused(tmp_path, content, message):
    folder = write_python_layout(tmp_path, 2)
    (folder / "test_batch").write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(InputError, match=message):
        load_data("cifar10", data_dir=tmp_path)


def test_a_file_of_the_official_size_is_read_in_seconds(tmp_path):
    names = [f"photograph_s_{number:06d}.png".encode() for number in range(50_000)]
    labels = [number % 100 for number in range(50_000)]
    content = {b"fine_labels": labels, b"coarse_labels": labels, b"filenames": names}
    (tmp_path / "train").write_bytes(pickle.dumps(content, protocol=4))
    begin = time.monotonic()
    assert read_pickle(tmp_path / "train")["fine_labels"] == labels
    assert time.monotonic() - begin < 10
