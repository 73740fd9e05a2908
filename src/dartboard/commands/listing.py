"""dartboard list: what there is, one line each, with its source; and what authors report of their architectures."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal

from dartboard import methods, plugins
from dartboard.commands.flags import parse
from dartboard.data.names import NAMES
from dartboard.errors import InputError, unknown
from dartboard.formats import published
from dartboard.methods import METHODS, missing
from dartboard.spaces import SPACES, families
from dartboard.spaces.catalogue import Published, Reported, reported
from dartboard.spaces.families import FAMILIES

KINDS = ("methods", "spaces", "data", "architectures")


@dataclass(frozen=True)
class ListFlags:
    """List the methods, spaces, data sets and published architectures, one line each, with their sources."""

    kinds: tuple[str, ...]
    """methods, spaces, data, architectures; by default all four"""
    published: bool = False
    """With architectures: what is reported of each: error, parameters, multiply-adds, cost, single run or mean."""


def execute(words: list[str]) -> None:
    """Raises InputError for a kind of things there is none of."""
    flags = parse(ListFlags, words, "list")
    kinds = flags.kinds
    for kind in kinds:
        if kind not in KINDS:
            raise unknown("kind of things", kind, KINDS)
    if flags.published:
        if kinds != ("architectures",):
            raise InputError("--published is for architectures; give: dartboard list architectures --published")
        return print("\n".join(table(results())))
    refused = {kind: complete(kind) for kind in kinds or KINDS}
    if len(kinds) == 1:
        return print("\n".join([*lines(kinds[0]), *refused[kinds[0]]]))
    for kind in kinds or KINDS:
        print(f"{kind}:")
        print("\n".join(f"  {line}" for line in [*lines(kind), *refused[kind]]))


def complete(kind: str) -> list[str]:
    """Adds what packages declare to the tables that the lines of a kind need; a line for each that is refused."""
    if kind not in ("methods", "spaces"):
        return []
    refused = plugins.complete(plugins.FAMILIES, FAMILIES, families.OURS)
    SPACES.update({one.name: one for family in FAMILIES.values() for one in family.spaces})
    return refused if kind == "spaces" else plugins.complete(plugins.METHODS, METHODS, methods.OURS)


def lines(kind: str) -> list[str]:
    """One line a thing: its name, what it is, its source."""
    tables: Mapping[str, Collection[str]] = {"methods": METHODS, "spaces": SPACES, "data": NAMES}
    width = max(map(len, tables.get(kind) or published()))
    if kind == "methods":
        return [f"{name:{width}} {one.what}. Spaces: {spaces_of(name)}. {one.source}" for name, one in METHODS.items()]
    if kind == "spaces":
        return [
            f"{name:{width}} {in_figures(space.size)} architectures. {space.source}" for name, space in SPACES.items()
        ]
    if kind == "data":
        return [f"{name:{width}} {what}" for name, what in NAMES.items()]
    return [f"{name:{width}} {sentence(entry.published)}{entry.source}" for name, entry in published().items()]


def spaces_of(method: str) -> str:
    """The spaces that a method can search."""
    return ", ".join(name for name in SPACES if not missing(method, name))


def sentence(text: str) -> str:
    return f"{text.rstrip('.')}. " if text else ""


# --- What is reported -------------------------------------------------------------------------------------------------

OF_SOURCE, OF_COUNTER = ("error %", "run", "params", "MACs", "GPU-days"), ("counted params", "counted MACs")
HEAD = ("architecture", "data", *OF_SOURCE, *OF_COUNTER, "source")
COUNTED = {"CIFAR-10": "cifar10", "CIFAR-100": "cifar100", "ImageNet": "imagenet"}  # how `counts` call the data


def results() -> list[tuple[str, ...]]:
    """A row for each result; one for an architecture of which none is known."""
    rows: list[tuple[str, ...]] = [HEAD]
    for name, entry in published().items():
        rows += [result(name, entry, one) for one in reported().get(name, ())] or [unreported(name, entry)]
    return rows


def result(name: str, entry: Published, one: Reported) -> tuple[str, ...]:
    spread = f" ± {one.spread:.2f}" if one.spread is not None else ""
    days = f"{one.gpu_days:g}" if one.gpu_days is not None else "-"
    note = f" ({one.note})" if one.note else ""
    run = one.runs or "not said"
    of_source = (in_millions(one.params), in_millions(one.macs), days)
    return name, one.data, f"{one.error:.2f}{spread}", run, *of_source, *counts(entry, one.data), one.source + note


def unreported(name: str, entry: Published) -> tuple[str, ...]:
    """The row of an architecture of which no result is known."""
    return name, "-", "not reported", "-", "-", "-", "-", *counts(entry, "CIFAR-10"), entry.source


def counts(entry: Published, data: str) -> tuple[str, str]:
    """Parameters, without the auxiliary head, and multiply-adds by our own counter, as far as they are on record."""
    found = [entry.counts.get(f"{COUNTED[data]}_{what}") for what in ("params", "macs")]
    params, macs = (in_millions(None if one is None else one / 1e6) for one in found)
    return params, macs


def in_millions(number: float | None) -> str:
    if number is None:
        return "-"
    return f"{number:.0f}M" if number >= 100 else f"{number:.2f}M"


def table(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows of words in columns that are as wide as their longest; the last one as it is."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    return ["  ".join([*map(str.ljust, row, widths), row[-1]]) for row in rows]


def in_figures(number: int) -> str:
    """A whole number to three figures, however large it is: a float ends at 1.8e308."""
    return f"{number:.3g}" if number < 10**300 else f"{Decimal(number):.3g}"
