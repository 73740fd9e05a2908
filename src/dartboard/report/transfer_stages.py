"""The evidence on the page of a transfer study: its stages, the protocol, the conditions of its runs."""

from dartboard.config import parse_budget
from dartboard.report import words
from dartboard.report.blocks import section, table
from dartboard.report.conditions import block, conditions
from dartboard.report.facts import read_facts
from dartboard.report.markup import Html, tag
from dartboard.report.transfer_words import short
from dartboard.report.words import percent
from dartboard.studies.cells import Cell
from dartboard.studies.matrix import Findings
from dartboard.studies.protocol import Side
from dartboard.studies.study import STAGES, Study


def stages(study: Study, found: Findings) -> Html:
    """Every run with its page, and whether the budgets were equal."""
    by_name = {(cell.group, cell.seed): cell for cell in found.cells}
    rows = []
    for stage in study.stages:
        cell = by_name.get((stage.group, stage.seed))
        done = study.is_done(stage)
        score = cell_score(cell, stage.command, stage.side) if cell is not None and done else words.UNKNOWN
        steps = cell.steps if cell is not None and stage.command == "search" else None
        data = {"a": study.protocol.a, "b": study.protocol.b}[stage.side]
        rows.append(
            (
                stage_link(study, stage.name),
                short(data),
                "done" if done else "to do",
                score,
                steps or words.UNKNOWN,
                words.duration(found.seconds.get(stage.name)),
            )
        )
    head = ("stage", "data", "state", "accuracy", "steps", "time")
    return section("stages", "The stages", table(head, rows, caption=equal_words(study, found)))


def stage_link(study: Study, name: str) -> Html:
    """The stage's name, with a link to its own page if it has one."""
    there = (study.place(name) / "report.html").is_file()
    return tag("a", name, href=f"{STAGES}/{name}/report.html") if there else tag("code", name)


def cell_score(cell: Cell, command: str, side: Side) -> str:
    return percent(cell.derived if command == "search" else cell.trained.get(side))


def equal_words(study: Study, found: Findings) -> str:
    """Whether equal budgets were equal, in steps and in seconds."""
    phases = [cell for cell in found.cells if cell.steps and not cell.group.endswith("-whole")]
    steps = sorted({cell.steps for cell in phases if cell.steps})
    seconds = [cell.elapsed_s for cell in phases if cell.elapsed_s]
    if not steps:
        return "Searches: accuracy on val by shared weights; trainings: on test"
    same = f"every phase made {steps[0]} steps" if len(steps) == 1 else f"phases made {steps[0]} to {steps[-1]} steps"
    times = f", in {words.duration(min(seconds))} to {words.duration(max(seconds))}" if seconds else ""
    budget = study.protocol.budget
    timed = bool(budget) and parse_budget(budget)[1] is None
    what = "equal epochs" if study.protocol.proxy else f"equal time ({budget}, planned)" if timed else "equal steps"
    return f"Equal budgets mean {what}: {same}{times}. Searches: accuracy on val by shared weights; trainings: on test"


def protocol(study: Study) -> Html:
    """Everything that determines the numbers."""
    fields = {name: getattr(study.protocol, name) for name in study.protocol.__dataclass_fields__}
    blocks = [block("Protocol", fields), block("Every search", study.search), block("Every training", study.train)]
    return section("protocol", "Protocol", *blocks, block("Where", study.setup))


def first_conditions(study: Study) -> Html | None:
    """The conditions of the first finished run; the pages of the others have theirs."""
    first = next((stage for stage in study.stages if study.is_done(stage)), None)
    return None if first is None else conditions([read_facts(study.place(first))])
