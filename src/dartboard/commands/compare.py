"""dartboard compare: methods at equal cost, with random search and the largest of as many draws beside them."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Literal

from dartboard.commands import compare_settings, work
from dartboard.commands.by_workers import say_crowded
from dartboard.commands.flags import parse
from dartboard.commands.why import reporting_stops
from dartboard.config import check_ranges
from dartboard.errors import InputError, TakenError
from dartboard.paths import quoted
from dartboard.runs.atomic_files import make_folders
from dartboard.runs.limits import Limits, limits_of
from dartboard.runs.locks import locked
from dartboard.runs.run import CONFIG
from dartboard.runs.workers import check_there, check_workers
from dartboard.studies.budgets import counted
from dartboard.studies.comparison_folder import ComparisonFolder, is_comparison
from dartboard.studies.folders import is_several

if TYPE_CHECKING:
    from dartboard.studies.contenders import Comparison

MISSING = compare_settings.MISSING


@dataclass(frozen=True)
class CompareFlags:
    """Compare search methods at equal cost, beside random search and the largest of as many random architectures."""

    runs: tuple[str, ...]
    """folders of comparisons, or of runs, to compare as they are, in groups of equal settings"""
    methods: str = ""
    """Methods of `dartboard list methods`, separated by commas."""
    space: str | None = None
    """A space of `dartboard list spaces`; by default that of the first method."""
    truth: str | None = None
    """A table with the scores, instead of --data: FILE or FILE:COLUMN."""
    data: str | None = None
    """A data set of `dartboard list data`, or images:DIR: trainings score."""
    budget: str = ""
    """The size of each method's run: 200trials, 500steps (of all its trainings together), or a time such as 10m."""
    seeds: int = 3
    """Number of runs of each method, with the seeds S, S+1, ..."""
    seed: int = 0
    """The first seed."""
    out: str | None = None
    """The comparison's folder; by default runs/compare-SPACE-sSEED. With it, the same command resumes what stopped."""
    limit: str = ""
    """The largest cost of an architecture, such as params<=3M,macs<=330M."""
    latency: str | None = None
    """A table of latencies of this device (dartboard latency build), for latency_ms in the limit."""
    config: str | None = None
    """Files with settings of single methods: METHOD=FILE.toml, separated by commas."""
    epochs: int | None = None
    """Epochs of a training that scores."""
    channels: int | None = None
    """Channels of the searches: of trainings that score, and of supernets."""
    cells: int | None = None
    """Cells of the searches."""
    batch_size: int | None = None
    """Images per batch of the searches."""
    train_epochs: int | None = None
    """Epochs of the trainings from scratch of what was found."""
    train_channels: int | None = None
    """Channels of these trainings."""
    train_cells: int | None = None
    """Cells of these trainings."""
    train_batch_size: int | None = None
    """Images per batch of these trainings."""
    train_config: str | None = None
    """A TOML file of more settings of these trainings; flags override it."""
    data_dir: str | None = None
    """The folder that holds the data set; by default $XDG_CACHE_HOME/dartboard, to which CIFAR is downloaded."""
    download: bool = False
    """Download cifar10 or cifar100 (170 MB each, from www.cs.toronto.edu/~kriz) to --data-dir, if it is not there."""
    image_size: int | None = None
    """Height and width in pixels to which images are resized."""
    max_images: int | None = None
    """Use only this number of training images."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute."""
    threads: int | None = None
    """CPU threads; by default those of the machine."""
    precision: Literal["float32", "bf16", "float64"] = "float32"
    """Number format of the networks."""
    save_every: str = "10m"
    """Time between checkpoints within an epoch."""
    until: str | None = None
    """Save and stop this long after the start, such as 7h30m; can be resumed."""
    workers: str | None = None
    """Who works: a number of processes, ray, or ray://HOST[:PORT]; by default this process."""
    print_config: bool = False
    """Print the settings of the comparison as TOML, and do nothing else."""
    dry_run: bool = False
    """Print what would be done, and how long it would take here, without making a folder."""

    def __post_init__(self) -> None:
        check_ranges(self, seeds="[1, 100000]")
        check_workers(self.workers)


def execute(words: list[str]) -> None:
    """Raises InputError, CannotContinueError, InterruptedRunError."""
    flags = parse(CompareFlags, words, "compare", MISSING)
    if flags.runs:
        return compare_existing(flags, words)
    asked = compare_settings.checked(flags, words)
    limits = limits_of(None, flags.until)
    work.use_threads(flags.threads)
    known = known_in(flags.out)
    wanted = compare_settings.wanted(flags, asked, known)
    if flags.print_config:
        return print(wanted.as_text(), end="")
    if flags.dry_run:
        from dartboard.commands import compare_estimate

        return compare_estimate.print_estimate(wanted)
    if known is not None:
        known.check_same(wanted)
    check_there(flags.workers)
    run_comparison(known or new(flags.out, wanted), limits, flags.workers)


