"""The page of a transfer study: the answer with its error bars, and the evidence for it. Needs no torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from dartboard.analysis.p_values import holm
from dartboard.analysis.statistics import student_quantile
from dartboard.report import page, transfer_figures, words
from dartboard.report.blocks import box, pair, picture, section, table, tiles
from dartboard.report.change_page import difference_picture
from dartboard.report.facts import read_facts
from dartboard.report.figures import dots
from dartboard.report.markup import Html, join, tag
from dartboard.report.transfer_stages import first_conditions, protocol, stages
from dartboard.report.transfer_words import (
    QUESTIONS,
    carried,
    carry_verdict,
    entry_words,
    forest_name,
    how_words,
    interval,
    move_words,
    path_name,
    rank_words,
    sentence,
    short,
    size_words,
    tau_words,
)
from dartboard.spaces import darts
from dartboard.studies.cells import RANDOM
from dartboard.studies.comparisons import Contrast
from dartboard.studies.matrix import Findings, findings, group_words
from dartboard.studies.protocol import SIDES, Side
from dartboard.studies.study import Study

PLACES = (
    ("answer", "Answer"),
    ("study", "Study"),
    ("matrix", "Matrix"),
    ("differences", "Differences"),
    ("change", "Cells"),
    ("ranks", "Ranks"),
    ("stages", "Stages"),
    ("protocol", "Protocol"),
    ("conditions", "Conditions"),
)
FOREST = "A dot is the difference of one seed, the diamond their mean, the line its 95 % interval"
FEW = 5  # with fewer seeds, the page says how little they can show


def write(study: Study, out: Path | None = None) -> Path:
    """Writes the page of a study, finished or not; returns its path. Raises InputError."""
    place = out or study.folder / "report.html"
    page.put(page_html(study), place, named=out is not None)
    return place


def page_html(study: Study) -> str:
    """The complete file."""
    found, names = findings(study), side_names(study)
    top = page.Page(
        eyebrow(study, found), title(study, names), lede(study, found), answer(study, found, names), Html("")
    )
    parts = [
        plan(study, names), matrix(found, names, chances(study)), differences(found, names), change(found, names),
        ranks(found, names), stages(study, found), protocol(study), first_conditions(study),
    ]  # fmt: skip
    return page.document(top, PLACES, parts, "the study's file and the files of its runs")


def side_names(study: Study) -> dict[Side, str]:
    """The two data sets, apart even if they are one."""
    names: dict[Side, str] = {"a": short(study.protocol.a), "b": short(study.protocol.b)}
    if names["a"] == names["b"]:
        names = {"a": f"{names['a']} (A)", "b": f"{names['b']} (B)"}
    return names


# --- The answer ------------------------------------------------------------------------------------------------------


def eyebrow(study: Study, found: Findings) -> str:
    state = "" if found.done == found.total else f" · {found.done} of {found.total} stages done"
    return f"Transfer study · {study.protocol.method} · {words.plural(study.protocol.seeds, 'seed')}{state}"


def title(study: Study, names: Mapping[Side, str]) -> str:
    if study.protocol.proxy:
        return f"Is a part of {names['a']} enough to search on?"
    return f"Does a cell transfer between {names['a']} and {names['b']}?"


def lede(study: Study, found: Findings) -> str:
    protocol = study.protocol
    budget = f"{protocol.budget}, as epochs" if protocol.budget else words.plural(protocol.epochs, "epoch")
    if not protocol.budget and protocol.epochs != protocol.epochs_b:
        budget += f" on A, {protocol.epochs_b} on B"
    return (
        "Every cell was trained from scratch on both data sets with one protocol and scored on test images that no "
        f"search saw. A phase is {budget}; {words.plural(protocol.seeds, 'seed')}, "
        f"{found.done} of {found.total} runs done."
    )


def answer(study: Study, found: Findings, names: Mapping[Side, str]) -> Html:
    lines = [sentence(one, names) for one in found.contrasts if one.key in ("transfer", "swap", "proxy", "found")]
    lines += [verdict for side in SIDES if (verdict := carry_verdict(found.contrasts, side, names))]
    if not lines:
        return box("note", "Nothing to compare yet", "There is no pair of trained cells yet; resume the study.")
    return join(
        [
            tiles(answer_tiles(found, names, chances(study))),
            caution(study),
            tag("ul", *(tag("li", one) for one in lines)),
        ]
    )


def caution(study: Study) -> Html | None:
    n = study.protocol.seeds
    if n >= FEW:
        return None
    least = 2 / 2**n if n > 1 else 1.0
    wide = (
        f"an interval by Student's t extends {student_quantile(n - 1, 0.95) / n**0.5:.1f} standard deviations to each "
        "side, and is correct only if differences over seeds are normal"
        if n > 1
        else "there is no interval"
    )
    return box(
        "note",
        f"{words.plural(n, 'seed')} can show little",
        f"With n = {n} the smallest possible p-value of a sign-flip test is {least:g}, and {wide}. The differences "
        "below are observations in these runs, not general results.",
    )


def chances(study: Study) -> dict[Side, float | None]:
    """The chance level on each side, from the first run on it."""
    found: dict[Side, float | None] = dict.fromkeys(SIDES)
    for stage in study.stages:
        if found[stage.side] is None and study.is_done(stage):
            found[stage.side] = read_facts(study.place(stage)).chance
    return found


def answer_tiles(
    found: Findings, names: Mapping[Side, str], chances: Mapping[Side, float | None]
) -> list[tuple[str, str, object]]:
    tiles_: list[tuple[str, str, object]] = []
    for side in SIDES:
        for group in ("a", "b", RANDOM):
            entry = found.matrix.get((group, side))
            if entry is not None and entry.mean is not None:
                what = "random" if group == RANDOM else f"found on {names['a' if group == 'a' else 'b']}"
                tiles_.append(
                    (
                        f"{what}, trained on {names[side]}",
                        entry_words(entry),
                        f"test accuracy, n = {entry.n}{words.chance_words(chances[side])}",
                    )
                )
    return tiles_


# --- The study -------------------------------------------------------------------------------------------------------


def plan(study: Study, names: Mapping[Side, str]) -> Html:
    """Which search saw which data, as a picture."""
    rows = [
        (path_name(group), [(letter, names["a" if letter == "a" else "b"]) for letter in path])
        for group, path in paths_of(study).items()
    ]
    svg = transfer_figures.paths(rows, "The paths of the searches through the data sets")
    caption = "Each box is one phase. An arrow carries over: " + ", ".join(
        carry.replace(",", " and ") for carry in study.protocol.carries.values()
    )
    schedule = (
        "; the learning rate and the optimizers restart"
        if study.protocol.restart_schedule
        else "; the schedule continues"
    )
    lead = (
        "Swap and stay have the same warm start (a new classifier, the same schedule), so that only the data differ. A "
        "search of one phase on a data set is phase 1 itself: it is both the start of a swap and its control."
    )
    if study.protocol.proxy:
        caption, schedule = "Each search uses all of A or a part of it", ""
        lead = "Each search has the same number of epochs; every cell is then trained on both data sets."
    return section(
        "study",
        "What was done",
        narrow(picture(svg, f"{caption}{schedule}.", "study", title="The paths of the searches")),
        lead=lead,
    )


def narrow(figure: Html) -> Html:
    """A figure of limited width, so that it is easy to read."""
    return tag("div", figure, style="max-width:44rem")


def paths_of(study: Study) -> dict[str, str]:
    """The sides that a search of each group passes through."""
    found = {}
    for stage in study.stages:
        if stage.command == "search":
            alone = 2 * stage.side if stage.group.endswith("-whole") else stage.side
            found[stage.group] = f"{stage.group[0]}{stage.side}" if stage.before else alone
    return found


# --- Matrix and differences ------------------------------------------------------------------------------------------


def matrix(found: Findings, names: Mapping[Side, str], chances: Mapping[Side, float | None]) -> Html:
    """Found on x, trained on y."""
    rows = [
        (
            group_words(group, dict(names)),
            *(entry_words(found.matrix.get((group, side))) for side in SIDES),
            counted(found, group),
        )
        for group in found.groups
    ]
    head = ("found on", *(f"trained on {names[side]}" for side in SIDES), "n")
    pictures = [
        picture(
            dots(
                [(group_words(group, dict(names)), entry.values) for group in found.groups
                 if (entry := found.matrix[group, side]).values],
                f"Test accuracies of all cells trained on {names[side]}",
                chances[side],
            ),
            "A dot is a cell, the bar their mean.",
            f"trained-on-{side}",
            title=f"Trained on {names[side]}",
        )
        for side in SIDES
        if any(found.matrix[group, side].values for group in found.groups)
    ]  # fmt: skip
    accuracies = table(head, rows, caption="Test accuracy: mean ± sample standard deviation over seeds")
    return section("matrix", "The transfer matrix", accuracies, pair(*pictures) if pictures else None)


def counted(found: Findings, group: str) -> str:
    numbers = sorted({found.matrix[group, side].n for side in SIDES})
    return " or ".join(map(str, numbers))


def differences(found: Findings, names: Mapping[Side, str]) -> Html | None:
    """All comparisons with intervals and p-values, corrected for their number."""
    if not found.contrasts:
        return None
    tested = [one for one in found.contrasts if one.p is not None]
    corrected = dict(zip((id(one) for one in tested), holm([one.p or 0.0 for one in tested]), strict=True))
    rows = [
        (
            f"{names[one.side]}: {QUESTIONS[one.key]}{carried(one)}",
            f"{100 * one.interval.estimate:+.2f}",
            interval(one),
            one.interval.how,
            size_words(one),
            words.UNKNOWN if one.p is None else f"{one.p:.2g}",
            words.UNKNOWN if one.p is None else f"{corrected[id(one)]:.2g}",
        )
        for one in found.contrasts
    ]
    svg = transfer_figures.forest(
        [(forest_name(one, names), one.interval.estimate, *ends(one), one.pairs) for one in found.contrasts],
        "Differences of test accuracy with their intervals",
    )
    head = ("difference", "points", "95 % interval", "by", "n", "p", "p, Holm")
    return section(
        "differences",
        "What made a difference",
        narrow(picture(svg, forest_caption(found.contrasts), "differences", title="Differences of test accuracy")),
        table(head, rows, caption="Differences of test accuracy, in points; p of a sign-flip test over all pairs"),
        lead="Each row subtracts a control. Differences are paired by seed: same split, order and initial weights.",
    )


def forest_caption(contrasts: Sequence[Contrast]) -> str:
    made = how_words(contrasts)
    return f"{FOREST}, by {made}." if made else f"{FOREST}, if there is one."


def ends(one: Contrast) -> tuple[float, float]:
    """Those of the interval; without one, the difference itself."""
    low, high = one.interval.low, one.interval.high
    return (one.interval.estimate,) * 2 if low is None or high is None else (low, high)


# --- Cells and ranks -------------------------------------------------------------------------------------------------


def change(found: Findings, names: Mapping[Side, str]) -> Html | None:
    """How much phase 2 changed the cells, and the cells of the first seed before and after it."""
    if not found.moves:
        return None
    groups = list(dict.fromkeys(move.group for move in found.moves))
    rows = [
        (group_words(group, dict(names)), *move_words([move for move in found.moves if move.group == group]))
        for group in groups
    ]
    pictures = [one for group in sorted(groups, key=stayed) for one in before_and_after(found, group, names)]
    head = ("searched on", "inputs that changed in phase 2, mean", "lowest", "highest", "of", "n")
    note = (
        "Inputs (operation and predecessor) of both cells that differ from those of phase 1, at the best matching of "
        "nodes: renumbered nodes do not count"
    )
    return section("change", "Did the cell change?", table(head, rows, caption=note), *pictures)


def stayed(group: str) -> bool:
    """Whether phase 2 continued with the data of phase 1."""
    return group[0] == group[1]


def before_and_after(found: Findings, group: str, names: Mapping[Side, str]) -> list[Html]:
    """The normal and reduction cell of the first seed before and after phase 2, in one picture each."""
    after = next((cell for cell in found.cells if cell.group == group and cell.architecture is not None), None)
    before = next((cell for cell in found.cells if after and (cell.group, cell.seed) == (group[0], after.seed)), None)
    if after is None or before is None or before.architecture is None or after.architecture is None:
        return []
    pictures = [
        difference_picture(
            darts.cell(before.architecture, kind), darts.cell(after.architecture, kind), kind, f"{group}-{kind}"
        )
        for kind in darts.CELLS
    ]
    heading = f"{group_words(group, dict(names))}: phase 1 against phase 2, seed {after.seed}"
    return [tag("h3", heading), pair(*pictures)]


def ranks(found: Findings, names: Mapping[Side, str]) -> Html:
    """Whether two scores rank the cells in the same order."""
    rows = [(rank_words(one, names), *tau_words(one)) for one in found.ranks]
    note = "Kendall's tau-b: 1 the same order, 0 none, −1 the opposite; p by permutation among the cells compared."
    lead = (
        "Over all cells, and within cells of the same kind of search (over seeds) or of the same seed: a supernet that "
        "was trained for longer scores higher however good its cell is, and cells of one seed share their split."
    )
    head = ("scores", "compared", "tau", "p", "n cells")
    return section("ranks", "Do the scores agree?", table(head, rows, caption=note), lead=lead)
