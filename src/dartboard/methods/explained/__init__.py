"""The records of the methods, one file each, named as the method's own."""

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec

from dartboard.errors import InputError
from dartboard.methods import METHODS, OURS, method_module
from dartboard.methods.explained.record import Passes, Record


def record_of(method: str) -> Record:
    """The record of a method; of a package's method, `EXPLAINED` of its file. Raises InputError if it has none."""
    found = getattr(method_module(method), "EXPLAINED", None) if method not in OURS else own(method)
    if not isinstance(found, Record):
        source = METHODS[method].source
        raise InputError(f"{method} does not say how it works (no Record in EXPLAINED of its file); see {source}")
    return found


def passes_of(method: str, settings: Mapping[str, object]) -> Passes | None:
    """What a step of a method computes with these settings of its Config; None for one without a record."""
    if method not in OURS and not isinstance(getattr(method_module(method), "EXPLAINED", None), Record):
        return None
    variants = record_of(method).passes
    return next(
        (one for one in variants if one.where and one.where.items() <= settings.items()),
        next(one for one in variants if not one.where),
    )


def own(method: str) -> Record | None:
    """The record of a method of this house."""
    name = f"{__name__}.{method}"
    return None if find_spec(name) is None else import_module(name).EXPLAINED
