"""Other data made of a data set: turned, inverted, with fewer classes, of another size."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cifar_files import write_cifar10
from dartboard.data import load_data
from dartboard.errors import InputError


def pixels(name: str, **options: object) -> torch.Tensor:
    data = load_data(name, **options)
    return torch.cat([data.train.images[:], data.val.images[:], data.test.images[:]])


def test_inverted_digits_are_the_digits_inverted_and_twice_is_not_at_all() -> None:
    assert torch.equal(255 - pixels("digits-inverted"), pixels("digits"))
    one, other = load_data("digits"), load_data("digits-inverted")
    assert torch.equal(one.train.labels, other.train.labels) and one.fingerprint != other.fingerprint
    assert all(abs(1 - a - b) < 1e-12 for a, b in zip(one.mean, other.mean, strict=True)) and other.std == one.std


def test_rotated_digits_are_the_digits_with_rows_for_columns() -> None:
    plain, turned = pixels("digits").numpy(), pixels("digits-rotated").numpy()
    for row, column in ((0, 0), (2, 5), (7, 3)):
        assert np.array_equal(turned[..., 7 - column, row], plain[..., row, column])


def test_fewer_classes_are_some_of_the_classes_with_all_their_images() -> None:
    whole, part = load_data("digits"), load_data("digits", max_classes=4)
    assert part.num_classes == 4 and set(part.class_names) < set(whole.class_names)
    assert part.class_names == load_data("digits", max_classes=4, seed=7).class_names

    def of_class(data: object, name: str) -> list[bytes]:
        found = []
        for split in (data.train, data.val, data.test):  # type: ignore[attr-defined]
            chosen = split.images[split.labels == data.class_names.index(name)]  # type: ignore[attr-defined]
            found += [bytes(image.numpy().tobytes()) for image in chosen]
        return sorted(found)

    held_out = {image.numpy().tobytes() for image in whole.test.images}
    assert {image.numpy().tobytes() for image in part.test.images} < held_out  # none of it is seen in training
    for name in part.class_names:
        assert of_class(part, name) == of_class(whole, name)
    with pytest.raises(InputError, match="--max-classes 11 is more than the 10 classes of digits"):
        load_data("digits", max_classes=11)


def test_half_the_size_is_the_mean_of_four_pixels() -> None:
    small, plain = pixels("digits", image_size=4), pixels("digits").double()
    means = plain.view(len(plain), 3, 4, 2, 4, 2).mean((3, 5))
    assert small.shape[1:] == (3, 4, 4) and (small - means).abs().max() <= 0.5
    data = load_data("digits", image_size=16)
    assert data.image_size == 16 and "resized from 8x8 to 16x16" in " ".join(data.notes)


def test_a_named_set_is_resized_and_its_mean_computed_anew(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    whole, small = load_data("cifar10", data_dir=tmp_path), load_data("cifar10", data_dir=tmp_path, image_size=16)
    assert (small.image_size, small.mean == whole.mean) == (16, False)
    with pytest.raises(InputError, match="resize arrays yourself"):
        load_data(np.zeros((20, 8, 8), np.uint8), np.arange(20) % 2, image_size=4)
