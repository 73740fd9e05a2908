"""dartboard specialise: the best network under limits out of a trained supernet, with its weights."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dartboard import formats
from dartboard.commands import work
from dartboard.commands.flags import parse
from dartboard.commands.rank import judged
from dartboard.commands.why import reporting_stops
from dartboard.config import check_ranges
from dartboard.errors import InputError, InterruptedRunError
from dartboard.formats.files import shown
from dartboard.paths import quoted
from dartboard.runs.atomic_files import replace_file
from dartboard.runs.json_files import as_json
from dartboard.runs.limits import catching_signals, limits_of
from dartboard.scoring.limits import NAMES, limits_from
from dartboard.spaces.search_space import Architecture

if TYPE_CHECKING:
    from dartboard.scoring.cost import Cost
    from dartboard.studies.specialise import Trained

ANSWER = "answer.json"
FOLDER = "specialised"  # in the run's folder
MISSING = 'name the run of a search that trained shared weights: dartboard specialise RUN --limit "macs<=40M"'


@dataclass(frozen=True)
class SpecialiseFlags:
    """The best network under limits out of a trained supernet, with its weights; ask as often as you like."""

    run: str
    """the folder of a finished search that trained a supernet"""
    limit: str = ""
    """The largest cost, such as macs<=40M or params<=1M,macs<=40M; empty: none."""
    strategy: Literal["coarse-to-fine", "evolution", "random"] = "coarse-to-fine"
    """How candidates are chosen: the grid and changes of its best, an evolution, or uniform draws."""
    scorings: int = 60
    """Networks to score. What was scored before costs nothing."""
    architecture: str | None = None
    """Take this network instead of searching for one: an architecture in any notation, or a file."""
    out: str | None = None
    """The folder of the network; by default RUN/specialised/LIMIT-STRATEGY."""
    recalibrate: int = 2000
    """Most images of train on which a network's statistics are collected."""
    val_images: int = 8000
    """Most images of val on which a network is scored."""
    seed: int = 0
    """Which candidates are drawn."""

    def __post_init__(self) -> None:
        check_ranges(self, scorings="[1, 1e6]", recalibrate="[2, inf)", val_images="[1, inf)", seed="[0, 1e18]")
        limits_from(self.limit)


def execute(words: list[str]) -> None:
    """Raises InputError (no or an unfinished supernet, a limit nothing is within ...), InterruptedRunError."""
    flags = parse(SpecialiseFlags, words, "specialise", MISSING)
    run, space = judged(flags.run)
    out = Path(flags.out) if flags.out is not None else run.folder / FOLDER / name_of(flags)
    if (known := answered(out, flags)) is not None:
        print(f"answered before: {shown(out)}")
        return tell(known, out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{shown(out)} is not an empty folder; give another one with --out")
    from dartboard.studies import specialise

    space = specialise.asked(run, space)
    given = None if flags.architecture is None else within(flags.architecture, space)

    work.use_threads(run.setup.threads or run.environment.get("threads"))
    run.check_settings()
    data = work.load(run.setup)
    run.check_data(data)
    one = specialise.trained(run, space, data)
    with reporting_stops(f"the same command: dartboard specialise {quoted(flags.run)}"):
        tell(written(one, flags, given, out), out)


def name_of(flags: SpecialiseFlags) -> str:
    """The folder of a question, by its limits and its strategy."""
    if flags.architecture is not None:
        return "given"
    limit = re.sub(r"[^\w.]+", "-", flags.limit.replace("<=", "-")).strip("-") or "no-limit"
    return f"{limit}-{flags.strategy}" + (f"-s{flags.seed}" if flags.seed else "")


def answered(out: Path, flags: SpecialiseFlags) -> dict[str, Any] | None:
    """The answer that lies there, if it is to the same question."""
    if not (out / ANSWER).is_file():
        return None
    found: dict[str, Any] = json.loads((out / ANSWER).read_text(encoding="utf-8"))
    return found if found.get("question") == question_of(flags) else None


def question_of(flags: SpecialiseFlags) -> dict[str, Any]:
    names = ("limit", "strategy", "scorings", "architecture", "recalibrate", "val_images", "seed")
    return {name: getattr(flags, name) for name in names}


def within(text: str, space: Any) -> Architecture:
    """The architecture that a person gives. Raises InputError for one that is not in the space."""
    architecture, _, _ = formats.resolve(text)
    if architecture not in space:
        raise InputError(f"the architecture is not among those of {space.name} that this supernet was trained for")
    return architecture


def written(one: "Trained", flags: SpecialiseFlags, given: Architecture | None, out: Path) -> dict[str, Any]:
    """Finds the network, writes it with its answer, and returns the answer. Raises as `execute`."""
    from dartboard.studies import specialise

    question = specialise.Question(
        limits_from(flags.limit), flags.strategy, flags.scorings, flags.recalibrate, flags.val_images, flags.seed
    )
    pieces, stops = specialise.pieces_of(one.run), limits_of(None, None)

    def check() -> None:
        if reason := stops.reason():
            raise InterruptedRunError(f"stopped by {reason[0]}; what was scored stays, ask again", reason[1])

    with catching_signals(stops):
        answer = specialise.answer_of(one, question, pieces, check, given)
    accuracy = specialise.write_network(one, answer.best.architecture, question, out)
    record = {
        "question": question_of(flags),
        "architecture": answer.best.architecture.to_json(),
        "val_accuracy": accuracy,
        "cost": costs(answer.cost),
        "scorings": answer.scorings,
        "new_scorings": answer.new,
        "run": str(one.run.folder),
        "step": one.step,
    }
    replace_file(out / ANSWER, as_json(record))
    return record


def costs(cost: "Cost") -> dict[str, float]:
    return {name: getattr(cost, name) for name in NAMES if getattr(cost, name, None) is not None}


def tell(answer: dict[str, Any], out: Path) -> None:
    """Prints the network, what it costs, and where it lies."""
    print(json.dumps(answer["architecture"]))
    cost = ", ".join(f"{number:,} {NAMES[name]}" for name, number in answer["cost"].items())
    print(f"val accuracy {100 * answer['val_accuracy']:.2f} % by the supernet's weights, not trained further; {cost}")
    print(f"{answer['scorings']} networks scored, {answer['new_scorings']} of them for the first time")
    print(
        f"network: {shown(out)}; load it with dartboard.load_network, or: dartboard evaluate {quoted(out)} --data ..."
    )
