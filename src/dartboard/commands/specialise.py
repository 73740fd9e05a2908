"""dartboard specialise: the best network under limits out of a trained supernet, with its weights."""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from zlib import crc32

from dartboard import formats
from dartboard.commands import work
from dartboard.commands.flags import parse
from dartboard.commands.rank import judged
from dartboard.commands.why import reporting_stops
from dartboard.config import check_ranges
from dartboard.errors import InputError
from dartboard.formats.files import ordinary_bytes, shown
from dartboard.paths import quoted
from dartboard.runs.atomic_files import replace_file
from dartboard.runs.json_files import as_json, read_json
from dartboard.runs.limits import catching_signals, limits_of
from dartboard.runs.run import Run
from dartboard.scoring.limits import check_table, fits, in_words, limits_from
from dartboard.spaces.search_space import Architecture, SearchSpace

if TYPE_CHECKING:
    from dartboard.studies.specialise import Trained

ANSWER = "answer.json"
FOLDER = "specialised"  # in the run's folder
PREDICTED = "predicted"  # the strategy that has a predictor
SCORINGS, FINALISTS = 60, 10  # networks to score; the same, of this strategy
SAMPLES = 200
MODELS = {"predictor": "predictor", "linear": "linear model", "macs": "multiply-adds alone"}
AGAIN = "ask again when it is idle, with another --out"
MISSING = 'name the run of a search that trained shared weights: dartboard specialise RUN --limit "macs<=40M"'


@dataclass(frozen=True)
class SpecialiseFlags:
    """The best network under limits out of a trained supernet, with its weights; ask as often as you like."""

    run: str
    """the folder of a finished search that trained a supernet"""
    limit: str = ""
    """The most that it may cost: macs<=40M or params<=1M,memory_mb<=8; also bitops, latency_ms; empty: no limit."""
    strategy: Literal["coarse-to-fine", "evolution", "random", "predicted"] = "coarse-to-fine"
    """How candidates are chosen: the grid and changes of its best, an evolution, uniform draws, or an evolution by a
    predictor of accuracy."""
    scorings: int | None = None
    """Networks to score, 60; of predicted, of those with the best predictions, 10. What was scored before costs
    nothing."""
    samples: int | None = None
    """Scored networks that the predictor learns from and is tried on, 200; for --strategy predicted."""
    candidates: int | None = None
    """Candidates of the evolution by the predictor, 50000, or 2000 where limits are given in a space whose networks are
    counted one by one; for --strategy predicted."""
    architecture: str | None = None
    """Take this network instead of searching for one: an architecture in any notation, or a file."""
    out: str | None = None
    """The folder of the network; by default RUN/specialised/ and a name made of limit and strategy."""
    recalibrate: int = 2000
    """Most images of train on which a network's statistics are collected."""
    val_images: int = 8000
    """Most images of val on which a network is scored."""
    latency: str | None = None
    """A table of latencies of this device (dartboard latency build), for latency_ms; what is found is also timed."""
    fine_tune: int = 0
    """Epochs for which the network is trained further, on train; 0: it stays as the supernet has it."""
    threads: int | None = None
    """Threads of the CPU; by default those of the search."""
    seed: int = 0
    """Which candidates are drawn; with --fine-tune also the order of the images."""

    def __post_init__(self) -> None:
        check_ranges(self, fine_tune="[0, 1e5]")
        check_ranges(self, scorings="[1, 1e6]", recalibrate="[2, inf)", val_images="[1, inf)", seed="[0, 1e18]")
        check_ranges(self, threads="[1, 1024]", samples="[20, 1e6]", candidates="[1, 1e7]")
        for name in ("samples", "candidates"):
            if getattr(self, name) is not None and (self.strategy != PREDICTED or self.architecture is not None):
                raise InputError(f"--{name} has no effect without --strategy {PREDICTED}; leave it out")
        check_table(self.limit, self.latency)

    @property
    def is_predicted(self) -> bool:
        return self.strategy == PREDICTED and self.architecture is None

    @property
    def num_scorings(self) -> int:
        return self.scorings or (FINALISTS if self.is_predicted else SCORINGS)

    @property
    def evolution(self) -> dict[str, Any]:
        """Numbers of the strategy predicted; none of others."""
        return {"samples": self.samples or SAMPLES, "candidates": self.candidates} if self.is_predicted else {}


