"""Choices, spaces and architectures as plain values. Nothing here imports torch.

A search space is a list of named choices; an architecture gives a value to each that exists: a choice may exist only
by the value of an earlier one (the kernel of a block, if the depth reaches it). What the values mean is the business
of the file in `spaces/` that wrote them, and of the file of the same name in `networks/`.
"""

import json
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from dartboard.errors import InputError, unknown

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
    """A named choice between options, from small to large if they have an order.

    when: (name of an earlier choice, values of it): this choice exists only if the earlier one exists and has one
    of these values, as the kernel of a fourth block does if the depth is four; None: it always exists.
    """

    name: str
    options: tuple[Value, ...]
    when: tuple[str, tuple[Value, ...]] | None = None

    def exists(self, values: Mapping[str, Value]) -> bool:
        """Whether there is this choice, given the values of the choices before it that exist."""
        return self.when is None or (self.when[0] in values and values[self.when[0]] in self.when[1])


KINDS = ("mixture", "path", "slice")


@dataclass(frozen=True)
class SearchSpace:
    """Named choices in order, some of which exist only by the values of earlier ones; with the source of the space.

    family: the file in `spaces/` and `networks/` whose values and modules the space uses; its architectures carry it.
    only_mixed: what its relaxed form mixes in besides the options, and no architecture has (`none` of DARTS).
    kinds: what its supernet can compute, of KINDS: a weighted mixture of all options, or of those that are named, the
    path of one architecture, slices of the largest one, which holds all others.

    Raises InputError for choices that make no space: doubled names, no options, conditions that can never hold.
    """

    name: str
    source: str
    choices: tuple[Choice, ...]
    family: str
    only_mixed: tuple[str, ...] = ()
    kinds: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if others := sorted(self.kinds - set(KINDS)):
            raise unknown("kind of search space", others[0], KINDS)
        earlier: dict[str, Choice] = {}
        for choice in self.choices:
            if fault := fault_of(choice, earlier):
                raise InputError(f"space {quote(self.name)}, choice {quote(choice.name)}: {fault}")
            earlier[choice.name] = choice

    @property
    def size(self) -> int:
        """Number of architectures, exact; two that compute the same function count twice, as in the papers.

        A choice depends on one earlier choice at most, so the choices make trees: what follows from a value is the
        product of the choices that exist by it, and a choice is the sum over its values.
        """
        options = {choice.name: choice.options for choice in self.choices}
        below = {choice.name: [1] * len(choice.options) for choice in self.choices}
        total = 1
        for choice in reversed(self.choices):
            own = sum(below[choice.name])
            if choice.when is None:
                total *= own
                continue
            name, values = choice.when
            pairs = zip(below[name], options[name], strict=True)
            below[name] = [count * own if value in values else count for count, value in pairs]
        return total

    def walk(self, pick: Callable[[Choice], Value]) -> Architecture:
        """The architecture of the values that `pick` gives to the choices that exist, asked in their order."""
        values: dict[str, Value] = {}
        for choice in self.choices:
            if choice.exists(values):
                values[choice.name] = pick(choice)
        return Architecture(self.family, tuple(values.items()))

    def build(self, values: Mapping[str, Value]) -> Architecture:
        """The architecture of these values, in the space's order. Raises KeyError if a choice has no value."""
        return self.walk(lambda choice: values[choice.name])

    def __contains__(self, architecture: object) -> bool:
        if not isinstance(architecture, Architecture) or architecture.space != self.family:
            return False
        values = dict(architecture.choices)
        there = [choice for choice in self.choices if choice.exists(values)]
        return values.keys() == {c.name for c in there} and all(values[c.name] in c.options for c in there)

    def sample(self, rng: Random) -> Architecture:
        """Each choice that exists drawn uniformly, in order: if none is conditional, uniform over architectures."""
        return self.walk(lambda choice: rng.choice(choice.options))

    def smallest(self) -> Architecture:
        """The first option of every choice that then exists."""
        return self.walk(lambda choice: choice.options[0])

    def largest(self) -> Architecture:
        """The last option of every choice that then exists."""
        return self.walk(lambda choice: choice.options[-1])

    def mutate(self, architecture: Architecture, rng: Random, chance: float | None = None) -> Architecture:
        """The architecture with some of its choices drawn again, and the choices that depend on them drawn too.

        chance: each choice is drawn again with this probability, and may get the value it had. None: exactly one,
        of those that have an alternative, and it gets another value; raises IndexError if there is none.
        """
        given = dict(architecture.choices)
        if chance is None:
            given |= another_value([choice for choice in self.choices if choice.name in given], given, rng)

        def pick(choice: Choice) -> Value:
            drawn = choice.name not in given or (chance is not None and rng.random() < chance)
            return rng.choice(choice.options) if drawn else given[choice.name]

        return self.walk(pick)

    def cross(self, one: Architecture, other: Architecture, rng: Random) -> Architecture:
        """Every choice from one parent or the other, with equal chance if both have it.

        If the parents are in the space, one of them has each choice: the one whose value makes it exist.
        """
        return self.walk(lambda choice: rng.choice([p for p in (one, other) if choice.name in p])[choice.name])

    def narrowed(self, options: Mapping[str, Sequence[Value]], name: str = "") -> "SearchSpace":
        """The part of the space whose choices of these names have these options; choices that cannot exist in it are
        left out. name: of the part, if it gets another one."""
        left: dict[str, Choice] = {}
        for choice in self.choices:
            own, when = tuple(options.get(choice.name, choice.options)), choice.when
            if when is not None:
                parent, values = when
                there = left[parent].options if parent in left else ()
                when = (parent, tuple(value for value in values if value in there))
            if when is None or when[1]:
                left[choice.name] = replace(choice, options=own, when=when)
        return replace(self, name=name or self.name, choices=tuple(left.values()))

    def enumerate(self) -> Iterator[Architecture]:
        """All architectures, in the order of the choices and their options."""
        places: list[int] | None = []
        while places is not None:
            architecture, places = self.at(places)
            yield architecture

    def at(self, places: Sequence[int]) -> tuple[Architecture, list[int] | None]:
        """The architecture of the options at these places, the first options when they end, and the next places.

        None follows on the last architecture. The last place that can be moved on is; what comes after it is left out.
        """
        walked: list[tuple[int, int]] = []  # (place, number of options) of each choice that exists

        def pick(choice: Choice) -> Value:
            place = places[len(walked)] if len(walked) < len(places) else 0
            walked.append((place, len(choice.options)))
            return choice.options[place]

        architecture = self.walk(pick)
        while walked and walked[-1][0] + 1 == walked[-1][1]:
            walked.pop()
        if not walked:
            return architecture, None
        return architecture, [*(place for place, _ in walked[:-1]), walked[-1][0] + 1]


