"""dartboard front: accuracy against cost of the networks of a trained supernet."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dartboard.commands.flags import parse
from dartboard.commands.rank import judged
from dartboard.commands.specialise import trained
from dartboard.commands.why import reporting_stops
from dartboard.config import check_ranges
from dartboard.formats.files import shown
from dartboard.paths import quoted
from dartboard.runs.atomic_files import make_folders, replace_file, writing
from dartboard.runs.limits import catching_signals, limits_of

MISSING = "name the run of a search that trained shared weights: dartboard front RUN"


@dataclass(frozen=True)
class FrontFlags:
    """Draw accuracy against cost of a trained supernet's networks: the best under limits, random ones, and networks
    whose choices are all scaled alike. Writes a page and a CSV."""

    run: str
    """the folder of a finished search that trained a supernet"""
    samples: int = 40
    """Networks that are drawn at random, for the cloud behind the front."""
    targets: int = 5
    """Number of limits on multiply-adds, from small to none; under each of them the best network is searched."""
    scorings: int = 30
    """Networks to score under each limit. Scores are kept: what was scored before costs nothing."""
    strategy: Literal["coarse-to-fine", "evolution", "random"] = "coarse-to-fine"
    """How candidates under a limit are chosen."""
    grid: bool = False
    """Also score the grid of the space: all choices of a sort (depth, width, kernel, ...) alike."""
    out: str | None = None
    """The folder of page and CSV; by default RUN/front."""
    recalibrate: int = 2000
    """Most images of train on which a network's statistics are collected."""
    val_images: int = 8000
    """Most images of val on which a network is scored."""
    latency: str | None = None
    """A table of latencies of this device (dartboard latency build): page and CSV have latencies by it, too."""
    threads: int | None = None
    """Threads of the CPU; by default those of the search."""
    seed: int = 0
    """Which networks are drawn."""

    def __post_init__(self) -> None:
        check_ranges(self, samples="[0, 1e6]", targets="[1, 1000]", scorings="[1, 1e6]", seed="[0, 1e18]")
        check_ranges(self, recalibrate="[2, inf)", val_images="[1, inf)", threads="[1, 1024]")


def execute(words: list[str]) -> None:
    """Raises InputError (no or an unfinished supernet, changed data ...), InterruptedRunError."""
    flags = parse(FrontFlags, words, "front", MISSING)
    run, space = judged(flags.run)
    out = Path(flags.out) if flags.out is not None else run.folder / "front"
    from dartboard.report import front_page
    from dartboard.studies import fronts, specialise

    space = specialise.asked(run, space)
    one, stops = trained(run, space, flags.latency, flags.threads), limits_of(None, None)
    question = specialise.Question(
        (), flags.strategy, flags.scorings, flags.recalibrate, flags.val_images, flags.seed
    )  # fmt: skip
    with reporting_stops(f"the same command: dartboard front {quoted(flags.run)}"), catching_signals(stops):
        pieces = specialise.pieces_of(run)
        check = specialise.stopping(stops)
        found = fronts.points(one, question, flags.samples, flags.targets, flags.grid, pieces, check)
    with writing(out):
        make_folders(out)
    replace_file(out / "front.csv", fronts.as_csv(found))
    images = min(flags.val_images, len(one.data.val))
    place = front_page.write(found, str(run.folder), images, out / "report.html", scoring_of(flags))
    for number in sorted(fronts.on_front(found), key=lambda number: found[number].cost.macs):
        point = found[number]
        print(f"{point.cost.macs:>14,} multiply-adds  {100 * point.accuracy:6.2f} %  {point.kind}")
    print(f"numbers: {shown(out / 'front.csv')}")
    print(f"report: {place}")


def scoring_of(flags: FrontFlags) -> str:
    """How networks were scored, as flags, where that is not the default."""
    own = {name: getattr(flags, name) for name in ("recalibrate", "val_images")}
    typed = [f" --{name.replace('_', '-')} {value}" for name, value in own.items() if value != vars(FrontFlags)[name]]
    return "".join(typed)