def execute(words: list[str]) -> None:
    """Raises InputError (no or an unfinished supernet, a limit nothing is within ...), InterruptedRunError."""
    flags = parse(SpecialiseFlags, words, "specialise", MISSING)
    run, space = judged(flags.run)
    out = Path(flags.out) if flags.out is not None else run.folder / FOLDER / name_of(flags)
    if (known := answered(out, flags, run)) is not None:
        return tell(known, out, "answered before")
    from dartboard.studies import specialise

    space = specialise.asked(run, space)
    given = None if flags.architecture is None else within(flags.architecture, space)

    one = trained(run, space, flags.latency, flags.threads)
    if given is not None:
        check_given(given, one, flags.limit)
    with reporting_stops(f"the same command: dartboard specialise {quoted(flags.run)}"):
        tell(written(one, flags, given, out), out)


def trained(run: Run, space: SearchSpace, latency: str | None, threads: int | None) -> "Trained":
    """The supernet of a finished search, with its search's data. latency: a table's file; threads: other than the
    search's. Raises InputError for other data or settings, for a search that is not finished or trained none, and for
    a table that does not serve."""
    from dartboard.studies import specialise

    work.use_threads(threads or run.setup.threads or run.environment.get("threads"))
    run.check_settings()
    data = work.load(run.setup)
    run.check_data(data)
    return specialise.trained(run, space, data, latency)


def name_of(flags: SpecialiseFlags) -> str:
    """The folder of a question, by its limits and its strategy."""
    tuned = f"-tuned-{flags.fine_tune}" if flags.fine_tune else ""
    if flags.architecture is not None:
        return f"given-{crc32(flags.architecture.encode()):08x}{tuned}"
    limit = re.sub(r"[^\w.]+", "-", flags.limit.replace("<=", "-")).strip("-") or "no-limit"
    return f"{limit}-{flags.strategy}" + (f"-s{flags.seed}" if flags.seed else "") + tuned


