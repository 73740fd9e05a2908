"""dartboard explain: how a method works, in steps, equations and cost; or all methods beside each other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dartboard.commands.flags import parse
from dartboard.errors import InputError, unknown
from dartboard.methods import METHODS, check_pair
from dartboard.methods.explained import record_of
from dartboard.methods.explained.record import THROUGH, Record
from dartboard.paths import check_path
from dartboard.runs.targets import check_folder
from dartboard.spaces import SPACES

if TYPE_CHECKING:
    from dartboard.studies.step_cost import StepCost

MISSING = "name a method, such as: dartboard explain darts; or give --all"


@dataclass(frozen=True)
class ExplainFlags:
    """How does a method work? Its family, steps, equations, the cost of a step, how weights are shared."""

    words: tuple[str, ...]
    """a method; with --all and --space, the run folders of searches that are compared"""
    all: bool = False
    """All methods: the tree of their families, their steps, gains and limits in a table."""
    space: str | None = None
    """The space on which a step is counted, the method's own by default; with --all, that of the runs."""
    counts: bool = True
    """Count what a step computes; --no-counts is faster."""
    out: str | None = None
    """Write a page: a file such as darts.html, or a folder that exists. Without it, nothing is written."""
    csv: str | None = None
    """With --all: also write the table, or that of the runs, as CSV to this file."""


def execute(words: list[str]) -> None:
    """Raises InputError (unknown method, one without a record, a space that it cannot search ...)."""
    flags = parse(ExplainFlags, words, "explain", MISSING)
    for name, path in (("--out", flags.out), ("--csv", flags.csv)):
        if path is not None:
            check_path(path, name)
            check_folder(Path(path))
    if flags.all:
        if not flags.counts:
            raise InputError("--all counts no steps, so --no-counts changes nothing; leave it out")
        from dartboard.commands import explain_all

        return explain_all.explain_all(flags.words, flags.space, flags.out, flags.csv)
    if flags.csv is not None:
        raise InputError("--csv is of the table of all methods; give --all, or leave it out")
    if len(flags.words) != 1:
        raise InputError(MISSING)
    explain(flags.words[0], flags)


def explain(method: str, flags: ExplainFlags) -> None:
    """Prints what is known of a method, and writes its page if --out names one. Raises InputError."""
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    record, name = record_of(method), flags.space or METHODS[method].space
    check_pair(method, name)
    print("\n".join(lines(method, record)))
    costs: list[StepCost] = []
    sizes: dict[str, int] = {}
    if flags.counts:
        from dartboard.studies.step_cost import counted, sizes_of

        sizes = sizes_of(method, SPACES[name])
        costs = [counted(passes, SPACES[name], sizes) for passes in record.passes]
        where = f"{name}, {sizes['channels']} channels, {sizes['cells']} cells or layers, images of 32 x 32"
        print(f"\nCost of a step, counted on {where}:")
    print("\n".join(cost_lines(record, costs)))
    if flags.out is None:
        return print(f"\nA page with the flow chart: dartboard explain {method} --out {method}.html")
    from dartboard.commands.explain_all import place_of
    from dartboard.report import page
    from dartboard.report.explain_page import page_html

    place = place_of(flags.out, f"explain-{method}.html")
    page.put(page_html(method, record, SPACES[name], sizes, costs), place, named=True)
    print(f"\npage: {place}")


def lines(method: str, record: Record) -> Iterator[str]:
    """Family, steps, equations, sharing, gains and limits, in words."""
    known = METHODS[method]
    yield f"{known.spoken or method}: {known.what}. {known.source}"
    yield f"Family: {record.family}"
    yield "\nSteps:"
    for number, step in enumerate(record.steps, start=1):
        yield f"  {number}. {step.stage}: {step.says}"
        yield f"     {step.function or 'no such step'}"
    yield f"  From {record.loop[0]} back to {record.loop[1]}, {record.until}."
    yield "\nEquations:"
    for equation in record.equations:
        yield f"  {equation.text}"
        yield f"     {equation.number}. {equation.says} {equation.test}"
    yield f"\nWeights: {record.sharing}"
    for name, found in (("Gains", record.gains), ("Limits", record.limits), ("Reported", record.claims)):
        if found:
            yield f"\n{name}:"
        yield from (f"  {one.says} ({one.source})" for one in found)


def cost_lines(record: Record, costs: Sequence["StepCost"]) -> Iterator[str]:
    """The passes of a step, with their multiply-adds if they were counted."""
    if not costs:
        yield "\nCost of a step:"
    for number, passes in enumerate(record.passes):
        name = f"{passes.name}: " if passes.name else ""
        times = "1 pass" if passes.count == 1 else f"{passes.count} passes"
        yield f"  {name}{times} forward and backward through {THROUGH[passes.through]} ({passes.says})"
        if costs:
            one = costs[number]
            mean = f", the mean of {one.draws} draws" if one.draws > 1 else ""
            yield f"     forward {one.macs:,.0f} multiply-adds an image{mean}; {one.forward_macs:,.0f} in all passes"
            yield f"     a step: {one.step_macs:,.0f} multiply-adds an image of a batch, forward and backward"
            yield f"     {one.params:,.0f} parameters; memory grows with {one.map_values:,.0f} map values an image"
