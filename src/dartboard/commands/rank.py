"""dartboard rank: how good the shared weights of a search are as a judge of architectures."""

from dataclasses import dataclass
from pathlib import Path

from dartboard.commands import work
from dartboard.commands.flags import parse
from dartboard.commands.why import reporting_stops
from dartboard.config import check_ranges, parse_duration
from dartboard.errors import InputError, unknown
from dartboard.paths import check_path, expanded
from dartboard.runs.limits import Limits, limits_of
from dartboard.runs.run import Run
from dartboard.spaces import SPACES
from dartboard.spaces.search_space import SearchSpace
from dartboard.studies import rank_truth
from dartboard.studies.rank_folder import (
    RESULT,
    SCORES,
    Ranking,
    read_ranking,
    resume_command,
    rows_of,
    settled,
    source_of,
)
from dartboard.studies.rank_truth import Truth

MISSING = "name the run of a search that trained shared weights: dartboard rank runs/darts-digits-s0 --truth FILE"
ONE_TRUTH = "give what the shared weights are compared with: --truth FILE[:COLUMN], or --scores RUN_OF_TRIALS"


@dataclass(frozen=True)
class RankFlags:
    """How well do a search's shared weights rank architectures, beside multiply-adds alone? Writes a page."""

    run: str
    """the folder of a search that trained a supernet, finished or stopped"""
    samples: int | None = None
    """Architectures to score, drawn at random; by default 200, or all that have a truth if those are fewer."""
    truth: str | None = None
    """A table with their accuracies: FILE or FILE:COLUMN."""
    scores: str | None = None
    """Instead of a table, the folder of a search by trials that trained each of them."""
    out: str | None = None
    """The folder of the result; by default RUN/rank. The same command continues one that was stopped."""
    recalibrate: int | None = 512
    """Also score with running statistics of each architecture's own, on so many training images; None: not."""
    seed: int = 0
    """Which architectures are drawn, and the resamples of the intervals."""
    until: str | None = None
    """Save and stop this long after the start, such as 7h30m; can be resumed."""

    def __post_init__(self) -> None:
        check_ranges(self, samples="[3, 5000]", recalibrate="[2, inf)", seed="[0, 1e18]")
        if self.until is not None:
            parse_duration(self.until, "--until")


def execute(words: list[str]) -> None:
    """Raises InputError (no supernet, truth of another space, changed data ...), InterruptedRunError."""
    flags = parse(RankFlags, words, "rank", MISSING)
    limits = limits_of(None, flags.until)
    if (flags.truth is None) == (flags.scores is None):
        raise InputError(ONE_TRUTH)
    run, space = judged(flags.run)
    truth = truth_of(flags, space)
    drawn = rank_truth.sampled(truth, space, flags.samples, flags.seed)
    out = Path(flags.out) if flags.out is not None else run.folder / "rank"
    from dartboard.studies.rank import states_of

    data, source = run.environment["data"]["fingerprint"], source_of(truth, place_of(flags))
    states, rows = states_of(run, space), rows_of(truth, drawn)
    wanted = Ranking(run.folder, flags.seed, flags.recalibrate, data, source, states, rows)
    rank_in(out, wanted, limits)


def resume(out: Path, limits: Limits) -> None:
    """Resumes the ranking in a folder for which `is_ranking` is true. Raises as `execute`."""
    rank_in(out, read_ranking(out), limits)


def judged(folder: str) -> tuple[Run, SearchSpace]:
    """The run of a search, and its space. Raises InputError."""
    run = Run.open(folder)
    if run.command != "search":
        raise InputError(f"{folder} is a training; give the folder of a search that trained shared weights")
    if run.space not in SPACES:
        raise unknown(f"space in {folder}", str(run.space), SPACES)
    if not isinstance(run.environment.get("data"), dict):  # scored by a table, or stopped before it read its data
        raise InputError(f"{folder} trained no supernet; give the folder of a search that did")
    return run, SPACES[run.space]


def truth_of(flags: RankFlags, space: SearchSpace) -> Truth:
    """What the shared weights are compared with. Raises InputError."""
    (name, place), *_ = place_of(flags).items()
    return rank_truth.of_table(place, space) if name == "truth" else rank_truth.of_trials(place, space)


def place_of(flags: RankFlags) -> dict[str, str]:
    """The flag that names the truth, and where that is, from any folder. Raises InputError."""
    name = "truth" if flags.truth is not None else "scores"
    path = str(getattr(flags, name))
    check_path(path, f"--{name}")
    return {name: str(expanded(path).absolute())}


def rank_in(out: Path, ranking: Ranking, limits: Limits) -> None:
    """Does the work that is left, writes numbers and page, prints the findings."""
    from dartboard.report import rank_page
    from dartboard.studies import rank_results
    from dartboard.studies.pieces import Pieces
    from dartboard.studies.rank import Work, work_on

    run, space = judged(str(ranking.run))
    work.use_threads(run.setup.threads or run.environment.get("threads"))
    run.check_settings()
    data = work.load(run.setup)
    run.check_data(data)
    with reporting_stops(resume_command(out)), settled(out, ranking):
        print(f"rank {run.folder}, {len(ranking.rows)} architectures, in {out}", flush=True)
        pieces = Pieces(out)
        work_on(Work(out, ranking, run, space, data, pieces, limits))
        found = rank_results.results_of(ranking, run, pieces)
        rank_results.write_results(found, out)
        place = rank_page.write(out)
    for line in rank_results.summary(found):
        print(line)
    print(f"numbers: {out / RESULT}, {out / SCORES}")
    print(f"report: {place}")
