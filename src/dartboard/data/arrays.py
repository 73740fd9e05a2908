"""Data from arrays, tensors and torch Datasets."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from dartboard.data.splits import Collection, Split
from dartboard.errors import InputError
from dartboard.spaces.search_space import quote

CHANNEL_COUNTS = (1, 2, 3, 4)
SHAPES = "give (N, H, W), (N, C, H, W) or (N, H, W, C)"
NUMBERS = "number the classes 0 to K-1"
OF_NAMES = f"{NUMBERS}, as np.unique(labels, return_inverse=True)[1] does"


def from_arrays(images: Any, labels: Any, test: Any) -> Collection:
    """images: (N, H, W), (N, C, H, W) or (N, H, W, C), uint8 or float in [0, 1]; labels: (N,) integers from 0 on.

    test: a pair of the same, or a Dataset, or None. Raises InputError for other shapes, kinds or ranges.
    """
    if isinstance(images, Dataset):
        raise InputError("a Dataset has its own labels; give it alone: load_data(dataset)")
    return collect(split_of(images, labels, "images"), test_of(test), "arrays")


def test_of(test: Any) -> Split | None:
    """The test images a person gives: (images, labels), a Dataset, or None."""
    if test is None:
        return None
    if isinstance(test, tuple | list) and len(test) == 2:
        return split_of(test[0], test[1], "test images")
    if isinstance(test, tuple | list | Mapping | str) or not hasattr(test, "__getitem__"):
        raise InputError("test must be a pair: (images, labels); or a torch Dataset")
    return split_of(*gather(test), "test images")


def without_labels(source: Any) -> InputError:
    """One line for a source that is neither a name nor a Dataset and comes without labels."""
    if isinstance(source, os.PathLike):
        return InputError(f"a path is not the name of a data set; give load_data('images:{os.fspath(source)!s}')")
    if isinstance(source, list | tuple) and source and isinstance(source[0], list | tuple) and len(source[0]) == 2:
        two = "[image for image, _ in pairs], [label for _, label in pairs]"
        return InputError(f"images without labels: these are pairs of both; give load_data({two})")
    return InputError("images without labels; give load_data(images, labels), or a torch Dataset of (image, label)")


def collect(train: Split, test: Split | None, name: str) -> Collection:
    there = np.unique(train.labels.numpy())
    gaps = np.flatnonzero(there != np.arange(len(there)))
    if len(gaps):
        raise InputError(f"no image has the label {gaps[0]}; number the classes 0 to K-1 without gaps")
    num_classes = len(there)
    if num_classes < 2:
        raise InputError("all images have the label 0; there must be two classes or more")
    if test is not None and test.images.shape[1:] != train.images.shape[1:]:
        shapes = f"{tuple(test.images.shape[1:])} against {tuple(train.images.shape[1:])}"
        raise InputError(f"test images differ from the training images in (C, H, W): {shapes}; make them equal")
    if test is not None and int(test.labels.max()) >= num_classes:
        raise InputError(f"the test label {int(test.labels.max())} is none of the {num_classes} training classes")
    return Collection(name, train, tuple(str(c) for c in range(num_classes)), test=test)


def split_of(images: Any, labels: Any, what: str) -> Split:
    pixels = channels_first(as_bytes(as_tensor(images, what, SHAPES), what), what)
    numbers = integer_labels(labels, what)
    if len(numbers) != len(pixels):
        raise InputError(f"{len(pixels)} {what} but {len(numbers)} labels; give one label per image")
    if not len(numbers):
        raise InputError(f"there are no {what}")
    if int(numbers.min()) < 0:
        raise InputError(f"the label {int(numbers.min())} is negative; number the classes 0 to K-1")
    return Split(pixels, numbers)


def integer_labels(labels: Any, what: str) -> Tensor:
    """Labels as (N,) int64. Raises InputError that says how to make such of what came."""
    numbers = as_tensor(labels, f"labels of the {what}", OF_NAMES)
    whole = not numbers.is_floating_point() and not numbers.is_complex() and numbers.dtype != torch.bool
    if numbers.ndim == 1 and whole:
        if numbers.dtype == torch.uint64 and (numbers.numpy() > np.iinfo(np.int64).max).any():
            raise InputError(f"the label {numbers.numpy().max()} is too large; {NUMBERS}")
        return numbers.to(torch.int64)
    if numbers.ndim == 2 and numbers.shape[1] > 1:
        remedy = "if a row marks its class (one-hot), give labels.argmax(1)"
    else:
        remedy = f"give whole numbers of shape ({len(numbers) if numbers.ndim else 'N'},), 0 to K-1"
    text = f"the labels of the {what} must be one whole number per image, not {describe(numbers)}"
    raise InputError(f"{text}; {remedy}")


def as_tensor(values: Any, what: str, remedy: str) -> Tensor:
    """A new tensor on the CPU. remedy: what to give instead, for the message. Raises InputError."""
    try:
        if isinstance(values, Tensor):
            return plain(values)
        array = np.asarray(values)
        if array.dtype.kind in "USO" and (text := next((v for v in array.flat if isinstance(v, str | bytes)), None)):
            raise TypeError(f"they are text, such as {quote(text.item() if isinstance(text, np.generic) else text)}")
        return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), order="C", copy=True))
    except Exception as error:  # whatever is given can raise anything when it is asked for its numbers
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise InputError(f"the {what} are not an array of numbers: {reason}; {remedy}") from error


def plain(values: Tensor) -> Tensor:
    """A copy on the CPU. Raises TypeError for a tensor whose numbers do not lie there one beside the other."""
    if values.layout != torch.strided or values.is_nested or values.is_meta or values.is_quantized:
        raise TypeError("a sparse, nested, quantized or empty kind of tensor")
    return values.detach().cpu().clone()


def as_bytes(images: Tensor, what: str) -> Tensor:
    """uint8; floats must lie in [0, 1] and become round(255 x)."""
    if images.dtype == torch.uint8:
        return images
    if not images.is_floating_point():
        raise InputError(f"the {what} are {images.dtype}; give uint8, or floats in [0, 1]")
    if images.numel() and not bool(((images >= 0) & (images <= 1)).all()):
        raise InputError(f"the {what} are floats outside [0, 1]; divide them by their highest value, or give uint8")
    return images.to(torch.float64).mul(255).round().to(torch.uint8)


def channels_first(images: Tensor, what: str) -> Tensor:
    """(N, C, H, W) with square images. Of four sizes the second is read as channels if it can be (1 to 4)."""
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4 and images.shape[1] not in CHANNEL_COUNTS and images.shape[3] in CHANNEL_COUNTS:
        images = images.permute(0, 3, 1, 2)
    if images.ndim != 4 or images.shape[1] not in CHANNEL_COUNTS:
        raise InputError(f"the {what} have shape {tuple(images.shape)}; {SHAPES}")
    if images.shape[2] != images.shape[3] or not images.shape[2]:
        raise InputError(f"the {what} are {images.shape[2]}x{images.shape[3]} pixels; make them square")
    return images.contiguous()


def describe(values: Tensor) -> str:
    return f"{values.dtype} of shape {tuple(values.shape)}"


def from_dataset(dataset: "Dataset[Any]", test: Any) -> Collection:
    """A torch Dataset of (image, label): image a tensor, an array or a PIL image, all of one size.

    test: a second Dataset, or (images, labels), or None. Raises InputError.
    """
    return collect(split_of(*gather(dataset), "images"), test_of(test), type(dataset).__name__)


def gather(dataset: Any) -> tuple[Tensor, Tensor]:
    if not hasattr(dataset, "__len__"):
        raise InputError("a Dataset without a length cannot be divided; give one with __len__ and __getitem__")
    images, labels = [], []
    for index in range(len(dataset)):
        item = dataset[index]
        if not isinstance(item, Sequence) or isinstance(item, str | bytes) or len(item) != 2:
            what = f"item {index} of the Dataset is not a pair of image and label"
            raise InputError(f"{what}, but {quote(type(item).__name__)}; return (image, label)")
        images.append(image_tensor(item[0]))
        labels.append(integer_label(item[1], index))
    shapes = {tuple(image.shape) for image in images}
    if len(shapes) != 1:
        found = f"{len(shapes)} shapes" if shapes else "nothing"
        raise InputError(f"the Dataset holds {found}; it must hold images of one size (resize them in its transform)")
    return torch.stack(images), torch.tensor(labels)


def integer_label(label: Any, index: int) -> int:
    """The label of an item of a Dataset. Raises InputError."""
    try:
        number = int(label)
        if not isinstance(label, str | bytes) and number == label and abs(number) <= np.iinfo(np.int64).max:
            return number
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:  # those of int, of numpy's and torch's values
        raise not_an_integer(label, index) from error
    raise not_an_integer(label, index)


def not_an_integer(label: Any, index: int) -> InputError:
    text = f"the label of item {index} of the Dataset is {quote(label)}, not a whole number"
    one_hot = "; if it marks its class (one-hot), give its argmax" if getattr(label, "ndim", 0) else ""
    return InputError(f"{' '.join(text.split())}; {NUMBERS}{one_hot}")


def image_tensor(image: Any) -> Tensor:
    """(C, H, W), or (H, W), or (H, W, C) as it comes; a PIL image in a mode of its own becomes RGB."""
    if isinstance(image, Image.Image):
        array = np.array(image if image.mode in ("L", "RGB") else image.convert("RGB"))
        return torch.from_numpy(array)
    return as_tensor(image, "images of the Dataset", "give tensors, arrays or PIL images")