def another_value(choices: Sequence[Choice], given: Mapping[str, Value], rng: Random) -> dict[str, Value]:
    """One of the choices that have an alternative, with a value unlike the given one."""
    choice = rng.choice([choice for choice in choices if len(choice.options) > 1])
    return {choice.name: rng.choice([option for option in choice.options if option != given[choice.name]])}


def fault_of(choice: Choice, earlier: Mapping[str, Choice]) -> str | None:
    """Why a choice cannot come after the earlier ones, and what to do; None if nothing does."""
    if choice.name in earlier:
        return "two choices have this name; give each a name of its own"
    if not choice.options:
        return "it has no options; give one or more"
    if len(set(choice.options)) < len(choice.options):
        return "it has an option twice; give each option once"
    if choice.when is None:
        return None
    name, values = choice.when
    if name not in earlier:
        return f"it depends on {quote(name)}, which is not an earlier choice; name one that comes before it"
    if not values:
        return f"it exists for no value of {quote(name)}; give one or more"
    if others := [value for value in values if value not in earlier[name].options]:
        return f"{quote(name)} is never {quote(others[0])}; its options are {quote(earlier[name].options)}"
    return None


def from_json(record: Mapping[str, Any]) -> Architecture:
    """The architecture that `to_json` wrote. Raises KeyError, AttributeError for anything else."""
    return Architecture(record["space"], tuple((name, as_tuples(value)) for name, value in record["choices"].items()))


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
