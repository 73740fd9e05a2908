"""Images of more than 8 bits are scaled by the range of values that the training images use."""

import json
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dartboard.cli import main
from dartboard.data import load_data
from dartboard.data.decoding import extent_of, in_bytes, read_image
from dartboard.errors import InputError
from dartboard.export import weights
from dartboard.formats import resolve
from dartboard.networks.darts import Sizes
from dartboard.runs.environment import describe_data
from dartboard.runs.run import Run


def deep(root, top, count=10, low=0, name="", kind=np.uint16):
    """16-bit grey PNGs of two classes with values from `low` to `top`, both in every image."""
    random = np.random.RandomState(top % 1000)
    for label in ("cat", "dog"):
        (root / name / label).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            values = random.randint(low, top + 1, (16, 16)).astype(kind)
            values[0, 0], values[0, 1] = low, top
            Image.fromarray(values).save(root / name / label / f"{number}.png")
    return root


def both(root, **options):
    """The same folder, in memory and on disk."""
    return [load_data(f"images:{root}", image_size=16, stream=stream, **options) for stream in ("never", "always")]


def pixels(split):
    return split.images[torch.arange(len(split))]


def same(one, other):
    assert one.fingerprint == other.fingerprint and one.value_range == other.value_range
    assert (one.mean, one.std) == (other.mean, other.std)
    for name in ("train", "val", "test"):
        assert torch.equal(pixels(getattr(one, name)), pixels(getattr(other, name)))
    assert torch.equal(pixels(one.train_and_val()), pixels(other.train_and_val()))


@pytest.mark.parametrize(("low", "top"), [(0, 255), (0, 1023), (0, 4095), (200, 1200), (0, 65535), (60000, 60001)])
def test_images_of_any_number_of_bits_use_all_of_0_to_255(tmp_path, low, top):
    memory, disk = both(deep(tmp_path, top, low=low))
    same(memory, disk)
    assert memory.value_range == (low, top)
    assert (int(memory.train.images.min()), int(memory.train.images.max())) == (0, 255)
    assert f"20 images have more than 8 bits; their values {low} to {top} become 0 to 255" in memory.notes[0]


def test_the_range_is_stored_and_brings_other_images_to_the_same_scale(tmp_path):
    data = both(deep(tmp_path / "one", 1023))[0]
    assert describe_data(data)["value_range"] == [0, 1023]
    deep(tmp_path / "other", 511)
    own, scaled = both(tmp_path / "other")[0], both(tmp_path / "other", value_range=data.value_range)
    same(*scaled)
    assert own.value_range == (0, 511) and scaled[0].value_range == (0, 1023)
    assert int(own.train.images.max()) == 255 and int(scaled[0].train.images.max()) == 127
    assert own.fingerprint != scaled[0].fingerprint


def test_values_beyond_the_range_are_clipped_with_a_notice(tmp_path):
    deep(tmp_path, 2047)
    for data in both(tmp_path, value_range=(100, 1000)):
        assert "20 of them have values beyond 100 to 1000, which are clipped" in data.notes
        assert (int(pixels(data.test).min()), int(pixels(data.test).max())) == (0, 255)


def test_the_range_is_that_of_train_and_val_and_not_of_the_test_images(tmp_path):
    for name, top in (("train", 1000), ("val", 1500), ("test", 4000)):
        deep(tmp_path, top, count=4, name=name)
    for data in both(tmp_path):
        assert data.value_range == (0, 1500)
        assert "8 of them have values beyond 0 to 1500, which are clipped" in data.notes


def test_images_that_are_set_aside_for_the_test_have_no_say_in_the_range(tmp_path):
    folder = deep(tmp_path / "data", 1000)
    plain = {file: read_image(file, 16, (0, 1000)).tobytes() for file in folder.rglob("*.png")}
    aside = {image.numpy().tobytes() for image in pixels(both(folder)[0].test)}
    of_test = [file for file, image in plain.items() if image in aside]
    assert len(of_test) == 4
    for file in of_test:
        Image.fromarray(np.full((16, 16), 50000, np.uint16)).save(file)
    for data in both(folder):
        assert data.value_range == (0, 1000) and (pixels(data.test) == 255).all()


def test_one_value_everywhere_gives_black_images_and_a_warning(tmp_path):
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for number in range(5):
            Image.fromarray(np.full((16, 16), 700, np.uint16)).save(tmp_path / label / f"{number}.png")
    memory, disk = both(tmp_path)
    same(memory, disk)
    assert memory.value_range == (700, 700) and (memory.train.images == 0).all() and memory.std == (1.0, 1.0, 1.0)
    assert any("train images are the same, so there is nothing to learn" in note for note in memory.notes)


