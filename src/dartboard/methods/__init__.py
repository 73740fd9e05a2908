"""The methods, one file each; plain tables of name -> (what it is, its source), and of what else each says of itself.

What needs torch it says in its file: `Config`, `PRESETS`, `search`, and of a supernet's search `WORK` and `CARRIED`.
"""

from dartboard.errors import InputError, unknown
from dartboard.spaces import SPACES

METHODS: dict[str, tuple[str, str]] = {
    "darts": (
        "differentiable search over a relaxed cell, first and second order",
        "Liu, Simonyan, Yang: DARTS, ICLR 2019 (arXiv 1806.09055); quark0/darts",
    ),
    "random_search": (
        "architectures drawn at random, scored by a table, by shared weights or by trainings",
        "Bergstra, Bengio, JMLR 13 (2012); Li, Talwalkar, UAI 2019 (arXiv 1902.07638)",
    ),
}

# What a space's supernet must be able to compute for a method, of search_space.KINDS; not here: nothing in particular.
NEEDS: dict[str, frozenset[str]] = {"darts": frozenset({"mixture"})}

# The space that a method searches where none is given.
DEFAULT_SPACES: dict[str, str] = {"darts": "darts", "random_search": "darts"}

# What people call a method in a sentence; not here: by its name.
SPOKEN: dict[str, str] = {"darts": "DARTS"}

# The methods that score architectures one by one, whose Config is a search.trials.Settings; others train a supernet.
BY_TRIALS = frozenset({"random_search"})


def missing(method: str, space: str) -> frozenset[str]:
    """What the method needs and the space does not offer; empty for a pair that works."""
    return NEEDS.get(method, frozenset()) - SPACES[space].kinds


def check_pair(method: str, space: str) -> None:
    """Raises InputError for an unknown space, and for one that the method cannot search."""
    if space not in SPACES:
        raise unknown("space", space, SPACES)
    if lacks := missing(method, space):
        able = ", ".join(name for name in SPACES if not missing(method, name))
        words = " and a ".join(sorted(lacks))
        raise InputError(f"{method} needs a supernet that computes a {words}, that of {space} does not; give {able}")
