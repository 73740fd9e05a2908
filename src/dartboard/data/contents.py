"""What a data set holds, in a few lines: classes, and the images of each split."""

import torch

from dartboard.data.class_folders import shown
from dartboard.data.splits import Data, Split

CLASSES = 12  # that are named one by one


def in_lines(data: Data) -> list[str]:
    """One line of classes and counts, and one for each note."""
    splits = {"train": data.train, "val": data.val, "test": data.test}
    images = ", ".join(f"{name} {len(split):,}" for name, split in splits.items())
    each = ", ".join(f"{name} {of_each_class(split, data.num_classes)}" for name, split in splits.items())
    classes = f"{data.num_classes:,} classes ({classes_in_words(data.class_names)})"
    counts = f"{data.name}: {classes}; {images} images; of each class: {each}"
    return [counts, *notes_in_lines(data)]


def notes_in_lines(data: Data) -> list[str]:
    return [f"note: {note}" for note in data.notes]


def classes_in_words(names: tuple[str, ...]) -> str:
    """All names if they are few, else the first and the last ones."""
    few = [shown(name) for name in names]
    if len(few) > CLASSES:
        few = [*few[: CLASSES // 2], "...", *few[-2:]]
    return ", ".join(few)


def of_each_class(split: Split, num_classes: int) -> str:
    """How many images a class has: one number if all have the same, else the least and the most."""
    counts = torch.bincount(split.labels.cpu(), minlength=num_classes)
    least, most = int(counts.min()), int(counts.max())
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"