def paint(root, image_of):
    for label in ("cat", "dog"):
        (root / label).mkdir(parents=True)
        for number in range(5):
            image_of(number + 10 * (label == "dog")).save(root / label / f"{number}.png")
    return root


def test_images_that_are_alike_are_told(tmp_path):
    random = np.random.RandomState(0)
    one = random.randint(0, 255, (16, 16, 3)).astype(np.uint8)
    kinds = {
        "all 4 train images are the same": lambda number: Image.fromarray(one),
        "every train image is of one colour throughout": lambda number: Image.new("L", (16, 16), 10 * number),
        "have nearly one value (standard deviation 1.": lambda number: Image.fromarray(
            np.random.RandomState(number).randint(0, 4, (16, 16, 3)).astype(np.uint8)
        ),
    }
    for place, (words, image_of) in enumerate(kinds.items()):
        for data in both(paint(tmp_path / str(place), image_of)):
            assert words in data.notes[-1] and "check the files" in data.notes[-1]
    photographs = paint(tmp_path / "fine", lambda number: Image.fromarray(np.roll(one, number, axis=0)))
    assert both(photographs)[0].notes == ()
    flat = np.full((40, 8, 8), 3, np.uint8)
    assert "are the same" in load_data(flat, np.arange(40) % 2).notes[0]


def test_eight_bit_images_beside_deep_ones_are_taken_as_they_are(tmp_path):
    deep(tmp_path, 1023, count=8)
    for label in ("cat", "dog"):
        for number in range(2):
            Image.new("L", (16, 16), 77).save(tmp_path / label / f"z{number}.png")
    memory, disk = both(tmp_path)
    same(memory, disk)
    whole = torch.cat([pixels(split) for split in (memory.train, memory.val, memory.test)])
    assert sum((image == 77).all().item() for image in whole) == 4 and memory.value_range == (0, 1023)


def test_deep_test_images_beside_training_images_of_eight_bits_keep_their_upper_bits(tmp_path):
    paint(tmp_path / "train", lambda number: Image.new("L", (16, 16), 5 * number))
    for label in ("cat", "dog"):
        (tmp_path / "test" / label).mkdir(parents=True)
        Image.fromarray(np.full((16, 16), 0x4D00, np.uint16)).save(tmp_path / "test" / label / "1.png")
    memory, disk = both(tmp_path)
    same(memory, disk)
    assert memory.value_range is None and (memory.test.images == 0x4D).all()
    assert "0 to 65535 become 0 to 255 (as the training images have no more than 8)" in memory.notes[0]


def test_a_resized_range_is_another_entry_of_the_cache_of_scans(tmp_path):
    deep(tmp_path, 1023)
    prints = [both(tmp_path, value_range=ends)[1].fingerprint for ends in (None, (0, 2000), None, (0, 2000))]
    assert prints[0] == prints[2] != prints[1] == prints[3]


@pytest.mark.parametrize("ends", [(5, 1), (0, float("nan")), (float("-inf"), 1)])
def test_a_range_that_is_none_is_refused(tmp_path, ends):
    with pytest.raises(InputError, match="value_range is"):
        load_data(f"images:{deep(tmp_path, 9)}", value_range=ends)


def tiff(values, endian):
    """A TIFF of one strip with these values as they are, in the given order of bytes."""
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    data = values.astype(values.dtype.newbyteorder(endian)).tobytes()
    height, width = values.shape
    tags = [(256, width), (257, height), (258, 8 * values.itemsize), (259, 1), (262, 1), (273, 8), (277, 1)]
    tags += [(278, height), (279, len(data)), (339, kind)]
    entries = b"".join(struct.pack(endian + "HHII", tag, 4, 1, value) for tag, value in tags)
    start = (b"MM" if endian == ">" else b"II") + struct.pack(endian + "HI", 42, 8 + len(data))
    return start + data + struct.pack(endian + "H", len(tags)) + entries + bytes(4)


DEPTHS = [
    (np.uint16, 0, 1000, "<"),
    (np.uint16, 0, 1000, ">"),
    (np.int16, -300, 500, "<"),
    (np.int16, -300, 500, ">"),
    (np.int32, -70000, 90000, "<"),
    (np.float32, 0.25, 0.5, "<"),
    (np.float32, -3.0, 5.5, ">"),
]


