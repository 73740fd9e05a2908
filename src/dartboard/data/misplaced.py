"""What is wrong with a folder that is not a data set, and what to do: the refusals of images:DIR. Needs no torch."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from dartboard.data.class_folders import Folder, files_in_words, look, names_in_words, subfolders, walk
from dartboard.data.decoding import IN_WORDS
from dartboard.data.names import FOLDER_PREFIX
from dartboard.data.split_names import split_name
from dartboard.errors import InputError

WITHOUT = {
    "train": "",
    "val": " (val is then taken from the training images)",
    "test": " (a fifth of each class is then set aside as test)",
}


def check_unsorted(root: Path, there: Sequence[Folder], folders: dict[str, Path]) -> None:
    """Raises InputError for a folder named as a split that holds images and no class folders, unless it is a class:
    one of several folders, of which others are named as no split."""
    named = [(one, one.name) for one in there if one.name is not None]
    together = "train" in folders or len(named) == len(there)
    for one, name in named:
        kin = any(other.rest == name.rest and other.split != name.split for _, other in named)
        if one.flat and together and (kin or (len(there) == 1 and name.plain)):
            raise unsorted(root, one.path, "holds images and no class folders")


def unsorted(root: Path, folder: Path, found: str) -> InputError:
    """The error for images whose classes are unknown."""
    name = split_name(folder.name)
    without = WITHOUT[name.split] if name else ""
    away = f", or move {folder.name} out of {root}{without}" if without else ""
    return InputError(f"{folder} {found}, so their classes are unknown; sort them into one folder for each class{away}")


def check_train(root: Path, folders: dict[str, Path], beside: Sequence[Folder]) -> None:
    """Raises InputError for a folder that has val or test and nothing to train on. beside: what is not a split."""
    if folders and not beside and "train" not in folders:
        there = sorted(folders.values())
        names = names_in_words([path.name for path in there])
        raise InputError(
            f"{root} has {names} and no train; put train next to it, or learn from one of its folders, which is then "
            f"divided: {FOLDER_PREFIX}{there[0]} (evaluate scores {root} as it is)"
        )


def check_beside(root: Path, train: Path, beside: Sequence[Folder]) -> None:
    """Raises InputError for folders of images beside train."""
    if not beside:
        return
    first = beside[0]
    start = f"{root} has {train.name} and next to it {first.path.name}, which also holds images"
    if first.name is not None and not first.flat:
        raise InputError(
            f"{start}; if it is its {first.name.split} split, rename it {first.name.split}; otherwise move it away"
        )
    if (inside := look(train)) and set(inside.inner) & set(first.inner):
        raise InputError(
            f"{start}, in folders of the same names; if it is val or test, rename it so; otherwise move it away"
        )
    raise InputError(f"{start}; if it is a class, move it into {train.name}; otherwise move it out of {root}")


def check_number(root: Path, folder: Path, classes: Sequence[Folder]) -> None:
    """Raises InputError for fewer than two classes. folder: where they were looked for, `root` or its train."""
    if len(classes) >= 2:
        return
    wanted = "it needs one folder for each of two or more classes"
    if not classes:
        others: Counter[str] = Counter()
        loose = "; the images in it belong in such folders" if next(walk(str(folder), set(), others), None) else ""
        passed = f"; none of its files is an image ({IN_WORDS}): {files_in_words(others)}"
        raise InputError(f"{folder} has no class folders; {wanted}{loose or (passed if others else '')}")
    only = classes[0]
    if (inside := data_set_inside(only)) is None:
        raise InputError(f"{folder} has only one class folder, {only.path.name}; {wanted}")
    if folder == root:
        raise InputError(f"{root} has only one folder, {only.path.name}; give {FOLDER_PREFIX}{inside}")
    raise InputError(f"{folder} has only one folder, {only.path.name}; move the folders in {inside} up into {folder}")


def data_set_inside(folder: Folder) -> Path | None:
    """The outermost folder, `folder` or the only one in it, that holds two folders of images or a split."""
    while not folder.flat:
        below = [found for path in subfolders(folder.path) if (found := look(path))]
        if len(below) != 1 or (below[0].name is not None and not below[0].flat):
            return folder.path
        folder = below[0]
    return None


def check_same_inside(root: Path, classes: Sequence[Folder]) -> None:
    """Raises InputError if every class holds the same folders: then those are the classes, or the splits."""
    if any(one.flat for one in classes):
        return
    common = set(classes[0].inner).intersection(*(one.inner for one in classes))
    every = {name for one in classes for name in one.inner}
    if len(common) < 2 or 2 * len(common) < len(every):
        return
    names = [one.path.name for one in classes]
    inside = names_in_words(tuple(name for name in classes[0].inner if name in common))
    start = f"{names_in_words(names)} in {root} all hold the same folders ({inside})"
    splits = {found.name.split for path in common if (found := look(classes[0].path / path)) and found.name}
    if "train" in splits and len(splits) > 1:
        turned = root / min(common) / names[0]
        raise InputError(f"{start}; put the splits outside and the classes inside, such as {turned}")
    raise InputError(
        f"{start}, so they are parts of one data set and not classes; give one of them, such as "
        f"{FOLDER_PREFIX}{classes[0].path}, or join them, or name them train, val and test; if they are classes, "
        "move the images out of the folders below"
    )
