"""images:DIR: folders of class folders, in every shape people have them."""

import os
import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from dartboard.data import decoding, load_data, scans
from dartboard.data.decoding import read_image
from dartboard.errors import InputError


def picture(seed, width=40, height=36):
    """A smooth picture of its own for every seed."""
    small = np.random.RandomState(seed).randint(0, 256, (4, 4, 3)).astype(np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def make(root, classes=("cat", "dog"), count=10, suffix=".png", seed=0):
    """`count` pictures of each class below root."""
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for index in range(count):
            picture(1000 * seed + 100 * number + index).save(root / name / f"{index:03}{suffix}")
    return root


def load(root, **options):
    return load_data(f"images:{root}", **options)


def refused(root, message, **options):
    with pytest.raises(InputError, match=message) as caught:
        load(root, **options)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
    return str(caught.value)


def test_class_folders_become_three_splits_of_32_pixels(tmp_path):
    data = load(make(tmp_path, ("zebra", "ant", "Bee")))
    assert data.class_names == ("Bee", "ant", "zebra") and data.name == f"images:{tmp_path}"
    assert (len(data.train), len(data.val), len(data.test)) == (12, 12, 6)
    assert data.train.images.shape[1:] == (3, 32, 32) and data.train.images.dtype == torch.uint8
    for split in (data.train, data.val, data.test):
        assert len(set(torch.bincount(split.labels, minlength=3).tolist())) == 1


def test_the_test_images_do_not_depend_on_the_seed(tmp_path):
    make(tmp_path)
    one, other = load(tmp_path, seed=1), load(tmp_path, seed=2)
    assert torch.equal(one.test.images, other.test.images) and not torch.equal(one.train.images, other.train.images)
    assert load(tmp_path, seed=1).fingerprint == one.fingerprint


def test_labels_belong_to_their_images(tmp_path):
    make(tmp_path, ("a", "b"), count=10)
    expected = {read_image(tmp_path / "b" / f"{i:03}.png", 32).tobytes() for i in range(10)}
    data = load(tmp_path)
    for split in (data.train, data.val, data.test):
        for image, label in zip(split.images, split.labels, strict=True):
            assert (image.numpy().tobytes() in expected) == bool(label)


@pytest.mark.parametrize("size", [8, 17, 64])
def test_the_image_size_can_be_chosen(tmp_path, size):
    assert load(make(tmp_path), image_size=size).train.images.shape[1:] == (3, size, size)


@pytest.mark.parametrize("size", [0, -3, 3, 5000])
def test_impossible_image_sizes_are_refused(tmp_path, size):
    refused(make(tmp_path), "give 4 to 1024 pixels", image_size=size)


@pytest.mark.parametrize("val", ["val", "valid", "validation"])
def test_folders_of_their_own_are_the_splits(tmp_path, val):
    make(tmp_path / "train", count=6)
    make(tmp_path / val, count=4, seed=1)
    make(tmp_path / "test", count=3, seed=2)
    data = load(tmp_path)
    assert (len(data.train), len(data.val), len(data.test)) == (12, 8, 6)
    assert np.array_equal(data.test.images[4].numpy(), read_image(tmp_path / "test" / "dog" / "001.png", 32))
    assert load(tmp_path, seed=5).fingerprint == data.fingerprint


def test_lacking_val_is_taken_from_train_and_lacking_test_is_set_aside(tmp_path):
    make(tmp_path / "one" / "train")
    make(tmp_path / "one" / "test", count=3, seed=1)
    data = load(tmp_path / "one")
    assert (len(data.train), len(data.val), len(data.test)) == (10, 10, 6)
    make(tmp_path / "other" / "train")
    make(tmp_path / "other" / "val", count=3, seed=1)
    data = load(tmp_path / "other")
    assert (len(data.train), len(data.val), len(data.test)) == (16, 6, 4)


def test_val_and_test_may_lie_beside_the_class_folders(tmp_path):
    make(tmp_path)
    make(tmp_path / "val", count=3, seed=1)
    make(tmp_path / "test", count=2, seed=2)
    data = load(tmp_path)
    assert (len(data.train), len(data.val), len(data.test)) == (20, 6, 4) and data.class_names == ("cat", "dog")


def test_a_class_named_train_is_a_class(tmp_path):
    assert load(make(tmp_path, ("bus", "train"))).class_names == ("bus", "train")


def test_max_images_counts_train_and_val_together(tmp_path):
    make(tmp_path / "train", count=12)
    make(tmp_path / "val", count=6, seed=1)
    make(tmp_path / "test", count=3, seed=2)
    data = load(tmp_path, max_images=12)
    assert (len(data.train), len(data.val), len(data.test)) == (8, 4, 6)


def test_an_official_split_of_data_with_own_val_images_is_refused(tmp_path):
    make(tmp_path / "train")
    make(tmp_path / "val", seed=1)
    refused(tmp_path, "has its own val images", official_split=True)


def close(file, expected, tolerance=2):
    pixels = read_image(file, 8).astype(int)
    assert np.abs(pixels - np.array(expected)[:, None, None]).max() <= tolerance, pixels


def test_grey_palette_and_transparent_images_become_rgb(tmp_path):
    Image.new("L", (20, 20), 77).save(tmp_path / "grey.png")
    Image.new("RGB", (20, 20), (200, 30, 60)).convert("P").save(tmp_path / "palette.png")
    Image.new("RGBA", (20, 20), (200, 30, 60, 0)).save(tmp_path / "clear.png")
    Image.new("LA", (20, 20), (0, 128)).save(tmp_path / "half.png")
    Image.new("1", (20, 20), 1).save(tmp_path / "bit.png")
    Image.new("CMYK", (20, 20), (0, 255, 255, 0)).save(tmp_path / "print.jpg")
    close(tmp_path / "grey.png", (77, 77, 77))
    close(tmp_path / "palette.png", (204, 51, 51), 30)
    close(tmp_path / "clear.png", (255, 255, 255))
    close(tmp_path / "half.png", (127, 127, 127))
    close(tmp_path / "bit.png", (255, 255, 255))
    close(tmp_path / "print.jpg", (255, 0, 0), 5)


def test_a_palette_with_a_transparent_colour_becomes_white_there(tmp_path):
    image = Image.new("P", (20, 20), 1)
    image.putpalette([0, 0, 0, 9, 9, 9])
    image.save(tmp_path / "palette.png", transparency=1)
    close(tmp_path / "palette.png", (255, 255, 255))


def test_sixteen_bit_images_keep_their_grey_values(tmp_path):
    Image.fromarray(np.full((20, 20), 0x4D00, np.uint16)).save(tmp_path / "deep.png")
    close(tmp_path / "deep.png", (0x4D, 0x4D, 0x4D), 0)


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".png", ".webp"])
def test_every_format_gives_nearly_the_same_pixels(tmp_path, suffix):
    image = picture(3, 64, 64)
    file = tmp_path / f"image{suffix}"
    image.save(file, quality=95)
    reference = np.asarray(image.resize((32, 32), Image.Resampling.BICUBIC)).transpose(2, 0, 1).astype(int)
    assert np.abs(read_image(file, 32).astype(int) - reference).mean() < 4


