"""dartboard report: (re)writes the page over one run or several, from nothing but their files."""

import os
from dataclasses import dataclass
from pathlib import Path

from dartboard.commands.flags import parse
from dartboard.errors import InputError
from dartboard.runs.run import Run
from dartboard.runs.targets import is_standard_output
from dartboard.studies.selection import Selection, is_selection
from dartboard.studies.study import Study, is_study


@dataclass(frozen=True)
class ReportFlags:
    """Write one HTML page over a run, or over several runs side by side."""

    runs: tuple[str, ...]
    """run folders, or the folder of one study or selection"""
    out: str | None = None
    """The page's file; by default report.html in the run's folder, or in the folder that holds all runs."""
    gif: bool = False
    """Also draw the relaxed cells of the one search among the runs, epoch by epoch: a .gif next to the page."""


def execute(words: list[str]) -> None:
    """Raises InputError for a folder that is missing or no run."""
    flags = parse(ReportFlags, words, "report")
    if not flags.runs:
        raise InputError("name one run folder or several: dartboard report runs/darts-digits-s0")
    if len(flags.runs) == 1 and is_study(Path(flags.runs[0])):
        return write_study(Path(flags.runs[0]), flags)
    if len(flags.runs) == 1 and is_selection(flags.runs[0]):
        return write_selection(Path(flags.runs[0]), flags)
    runs = [Run.open(folder) for folder in flags.runs]
    searches = [run.folder for run in runs if run.command == "search"]
    if flags.gif and len(searches) != 1:
        raise InputError(f"--gif draws one search, and there are {len(searches)} among these runs; name one")
    if flags.gif and flags.out is not None and flags.out.lower().endswith(".gif"):
        raise InputError("--out names the page, such as report.html; the .gif is written next to it")
    if flags.gif and flags.out is not None and os.path.exists(flags.out) and not os.path.isfile(flags.out):
        raise InputError(f"--gif writes next to the page, and {flags.out} is not an ordinary file; give one with --out")
    from dartboard.report import write_gif, write_report

    page = write_report([run.folder for run in runs], out=flags.out)
    print_page(page)
    if flags.gif:
        beside = page.with_suffix(".gif")
        print(write_gif(searches[0], out=None if beside == searches[0] / "report.gif" else beside))


def write_study(folder: Path, flags: ReportFlags) -> None:
    """The page of a transfer study. Raises InputError."""
    if flags.gif:
        raise InputError("--gif draws one search; name one of the study's stages")
    from dartboard.report.transfer_page import write

    print_page(write(Study.open(folder), None if flags.out is None else Path(flags.out)))


def write_selection(folder: Path, flags: ReportFlags) -> None:
    """The page of searches with several seeds and of what was selected. Raises InputError."""
    if flags.gif:
        raise InputError("--gif draws one search; name one of the seeds' folders")
    from dartboard.report.selection_page import write

    print_page(write(Selection.open(folder), None if flags.out is None else Path(flags.out)))


def print_page(page: Path) -> None:
    """Prints where the page is, unless it was written to where that would be printed."""
    if not is_standard_output(page):
        print(page)
