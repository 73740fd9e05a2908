"""dartboard report: (re)writes the page over one run or several, from nothing but their files."""

from dataclasses import dataclass

from dartboard.commands.flags import parse
from dartboard.errors import InputError
from dartboard.run import Run


@dataclass(frozen=True)
class ReportFlags:
    """Write one HTML page over a run, or over several runs side by side."""

    runs: tuple[str, ...]
    """run folders"""
    out: str | None = None
    """The page's file; report.html in the run's folder, or in the folder that holds all runs, where not given."""
    gif: bool = False
    """Also draw the relaxed cells of the one search among the runs, epoch by epoch: a .gif beside the page."""


def execute(words: list[str]) -> None:
    """Raises InputError for a folder that is missing or no run."""
    flags = parse(ReportFlags, words, "report")
    if not flags.runs:
        raise InputError("name one run folder or several: dartboard report runs/darts-digits-s0")
    runs = [Run.open(folder) for folder in flags.runs]
    searches = [run.folder for run in runs if run.command == "search"]
    if flags.gif and len(searches) != 1:
        raise InputError(f"--gif draws one search, and there are {len(searches)} among these runs; name one")
    if flags.gif and flags.out is not None and flags.out.lower().endswith(".gif"):
        raise InputError("--out names the page, such as report.html; the .gif lies beside it")
    from dartboard.report import write_gif, write_report

    page = write_report([run.folder for run in runs], out=flags.out)
    print(page)
    if flags.gif:
        print(write_gif(searches[0], out=page.with_suffix(".gif")))
