"""The words by which people call the folders of a split. Needs no torch.

A word counts in any case, alone (Training) or as a part of the name (seg_train, testImages, val2017). What else is in
the name ties folders together: seg_train goes with seg_test, and training_shoes does not go with test_tube.
"""

import re
from dataclasses import dataclass

PLAIN = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
WORDS = {
    "train": ("train", "training", "trn", "tr", "trainset", "trainingset", "trainval"),
    "val": ("val", "valid", "validation", "vld", "dev", "devel", "development", "valset", "validset", "devset"),
    "test": ("test", "testing", "tst", "te", "testset", "testingset", "eval", "evaluation", "evalset"),
}
SPLIT_OF = {word: split for split, words in WORDS.items() for word in words}
# Words that say nothing of what is in the folder.
GENERIC = frozenset(("set", "data", "dataset", "split", "folder", "dir", "files", "the", "my"))
GENERIC |= frozenset(("image", "images", "img", "imgs", "photo", "photos", "pic", "pics", "picture", "pictures", "png"))
PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+")


@dataclass(frozen=True)
class SplitName:
    """What a folder's name says. split: train, val or test; rest: its other words, those that say something; plain:
    it is one of the words that name a split on their own, whatever lies beside."""

    split: str
    rest: tuple[str, ...]
    plain: bool


def split_name(name: str) -> SplitName | None:
    """None for a name that is not that of a split, or that names several (train_test)."""
    parts = [part.lower() for part in PART.findall(name)]
    found = [SPLIT_OF[part] for part in parts if part in SPLIT_OF]
    if sorted(set(found)) == ["train", "val"]:
        found = ["train"]  # trainval: what one trains on, of which val is yet to be taken
    if len(set(found)) != 1:
        return None
    rest = tuple(part for part in parts if part not in SPLIT_OF and part not in GENERIC)
    return SplitName(found[0], rest, name.lower() in PLAIN)
