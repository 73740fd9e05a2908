"""Which tensors of a checkpoint are the weights, and their names without what a wrapper put before them.

The weights are the only dict of tensors, under whatever key. Dicts of an optimizer do not count. Of several, the only
one with the names of a network of cells; else FILE:KEY must say which.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dartboard.errors import InputError, unknown
from dartboard.formats.pickle_values import Made, Name
from dartboard.formats.torch_files import Numbers, Odd, as_tensor
from dartboard.spaces.search_space import quote

COUNTERS = ("total_ops", "total_params")  # which profilers (thop) leave in a network
OURS = ("stem", "stem0", "stem1", "cells", "classifier", "auxiliary_head")
WRAPPERS = ("module.", "_orig_mod.")  # of parallel training, of torch.compile
OF_CELLS = re.compile(r"(?:^|\.)cells\.\d+\.")
MAX_DEPTH = 4

Tensors = dict[str, Numbers | Odd]


def weights_in(value: Any, key: str | None, origin: str) -> Tensors:
    """The weights by their names in the file `origin`. key: that of one dict of several, as FILE:KEY gives it.

    Raises InputError.
    """
    found = dict(dicts_of_tensors(value, "", 0))
    if key is not None:
        if key not in found:
            raise unknown(f"key in {origin}", key, found)
        return found[key]
    if len(found) > 1:
        fitting = {name: tensors for name, tensors in found.items() if any(map(OF_CELLS.search, tensors))}
        found = fitting or found
    if len(found) > 1:
        names = ", ".join(name or "(the top)" for name in list(found)[:10])
        example = next(name for name in found if name)
        raise InputError(f"{origin} holds several dicts of tensors: {names}; give one, such as {origin}:{example}")
    if not found:
        raise InputError(f"{origin} is refused: {nothing(value)}")
    return next(iter(found.values()))


def dicts_of_tensors(value: Any, name: str, depth: int, seen: set[int] | None = None) -> Iterator[tuple[str, Tensors]]:
    """Every dict with a tensor in it, by its keys joined with dots; each once, none of an optimizer."""
    seen = set() if seen is None else seen
    if depth > MAX_DEPTH or not isinstance(value, dict | list | tuple) or id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, dict):
        if {"state", "param_groups"} <= value.keys():
            return
        tensors = {key: made for key, one in value.items() if isinstance(key, str) and (made := as_tensor(one))}
        if any(isinstance(one, Odd) or one.shape for one in tensors.values()):  # a lone number is a counter
            yield name, tensors
    elif len(value) > 100:
        return
    for key, one in value.items() if isinstance(value, dict) else enumerate(value):
        yield from dicts_of_tensors(one, f"{name}.{key}" if name else str(key), depth + 1, seen)


def nothing(value: Any) -> str:
    """What a file without a dict of tensors holds, and what to do."""
    items = list(value.items())[:1000] if isinstance(value, dict) else [("", value)]
    for _, one in items:
        if isinstance(one, Made) and not as_tensor(one):
            return refusal(one)
    if isinstance(value, dict) and value:
        key, one = items[0]
        return f"{quote(key)} is {quote(kind_of(one))}, not a tensor; give a file with named tensors"
    return f"it holds {quote(kind_of(value))}; give a file with named tensors"


def refusal(one: Made) -> str:
    asked = one.function.text if isinstance(one.function, Name) else "?"
    return f"it asks for {quote(asked)}, and only tensors are read; save the state_dict alone"


def kind_of(value: Any) -> str:
    """The type of a value as a person calls it."""
    return "Tensor" if as_tensor(value) else type(value).__name__


def stripped(names: Mapping[str, Any]) -> dict[str, str]:
    """For each name that is not a counter the name without wrappers, and without a prefix that all of them have."""
    kept = {name: unwrapped(name) for name in names if name.rpartition(".")[2] not in COUNTERS}
    while kept and not any(name.split(".")[0] in OURS for name in kept.values()):
        heads = {name.partition(".")[0] for name in kept.values()}
        if len(heads) > 1 or not all("." in name for name in kept.values()):
            break
        if not any(set(name.split(".")[1:]) & set(OURS) for name in kept.values()):
            break
        kept = {name: unwrapped(short.partition(".")[2]) for name, short in kept.items()}
    return kept


def unwrapped(name: str) -> str:
    while name.startswith(WRAPPERS):
        name = name.partition(".")[2]
    return name