def answered(out: Path, flags: SpecialiseFlags, run: Run) -> dict[str, Any] | None:
    """The answer that lies there, if it is to the same question to the same supernet; None for a folder to write in.
    Raises InputError for anything else that lies there."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    from dartboard.export.run_weights import WEIGHTS
    from dartboard.export.weights import DESCRIPTION

    if not all((out / name).is_file() for name in (ANSWER, WEIGHTS, DESCRIPTION)):
        raise InputError(f"{shown(out)} is not an empty folder; give another one with --out")
    found, asked = read_json(out / ANSWER), question_of(flags, run)
    question = found.get("question")
    if question == asked:
        return found
    of = question if isinstance(question, dict) else {}
    if of.get("supernet") != asked["supernet"]:
        raise InputError(f"{shown(out)} has an answer of another supernet; give another folder with --out")
    other = [differs(name, of, asked) for name in {**asked, **of} if of.get(name) != asked.get(name)]
    raise InputError(f"{shown(out)} answers another question ({', '.join(other)}); give another folder with --out")


def differs(name: str, one: dict[str, Any], other: dict[str, Any]) -> str:
    """In which way a part of two questions does."""
    if name == "latency":
        return "another table of latencies" if one.get(name) and other.get(name) else "with and without --latency"
    return f"{name} {one.get(name)!r}, not {other.get(name)!r}"


def question_of(flags: SpecialiseFlags, run: Run) -> dict[str, Any]:
    """What is asked, and of which supernet."""
    names = ("limit", "strategy", "architecture", "recalibrate", "val_images", "seed")
    asked = {name: getattr(flags, name) for name in names} | {"scorings": flags.num_scorings, **flags.evolution}
    if flags.fine_tune:
        asked["fine_tune"] = flags.fine_tune
    if flags.latency is not None:
        asked["latency"] = hashlib.sha256(ordinary_bytes(flags.latency)).hexdigest()
    return asked | {"supernet": supernet_of(run)}


def supernet_of(run: Run) -> str:
    """What tells the supernets of runs apart, also of runs that lay in one place one after the other."""
    about = [run.environment.get("created"), run.stored]
    return hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()[:16]


def within(text: str, space: Any) -> Architecture:
    """The architecture that a person gives. Raises InputError for one that is not in the space."""
    architecture, _, _ = formats.resolve(text)
    if architecture not in space:
        raise InputError(f"the architecture is not among those of {space.name} that this supernet was trained for")
    return architecture


def check_given(given: Architecture, one: "Trained", text: str) -> None:
    """Raises InputError for a network beyond a limit that is counted; latency is measured, and said."""
    cost = one.count(given)
    for limit in limits_from(text):
        if limit.name != "latency_ms" and not fits(cost, [limit]):
            has = in_words(limit.name, getattr(cost, limit.name))
            raise InputError(f"the architecture has {has}, more than {limit}; give a larger --limit, or leave it out")


def written(one: "Trained", flags: SpecialiseFlags, given: Architecture | None, out: Path) -> dict[str, Any]:
    """Finds the network, writes it with its answer, and returns the answer. Raises as `execute`."""
    from dartboard.studies import fine_tuning, measured_latency, predicted, specialise

    question = specialise.Question(
        limits_from(flags.limit), flags.strategy, flags.num_scorings, flags.recalibrate, flags.val_images, flags.seed
    )
    pieces, stops = specialise.pieces_of(one.run), limits_of(None, None)
    check, timed, found = specialise.stopping(stops), None, None
    with catching_signals(stops):
        if flags.is_predicted:
            answer, found = predicted.answer(one, question, **flags.evolution, pieces=pieces, check=check)
        else:
            answer = specialise.answer_of(one, question, pieces, check, given)
        if one.table is not None:
            answer, timed = measured_latency.held(one, answer, question.limits, given is not None, check)
    tune = fine_tuning.tuner(one, answer.best.architecture, flags.fine_tune, flags.seed) if flags.fine_tune else None
    before, accuracy = specialise.write_network(one, answer.best.architecture, question, out, tune)
    record = {
        "question": question_of(flags, one.run),
        "architecture": answer.best.architecture.to_json(),
        "val_accuracy": accuracy,
        "cost": answer.cost.numbers,
        "scorings": answer.scorings,
        "new_scorings": answer.new,
        "run": str(one.run.folder),
        "step": one.step,
    }
    if tune is not None:
        record["fine_tuned"] = {"epochs": flags.fine_tune, "val_accuracy_before": before}
    if timed is not None:
        record["latency"] = timed.record()
    if found is not None:
        record["predictor"] = found.summary()
    replace_file(out / ANSWER, as_json(record))
    return record


def of_predictor(found: dict[str, Any]) -> Iterator[str]:
    """What the predictor is worth, beside a linear model and multiply-adds alone, and what it searched."""
    yield f"learned from {found['learned_from']} scored networks, tried on {found['held_out']} others:"
    for name, words in MODELS.items():
        one = found["models"][name]
        tau = "none" if one["kendall_tau"] is None else f"{one['kendall_tau']:.3f}"
        errors = f"{one['rmse_points']:.2f} points, mean error {one['mean_error_points']:.2f}"
        yield f"  {words:<20} root mean square error {errors}; Kendall's tau {tau}"
    yield f"{found['candidates']:,} candidates of the evolution by the predictor in {found['seconds']:.1f} s"


def weights_words(answer: dict[str, Any]) -> str:
    """Whose weights the network has."""
    if (tuned := answer.get("fine_tuned")) is None:
        return " by the supernet's weights, not trained further"
    epochs = f"{tuned['epochs']} epoch{'s' * (tuned['epochs'] != 1)}"
    return f", fine-tuned {epochs}; {100 * tuned['val_accuracy_before']:.2f} % before, by the supernet's weights"


def tell(answer: dict[str, Any], out: Path, before: str = "") -> None:
    """Prints the network, what it costs, and where it lies. before: what stands before all that. Raises InputError for
    a damaged answer."""
    try:
        lines = list(told(answer, out))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{shown(out / ANSWER)} is damaged; give another folder with --out") from error
    print("\n".join(([f"{before}: {shown(out)}"] if before else []) + lines))


def told(answer: dict[str, Any], out: Path) -> Iterator[str]:
    """The lines of an answer."""
    from dartboard.report import latency_words

    yield json.dumps(answer["architecture"])
    cost = ", ".join(in_words(name, number) for name, number in answer["cost"].items())
    yield f"val accuracy {100 * answer['val_accuracy']:.2f} %{weights_words(answer)}; {cost}"
    if "latency" in answer:
        yield from latency_words.lines(answer["latency"], AGAIN)
    if "predictor" in answer:
        yield from of_predictor(answer["predictor"])
    scored = f"{answer['scorings']} network{'s' * (answer['scorings'] != 1)} scored"
    yield f"{scored}, {answer['new_scorings']} of them for the first time"
    evaluate = f"dartboard evaluate {quoted(out)} --data ..."
    yield f"network: {shown(out)}; load it with dartboard.load_network, or: {evaluate}"