@pytest.mark.parametrize(("turn", "corner"), [(1, (0, 0)), (3, (1, 1)), (6, (0, 1)), (8, (1, 0)), (2, (0, 1))])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_exif_turns_are_undone(tmp_path, turn, corner, suffix):
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:32, :32] = 255  # the upper left quarter is white
    exif = Image.Exif()
    exif[0x0112] = turn
    Image.fromarray(pixels).save(tmp_path / f"image{suffix}", exif=exif)
    quarters = read_image(tmp_path / f"image{suffix}", 32).astype(int).reshape(3, 2, 16, 2, 16).mean((0, 2, 4))
    assert np.unravel_index(quarters.argmax(), (2, 2)) == corner and quarters.max() > 240


def test_the_centre_square_is_taken_and_the_shorter_side_resized(tmp_path):
    pixels = np.zeros((40, 120, 3), np.uint8)
    pixels[:, :40], pixels[:, 40:80], pixels[:, 80:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    Image.fromarray(pixels.transpose(1, 0, 2).copy()).save(tmp_path / "high.png")
    wide, high = read_image(tmp_path / "wide.png", 8), read_image(tmp_path / "high.png", 8)
    assert np.array_equal(wide.transpose(0, 2, 1), high)
    assert (wide[:, :, 1:-1] == np.array([0, 255, 0])[:, None, None]).all()  # all but the blurred edges are green
    assert (wide[1] > 200).all()


def test_extreme_shapes_are_read(tmp_path):
    for name, size in (("wide", (3000, 1)), ("high", (1, 3000)), ("dot", (1, 1))):
        Image.new("RGB", size, (9, 99, 199)).save(tmp_path / f"{name}.png")
        close(tmp_path / f"{name}.png", (9, 99, 199), 0)


def test_a_large_photograph_is_read_at_a_lower_resolution_and_looks_the_same(tmp_path):
    image = picture(5, 1600, 1200)
    image.save(tmp_path / "photo.jpg", quality=92)
    square = image.crop((200, 0, 1400, 1200)).resize((32, 32), Image.Resampling.BICUBIC)
    difference = read_image(tmp_path / "photo.jpg", 32).astype(int) - np.asarray(square).transpose(2, 0, 1)
    assert np.abs(difference).mean() < 2


def test_a_few_broken_images_are_named_and_left_out(tmp_path):
    make(tmp_path, count=30)
    (tmp_path / "cat" / "003.png").write_bytes(b"no image")
    whole = (tmp_path / "dog" / "004.png").read_bytes()
    (tmp_path / "dog" / "004.png").write_bytes(whole[: len(whole) // 2])
    data = load(tmp_path)
    assert len(data.train) + len(data.val) + len(data.test) == 58
    assert len(data.notes) == 1 and data.notes[0].startswith("2 of 60 images are broken and left out: cat/003.png (")
    assert "dog/004.png (" in data.notes[0]
    whole = torch.cat([data.train.images, data.val.images, data.test.images])
    assert (whole.flatten(1).max(1).values > 0).all()  # no black one in place of a broken one


def test_too_many_broken_images_stop_it(tmp_path):
    make(tmp_path, count=20)
    for index in range(2):
        (tmp_path / "cat" / f"{index:03}.png").write_bytes(bytes(100))
    assert "2 of 40 images are broken" in load(tmp_path).notes[0]
    (tmp_path / "dog" / "000.png").write_bytes(bytes(100))
    message = refused(tmp_path, "3 of 40 images in .* are broken, more than 5%")
    assert "cat/000.png (no image)" in message


def test_a_file_of_another_kind_behind_an_image_suffix_is_broken(tmp_path):
    make(tmp_path, count=15)
    picture(1).save(tmp_path / "cat" / "drawing.png", format="PDF")
    assert "cat/drawing.png (no image)" in load(tmp_path).notes[0]


def test_decompression_bombs_are_not_unpacked(tmp_path, monkeypatch):
    make(tmp_path, count=15)
    monkeypatch.setattr(decoding, "MAX_PIXELS", 1_000_000)
    Image.new("1", (2000, 1000)).save(tmp_path / "cat" / "bomb.png")
    assert "cat/bomb.png (2000x1000 pixels are too many)" in load(tmp_path).notes[0]


def test_a_bomb_that_pillow_itself_refuses_is_one_broken_image(tmp_path):
    make(tmp_path, count=15)
    header = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x01\x86\xa0\x00\x01\x86\xa0\x08\x02\x00\x00\x00"
    (tmp_path / "cat" / "bomb.png").write_bytes(header + bytes(60))
    assert "1 of 31 images are broken" in load(tmp_path).notes[0]


def test_hidden_files_other_files_and_nested_folders(tmp_path):
    make(tmp_path)
    (tmp_path / ".cache").mkdir()
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "cat" / ".hidden.png").write_bytes(b"x")
    (tmp_path / "cat" / "notes.txt").write_text("x")
    (tmp_path / "README.md").write_text("x")
    (tmp_path / "cat" / "more").mkdir()
    picture(77).save(tmp_path / "cat" / "more" / "far.webp")
    data = load(tmp_path)
    assert len(data.train) + len(data.val) + len(data.test) == 21 and data.class_names == ("cat", "dog")


def test_links_that_lead_in_a_circle_end(tmp_path):
    make(tmp_path)
    (tmp_path / "cat" / "again").symlink_to(tmp_path / "cat")
    (tmp_path / "dog" / "self").symlink_to("self")
    (tmp_path / "dog" / "gone.png").symlink_to("nowhere.png")
    data = load(tmp_path)
    assert len(data.train) + len(data.val) + len(data.test) == 20


def test_linked_class_folders_are_followed(tmp_path):
    make(tmp_path / "store")
    (tmp_path / "set").mkdir()
    for name in ("cat", "dog"):
        (tmp_path / "set" / name).symlink_to(tmp_path / "store" / name)
    assert load(tmp_path / "set").fingerprint == load(tmp_path / "store").fingerprint


def test_folders_without_images_are_left_out_with_a_word(tmp_path):
    make(tmp_path)
    for name in ("fish", "weights"):
        (tmp_path / name).mkdir()
    (tmp_path / "weights" / "best.pt").write_bytes(b"x")
    data = load(tmp_path)
    assert data.class_names == ("cat", "dog") and data.notes == ("left out, as no image is in them: fish, weights",)


def test_a_folder_with_one_class_or_none_is_refused(tmp_path):
    refused(tmp_path, "has no class folders")
    picture(1).save(tmp_path / "loose.png")
    refused(tmp_path, "has no class folders")
    refused(make(tmp_path, ("cat",)), "only one class folder, cat")


def test_a_class_that_a_split_lacks_is_refused(tmp_path):
    make(tmp_path / "train")
    make(tmp_path / "test", ("cat",), seed=1)
    refused(tmp_path, r"test has no image of 1 of 2 classes \('dog'\)")


def test_a_class_that_only_a_split_has_is_refused(tmp_path):
    make(tmp_path / "train")
    make(tmp_path / "val", ("cat", "dog", "fish"), seed=1)
    refused(tmp_path, "fish is a class that the training images do not have")


def test_classes_beside_train_are_refused(tmp_path):
    make(tmp_path / "train")
    make(tmp_path, ("fish",), seed=1)
    refused(tmp_path, "has train and next to it fish")


def test_two_folders_for_one_split_are_refused(tmp_path):
    make(tmp_path / "train")
    make(tmp_path / "val", seed=1)
    make(tmp_path / "valid", seed=2)
    refused(tmp_path, "has both val and valid")


def test_classes_of_one_image_are_refused(tmp_path):
    refused(make(tmp_path, count=1), "every split needs every class|no image is left")


@pytest.mark.parametrize("name", ["images:", "images", "images:/no/such/folder"])
def test_a_folder_that_is_not_given_or_not_there_is_refused(name):
    with pytest.raises(InputError, match=r"images:DIR"):
        load_data(name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read_is_refused(tmp_path):
    make(tmp_path)
    (tmp_path / "cat").chmod(0)
    try:
        refused(tmp_path, r"cannot read .*cat: Permission denied")
    finally:
        (tmp_path / "cat").chmod(0o755)


def test_many_images_are_announced_on_stderr(tmp_path, monkeypatch, capfd):
    make(tmp_path, count=15)
    monkeypatch.setattr(scans, "MANY", 20)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    plain = load(tmp_path)
    assert capfd.readouterr().err == "reading 30 images\n"
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes this for a terminal
    assert load(tmp_path).fingerprint == plain.fingerprint
    assert re.search(r"reading 30 images\n.*30/30", capfd.readouterr().err, re.DOTALL)


def test_a_copy_of_the_folder_elsewhere_has_the_same_fingerprint(tmp_path):
    make(tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    assert load(tmp_path / "one").fingerprint == load(tmp_path / "two").fingerprint
