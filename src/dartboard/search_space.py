"""Choices, spaces and architectures as plain values. Nothing here imports torch.

A search space is a product of independent named choices; an architecture gives each name a value. What the values
mean is the business of the file in `spaces/` that wrote them, and of the file of the same name in `networks/`.
"""

import json
import math
import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import Any

Value = Any  # a string, a number, or (nested) tuples of these: hashable, and JSON with tuples as lists


@dataclass(frozen=True)
class Architecture:
    """One point of a space: a value, hashable, comparable, written as JSON.

    space: family of the space (a file in `spaces/`); choices: (name, value) pairs in the space's order.
    """

    space: str
    choices: tuple[tuple[str, Value], ...]

    def __getitem__(self, name: str) -> Value:
        return dict(self.choices)[name]

    def __contains__(self, name: str) -> bool:
        return name in dict(self.choices)

    def to_json(self) -> dict[str, Any]:
        """Our own notation: {"space": ..., "choices": {name: value}}, tuples as lists."""
        return {"space": self.space, "choices": {name: as_lists(value) for name, value in self.choices}}

    def __str__(self) -> str:
        return json.dumps(self.to_json(), separators=(",", ":"))


@dataclass(frozen=True)
class Choice:
    """A named choice between options."""

    name: str
    options: tuple[Value, ...]


@dataclass(frozen=True)
class SearchSpace:
    """A product of named choices, with the source it was taken from.

    family: the file in `spaces/` and `networks/` whose values and modules the space uses; its architectures carry it.
    only_mixed: what its relaxed form mixes in besides the options, and no architecture has (`none` of DARTS).
    """

    name: str
    source: str
    choices: tuple[Choice, ...]
    family: str
    only_mixed: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Number of architectures; two that compute the same function count twice, as in the papers."""
        return math.prod(len(choice.options) for choice in self.choices)

    def build(self, values: Mapping[str, Value]) -> Architecture:
        """The architecture of these values, in the space's order. Raises KeyError where a choice has no value."""
        return Architecture(self.family, tuple((choice.name, values[choice.name]) for choice in self.choices))

    def __contains__(self, architecture: object) -> bool:
        if not isinstance(architecture, Architecture) or architecture.space != self.family:
            return False
        values = dict(architecture.choices)
        return set(values) == {c.name for c in self.choices} and all(values[c.name] in c.options for c in self.choices)

    def sample(self, rng: Random) -> Architecture:
        """An architecture drawn uniformly."""
        return self.build({choice.name: rng.choice(choice.options) for choice in self.choices})

    def mutate(self, architecture: Architecture, rng: Random) -> Architecture:
        """The architecture with one choice, of those that have an alternative, drawn anew and different.

        Raises IndexError where no choice has an alternative.
        """
        choice = rng.choice([c for c in self.choices if len(c.options) > 1])
        others = [option for option in choice.options if option != architecture[choice.name]]
        return self.build({**dict(architecture.choices), choice.name: rng.choice(others)})

    def cross(self, one: Architecture, other: Architecture, rng: Random) -> Architecture:
        """Every choice from one parent or the other, with equal chance."""
        return self.build({choice.name: rng.choice((one, other))[choice.name] for choice in self.choices})

    def enumerate(self) -> Iterator[Architecture]:
        """All architectures, in the order of the choices and their options."""
        for values in product(*(choice.options for choice in self.choices)):
            yield self.build({choice.name: value for choice, value in zip(self.choices, values, strict=True)})


def as_lists(value: Value) -> Any:
    """The value with tuples, at any depth, as lists."""
    return [as_lists(item) for item in value] if isinstance(value, tuple) else value


def as_tuples(value: Any) -> Value:
    """The value with lists, at any depth, as tuples."""
    return tuple(as_tuples(item) for item in value) if isinstance(value, list) else value


def quote(value: Any) -> str:
    """The value as Python writes it, on one line, cut to a few dozen characters: for messages."""
    short = reprlib.Repr()
    short.maxlevel, short.maxlist, short.maxtuple, short.maxdict, short.maxstring = 2, 6, 6, 2, 60
    text = short.repr(value)
    return text if len(text) <= 100 else text[:97] + "..."
