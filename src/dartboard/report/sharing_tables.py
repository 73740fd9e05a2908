"""All methods, and weight sharing measured by runs, as tables: for the terminal, the page and CSV."""

from collections.abc import Iterator, Mapping, Sequence

from dartboard.methods.explained.record import DRAWN, FAMILIES, MIXTURE, PATH, SANDWICH, TRAINING, Record, Remark
from dartboard.report import words
from dartboard.report.markup import Html, join, tag
from dartboard.report.sheets import Column, Sheet
from dartboard.spaces.search_space import SearchSpace
from dartboard.studies.sharing import Group
from dartboard.studies.sharing_claims import claims_of

BRIEFLY = {
    MIXTURE: "all operations mixed",
    DRAWN: "one operation an edge",
    PATH: "one path",
    SANDWICH: "the largest network, the smallest and some between",
    TRAINING: "of a trial's training",
}


def by_family(records: Mapping[str, Record]) -> dict[str, list[str]]:
    """The methods of each family."""
    return {family: [name for name, one in records.items() if one.family == family] for family in FAMILIES}


def family_lines(records: Mapping[str, Record]) -> Iterator[str]:
    """The tree in words, with the passes of a step, gains and limits."""
    for family, methods in by_family(records).items():
        yield f"{family}:" if methods else f"{family}: none here"
        for method in methods:
            record = records[method]
            yield f"  {method}: {passes_words(record)}. {steps_words(record)}"
            yield f"    gains: {plain(record.gains)}"
            yield f"    limits: {plain(record.limits)}"


def steps_words(record: Record) -> str:
    """The stages that it has, in their order."""
    return " → ".join(step.stage for step in record.steps if step.function is not None)


def passes_words(record: Record) -> str:
    """ "1 pass, one path"; of each variant, if there are several."""
    found = []
    for one in record.passes:
        times = words.plural(one.count, "pass") if one.count == 1 else f"{one.count} passes"
        found.append(f"{times}{f' ({one.name})' if one.name else ''}, {BRIEFLY[one.through]}")
    return "; ".join(found)


def plain(remarks: Sequence[Remark]) -> str:
    return " ".join(f"{one.says} ({one.source})" for one in remarks)


def methods_sheet(records: Mapping[str, Record]) -> Sheet:
    """A row for each method: family, steps, passes, gains and limits."""
    columns = (
        Column("method", "method"), Column("", "family"), Column("steps", "steps", narrow),
        Column("a step computes", "passes", narrow), Column("gains", "gains", wide), Column("limits", "limits", wide),
    )  # fmt: skip
    rows = tuple(
        (name, one.family, steps_words(one), passes_words(one), plain(one.gains), plain(one.limits))
        for name, one in records.items()
    )
    return Sheet("The methods by family; a stage that a method does not have is left out.", columns, rows)


def narrow(text: object) -> Html:
    """A few words in a table, which break into lines."""
    return tag("span", text, style="display:inline-block;white-space:normal;width:9.5em")


def wide(text: object) -> Html:
    """Sentences in a table, which break into lines."""
    return tag("span", text, style="display:inline-block;white-space:normal;width:17em")


def runs_sheet(space: SearchSpace, groups: Sequence[Group]) -> Sheet:
    """A row for each method and setting."""
    measure = groups[0].runs[0].measure
    columns = (
        Column("method", "method"), Column("seeds", "seeds"), Column(measure, "accuracy", words.percent),
        Column("spread over seeds", "spread", points), Column("tau", "tau", number),
        Column("seconds", "seconds", words.duration), Column("peak memory", "peak_memory_mb", megabytes),
        Column("", "space"), Column("", "space_size"), Column("", "measure"), Column("", "runs"),
    )  # fmt: skip
    rows = tuple(
        (
            one.label, len(one.runs), one.accuracy, one.spread, one.tau, one.seconds, one.peak_memory_mb,
            space.name, space.size, measure, " ".join(run.name for run in one.runs),
        )
        for one in groups
    )  # fmt: skip
    caption = (
        f"{space.name}, {space.size:,} architectures; accuracy: {measure} of what was found, the mean over seeds; "
        "spread: its standard deviation; tau: the mean over ranked runs; peak memory: the highest; – is not measured."
    )
    return Sheet(caption, columns, rows)


def points(spread: float) -> str:
    """A standard deviation of accuracies."""
    return f"{100 * spread:.2f} points"


def number(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def megabytes(value: float) -> str:
    return f"{value:,.0f} MB"


def group_lines(space: SearchSpace, groups: Sequence[Group]) -> Iterator[str]:
    """The table in words, then the claims with their verdicts."""
    sheet = runs_sheet(space, groups)
    head, rows = sheet.shown()
    yield f"\n{sheet.caption}"
    for row in rows:
        yield "  " + "; ".join(f"{name} {cell}" for name, cell in zip(head, row, strict=True))
    yield "\nWhat the literature claims:"
    for claim in claims_of(groups):
        verdict, said = claim.judged(groups)
        yield f"  {verdict}: {claim.says} ({claim.source})"
        yield f"    {said}. {claim.rule}"


MARKS = {"agrees": "yes", "does not": "no", "not shown": "unknown", "not measured": "unknown"}


def claims_list(groups: Sequence[Group]) -> Html:
    """The claims, each with its verdict, the numbers and the rule."""
    items = []
    for claim in claims_of(groups):
        verdict, said = claim.judged(groups)
        mark = tag("span", verdict, class_=f"verdict {MARKS[verdict]}")
        told = [tag("strong", claim.says), tag("p", f"{claim.source}."), tag("p", f"Here: {said}. {claim.rule}")]
        items.append(tag("li", mark, tag("div", join(told))))
    return tag("ul", *items, class_="practice claims")