def compare_existing(flags: CompareFlags, words: Sequence[str]) -> None:
    """Writes the page of a comparison again, or one over several, or over run folders. Raises InputError."""
    from dartboard.studies.equal_settings import joined, of_runs

    for word in words:
        name = word.split("=")[0]
        if name.startswith("--") and name not in ("--", "--out"):
            raise InputError(f"{name} has no effect on folders, which are compared as they are; leave it out")
    folders = [Path(word) for word in dict.fromkeys(flags.runs)]
    old = [ComparisonFolder.open(folder) for folder in folders if is_comparison(folder)]
    if old and len(old) < len(folders):
        raise InputError("there are comparisons and single runs among these folders; give only the ones or the others")
    for one in old:
        one.check_settings()  # labels and pages say what is in compare.toml
    found = joined(old) if old else of_runs(folders)
    out = Path(flags.out) if flags.out is not None else common(folders)
    if not (old and folders == [out]):
        refuse_taken(out)
    make_folders(out)
    write_findings(found, out)


def refuse_taken(out: Path) -> None:
    """Raises InputError for a folder that has a page of its own: that of a run, a study, a selection, a comparison."""
    if (out / CONFIG).is_file() or is_several(out):
        raise InputError(f"{out} is the folder of a run or a study, which has a page; give another folder with --out")


def common(folders: Sequence[Path]) -> Path:
    """The folder itself if there is one, or the one that holds them all."""
    paths = [folder.absolute() for folder in folders]
    return folders[0] if len(folders) == 1 else Path(os.path.commonpath([path.parent for path in paths]))


def known_in(out: str | None) -> ComparisonFolder | None:
    """The comparison that is in --out already. Raises InputError if its settings were edited."""
    if out is None or not is_comparison(Path(out)):
        return None
    known = ComparisonFolder.open(Path(out))
    known.check_settings()
    return known


def new(out: str | None, wanted: ComparisonFolder) -> ComparisonFolder:
    """A new comparison in --out, or in the first free runs/compare-SPACE-sSEED[-N]. Raises InputError."""
    facts = compare_settings.facts(wanted)
    if out is not None:
        ComparisonFolder.create(Path(out), wanted, facts, exist_ok=True)
        return ComparisonFolder.open(Path(out))
    for folder in work.numbered(f"compare-{wanted.plan.space}", wanted.plan.seed):
        with suppress(TakenError):
            ComparisonFolder.create(folder, wanted, facts, exist_ok=False)
            return ComparisonFolder.open(folder)
    raise AssertionError("there is no end of names")


def resume(folder: Path, limits: Limits, workers: str | None = None) -> None:
    """Resumes a comparison. Raises as `execute`."""
    one = ComparisonFolder.open(folder)
    one.check_settings()
    work.use_threads(one.setup.threads)
    run_comparison(one, limits, workers)


def run_comparison(one: ComparisonFolder, limits: Limits, workers: str | None = None) -> None:
    """What is left of a comparison, then its table and page. workers: the words of --workers."""
    from dartboard.studies import compare_on_data, compare_on_table
    from dartboard.studies.comparison_values import comparison_of, notes

    plan, on = one.plan, compare_on_data if one.plan.truth is None else compare_on_table
    methods, seeds = ", ".join(plan.searched), counted(plan.seeds, "seed")
    print(f"compare {methods} on {plan.space}, {plan.budget} each, {seeds}, in {one.folder}", flush=True)
    for method, text in notes(one).items():
        print(f"note: {method}: {text}; give a larger --budget or a smaller population", file=sys.stderr, flush=True)
    if workers is not None:
        say_crowded(workers, one.threads or 1)
    compare_settings.check_latency(one)
    with reporting_stops(f"dartboard resume {quoted(one.folder)}"), locked(one.folder):
        on.work_on(one, limits, workers)
        write_findings(comparison_of(one), one.folder)


def write_findings(found: "Comparison", folder: Path) -> None:
    """Writes table and page of a comparison, and prints the table."""
    for line in summary(found):
        print(line)
    from dartboard.report import comparison_page

    print(f"report: {comparison_page.write(found, folder)}")


def summary(found: "Comparison") -> list[str]:
    """A line for each contender: label, number of seeds, mean and spread of the result, mean cost."""
    lines = [f"{found.result_is}, mean ± standard deviation over seeds:"]
    width = max(len(one.label) for one in found.contenders)
    for one in found.contenders:
        results = [each.result for each in one.repetitions if each.result is not None]
        costs = [each.cost for each in one.repetitions if each.result is not None]
        cost = f"{fmean(costs):,.0f} {found.unit}" if costs else "nothing is done"
        lines.append(f"  {one.label:{width}}  {spread_words(results)}  n = {len(results)}, {cost}")
    return lines


def spread_words(results: Sequence[float]) -> str:
    """93.12 ± 0.26 %; of one result without a spread."""
    if not results:
        return "-"
    spread = f" ± {100 * stdev(results):.2f}" if len(results) > 1 else ""
    return f"{100 * fmean(results):.2f}{spread} %"
