"""Other people's notations and weight files, in and out (docs/notations.md). Nothing read is ever executed.

read, load: text or file -> architecture; write: architecture -> text; resolve: what a person names -> architecture;
published: the shipped architectures; load_weights: weight files (the only name here that imports torch, when called).
"""

from dartboard.formats.files import load, resolve
from dartboard.formats.notations import NOTATIONS, read, write
from dartboard.formats.weights import load_weights
from dartboard.spaces.catalogue import Published, published

__all__ = ["NOTATIONS", "Published", "load", "load_weights", "published", "read", "resolve", "write"]
