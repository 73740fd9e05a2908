"""Which files of a folder are images: told by their content, others counted and named."""

import os
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dartboard.data import decoding, load_data
from dartboard.data.class_folders import SUFFIXES, is_image
from dartboard.data.decoding import FORMATS, holds_image, read_image
from dartboard.data.folders import Listing, listing_notes
from dartboard.errors import InputError


def picture(seed=0):
    small = np.random.RandomState(seed).randint(0, 256, (4, 4, 3)).astype(np.uint8)
    return Image.fromarray(small).resize((20, 20), Image.Resampling.BICUBIC)


def fill(root, suffix=".png", kind="PNG", count=6):
    for place, label in enumerate(("cat", "dog")):
        (root / label).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            picture(10 * place + number).save(root / label / f"{number}{suffix}", kind)
    return root


def total(data):
    return len(data.train) + len(data.val) + len(data.test)


KINDS = [
    (".bmp", "BMP"),
    (".BMP", "BMP"),
    (".tif", "TIFF"),
    (".tiff", "TIFF"),
    (".gif", "GIF"),
    (".ppm", "PPM"),
    (".pgm", "PPM"),
    (".jfif", "JPEG"),
    (".jpe", "JPEG"),
    (".jp2", "JPEG2000"),
    ("", "JPEG"),
    ("", "PNG"),
    ("", "WEBP"),
    ("", "BMP"),
    (".image", "TIFF"),
    (".dat", "GIF"),
    (".jpg", "PNG"),
    (".png", "GIF"),
]


@pytest.mark.parametrize(("suffix", "kind"), KINDS)
def test_images_of_every_kind_are_read_whatever_their_ending(tmp_path, suffix, kind):
    memory, disk = (load_data(f"images:{fill(tmp_path, suffix, kind)}", stream=form) for form in ("never", "always"))
    assert total(memory) == 12 and memory.notes == () and memory.fingerprint == disk.fingerprint
    found = read_image(tmp_path / "cat" / f"0{suffix}", 20).astype(int)
    assert np.abs(found - np.asarray(picture(0)).transpose(2, 0, 1)).mean() < 16


def test_other_files_are_counted_and_named_by_their_endings(tmp_path):
    fill(tmp_path)
    for number in range(3):
        (tmp_path / "cat" / f"{number}.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(50))
    np.save(tmp_path / "dog" / "features.npy", np.zeros(3))
    for name in ("README.txt", "Thumbs.db", ".DS_Store", ".hidden.png", "LICENSE", "labels.csv", "BMW.txt", "P5.md"):
        (tmp_path / "dog" / name).write_text(f"{name.split('.')[0]} and some more words\n" * 20)
    data = load_data(f"images:{tmp_path}")
    assert total(data) == 12
    (note,) = data.notes
    assert (
        note.startswith("10 files are not images and are skipped: 3 .heic, 2 .txt, 1 ") and "without an ending" in note
    )
    (tmp_path / "dog" / "deep").mkdir()
    for number in range(500):
        (tmp_path / "dog" / "deep" / f"{number}.x{number}").touch()
    (note,) = load_data(f"images:{tmp_path}").notes
    assert note.startswith("510 files are not images") and len(note) < 200


def test_a_single_file_that_is_no_image_is_named_in_the_singular() -> None:
    notes = listing_notes({"train": Listing((), (), Counter({".txt": 1}))})
    assert notes == ("1 file is not an image and is skipped: 1 .txt",)


def test_images_of_another_ending_count_beside_the_usual_ones(tmp_path):
    fill(fill(tmp_path), ".bmp", "BMP", 10)
    assert total(load_data(f"images:{tmp_path}")) == 32


@pytest.mark.parametrize("name", ["@eaDir", ".thumbnails", ".@__thumb", "__MACOSX", "#recycle", "$RECYCLE.BIN"])
def test_thumbnails_and_deleted_files_are_no_images(tmp_path, name):
    fill(tmp_path)
    for place in (tmp_path, tmp_path / "cat", tmp_path / "dog"):
        (place / name / "0.png").mkdir(parents=True)
        picture(1).save(place / name / "0.png" / "SYNOPHOTO_THUMB_M.jpg")
        picture(2).save(place / name / "loose.png")
    data = load_data(f"images:{tmp_path}")
    assert total(data) == 12 and data.class_names == ("cat", "dog") and data.notes == ()


def test_an_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((250, 0, 0), (0, 250, 0), (0, 0, 250))]
    for suffix in ("gif", "tiff", "png", "webp"):
        file = tmp_path / f"moving.{suffix}"
        frames[0].save(file, save_all=True, append_images=frames[1:], duration=100, lossless=True)
        red, green, blue = read_image(file, 8)[:, 4, 4].astype(int)
        assert red > 240 and green < 10 and blue < 10


def test_only_formats_that_start_no_program_are_tried(tmp_path):
    assert not {"EPS", "PDF", "WMF", "PSD", "MPEG", "HDF5", "GRIB", "FPX", "TGA"} & set(FORMATS)
    fill(tmp_path, count=30)
    hostile = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n(touched) (w) file\n"
    for name in ("a.eps", "b.ps", "c"):
        (tmp_path / "cat" / name).write_bytes(hostile)
    (tmp_path / "cat" / "d.png").write_bytes(hostile)
    data = load_data(f"images:{tmp_path}")
    assert total(data) == 60 and "cat/d.png (no image)" in data.notes[0] and "3 files are not images" in data.notes[1]


def test_large_claims_and_pipes_are_not_read(tmp_path, monkeypatch):
    fill(tmp_path, count=15)
    monkeypatch.setattr(decoding, "MAX_PIXELS", 1_000)
    Image.new("1", (200, 100)).save(tmp_path / "cat" / "bomb.tif", compression="group4")
    os.mkfifo(tmp_path / "cat" / "pipe")
    os.mkfifo(tmp_path / "cat" / "pipe.jpg")
    notes = load_data(f"images:{tmp_path}").notes
    assert "cat/bomb.tif (200x100 pixels are too many)" in notes[0] and "2 files are not images" in notes[1]


def test_a_folder_of_unreadable_files_only_says_what_is_there(tmp_path):
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for number in range(12):
            (tmp_path / label / f"{number}.heic").write_bytes(bytes(20))
    with pytest.raises(InputError, match=r"has no class folders; .* none of its files is an image \(.*\): 24 .heic"):
        load_data(f"images:{tmp_path}")


@pytest.mark.filterwarnings("ignore")
@given(st.binary(max_size=200), st.sampled_from([*decoding.SIGNATURES, b""]))
def test_any_bytes_are_an_image_or_not_and_raise_nothing(tmp_path_factory, content, start):
    file = tmp_path_factory.mktemp("bytes") / "file"
    file.write_bytes(start + content)
    assert holds_image(str(file)) in (True, False)
    pixels = np.zeros((3, 8, 8), np.uint8)
    assert isinstance(decoding.read_into(pixels, file), str)


def test_the_usual_endings_are_images_by_name_and_their_content_is_not_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr("dartboard.data.class_folders.holds_image", lambda file: pytest.fail(file))
    for suffix in SUFFIXES:
        (tmp_path / f"x{suffix}").write_bytes(b"broken")
        assert is_image(tmp_path / f"x{suffix}")
    (tmp_path / ".hidden").write_bytes(b"x")
    assert not is_image(tmp_path / ".hidden") and not is_image(tmp_path / "gone.png")