@pytest.mark.parametrize(("kind", "low", "top", "endian"), DEPTHS)
def test_signed_float_and_big_endian_tiffs_are_scaled_alike(tmp_path, kind, low, top, endian):
    ramp = np.linspace(low, top, 256).reshape(16, 16).astype(kind)
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for number in range(5):
            (tmp_path / label / f"{number}.tif").write_bytes(tiff(ramp, endian))
    memory, disk = both(tmp_path)
    same(memory, disk)
    assert memory.value_range == (low, top)
    expected = np.rint((ramp.astype(float) - low) / (top - low) * 255)
    assert np.array_equal(memory.test.images[0, 0].numpy(), expected)


def test_what_is_no_number_in_an_image_is_black_and_an_image_without_numbers_is_broken(tmp_path):
    values = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    values[3, 4], values[5, 6], values[7, 8] = np.nan, np.inf, -np.inf
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for number in range(12):
            Image.fromarray(values).save(tmp_path / label / f"{number}.tiff")
    Image.fromarray(np.full((16, 16), np.nan, np.float32)).save(tmp_path / "cat" / "nan.tiff")
    memory, disk = both(tmp_path)
    same(memory, disk)
    assert memory.value_range == (0, 1) and "cat/nan.tiff (no pixel of it is a finite number)" in memory.notes[0]
    assert [int(memory.test.images[0, 0, row, row + 1]) for row in (3, 5, 7)] == [0, 255, 0]


FINITE = st.floats(allow_nan=True, allow_infinity=True, width=32)


@given(st.lists(FINITE, min_size=1, max_size=30))
def test_scaling_is_monotonic_and_reaches_both_ends_for_any_values(values):
    image = np.array([values], np.float32)
    finite = image[np.isfinite(image)].astype(np.float64)
    if not len(finite):
        with pytest.raises(ValueError, match="finite"):
            extent_of(image)
        return
    low, high = extent_of(image)
    assert (low, high) == (finite.min(), finite.max())
    found = in_bytes(image, (low, high))[np.isfinite(image)]
    assert (np.diff(found[np.argsort(finite, kind="stable")].astype(int)) >= 0).all()
    assert (int(found.min()), int(found.max())) == ((0, 255) if high > low else (0, 0))


SMALL = ["--image-size", "8", "--channels", "2", "--cells", "3", "--batch-size", "4", "--epochs", "1", "--no-auxiliary"]


@pytest.mark.usefixtures("global_rng")
def test_a_training_and_its_export_keep_the_range_and_older_files_have_none(tmp_path, capsys):
    assert (
        main(
            [
                "train",
                "DARTS_V1",
                "--data",
                str(deep(tmp_path / "data", 1023, 5)),
                *SMALL,
                "--out",
                str(tmp_path / "run"),
            ]
        )
        == 0
    )
    assert "note: 10 images have more than 8 bits; their values 0 to 1023 become 0 to 255" in capsys.readouterr().out
    assert Run.open(tmp_path / "run").environment["data"]["value_range"] == [0, 1023]
    place = weights.write_torch(tmp_path / "run", tmp_path / "out") / weights.DESCRIPTION
    assert weights.load_trained(tmp_path / "run")[1].value_range == (0, 1023)
    assert weights.read_description(place).value_range == (0, 1023)
    record = json.loads(place.read_text())
    assert record["value_range"] == [0, 1023]
    for wrong in (["a", 1], [1], [True, 2], 7, [5, 1]):
        place.write_text(json.dumps({**record, "value_range": wrong}))
        with pytest.raises(InputError, match=r"damaged at|value_range is"):
            weights.read_description(place)
    del record["value_range"]
    place.write_text(json.dumps(record))
    assert weights.read_description(place).value_range is None


def test_a_description_refuses_a_range_that_is_none():
    known = weights.Description(resolve("DARTS_V1")[0], Sizes())
    with pytest.raises(InputError, match="value_range is"):
        replace(known, value_range=(3.0, 1.0))


def colour_png(path, bits, kind):
    """A PNG of 8x8 pixels written by hand: kind 2 is colour, 4 grey with transparency, 6 colour with it."""
    channels = {2: 3, 4: 2, 6: 4}[kind]
    rows = (b"\0" + bytes(8 * channels * bits // 8)) * 8
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", 8, 8, bits, kind, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    chunks = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


@pytest.mark.parametrize(
    ("bits", "kind", "told"), [(16, 2, True), (16, 4, True), (16, 6, True), (8, 2, False), (8, 6, False)]
)
def test_colour_of_16_bits_a_channel_is_told_of(tmp_path, bits, kind, told):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(6):
            colour_png(tmp_path / name / f"{number}.png", bits, kind)
    notes = load_data(str(tmp_path), image_size=8).notes
    assert told == any("have 16 bits per channel in colour, of which the upper 8 are read" in note for note in notes)
