"""dartboard report: (re)writes the page over one run or several, from nothing but their files."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from dartboard.commands import why
from dartboard.commands.flags import parse
from dartboard.errors import InputError
from dartboard.paths import quoted
from dartboard.runs.run import Run
from dartboard.runs.targets import is_standard_output, write_target
from dartboard.studies import comparison_file, comparison_folder
from dartboard.studies.comparison_file import is_comparison
from dartboard.studies.folders import is_why
from dartboard.studies.rank_folder import is_ranking
from dartboard.studies.selection import Selection, is_selection
from dartboard.studies.study import Study, is_study

if TYPE_CHECKING:
    from dartboard.report.sheets import Sheet


@dataclass(frozen=True)
class ReportFlags:
    """Write one HTML page over a run, or over several runs side by side."""

    runs: tuple[str, ...]
    """run folders, or the folder of one study (`transfer`, `why`), selection, comparison or ranking"""
    out: str | None = None
    """The page's file; by default report.html in the run's folder, or in the folder that holds all runs."""
    csv: str | None = None
    """Also write the page's main table as CSV to this file: epochs, trials, groups of runs, judges, changes ..."""
    latex: str | None = None
    """Also write the same table as a LaTeX tabular to this file."""
    gif: bool = False
    """Also draw the relaxed cells of the one search among the runs, epoch by epoch: a .gif next to the page."""


def execute(words: list[str]) -> None:
    """Raises InputError for a folder that is missing or no run."""
    flags = parse(ReportFlags, words, "report")
    if not flags.runs:
        raise InputError("name one run folder or several: dartboard report runs/darts-digits-s0")
    refuse_one_file_twice(flags)
    if len(flags.runs) == 1 and is_comparison(Path(flags.runs[0])):
        return write_comparison(Path(flags.runs[0]), flags)
    if len(flags.runs) == 1 and is_study(Path(flags.runs[0])):
        return write_study(Path(flags.runs[0]), flags)
    if len(flags.runs) == 1 and is_why(Path(flags.runs[0])):
        return write_why(Path(flags.runs[0]), flags)
    if len(flags.runs) == 1 and is_selection(flags.runs[0]):
        return write_selection(Path(flags.runs[0]), flags)
    if len(flags.runs) == 1 and is_ranking(Path(flags.runs[0])):
        return write_ranking(Path(flags.runs[0]), flags)
    for folder in flags.runs:
        if comparison_folder.is_comparison(Path(folder)) and not is_comparison(Path(folder)):
            raise InputError(f"the comparison in {folder} has no page; write it: dartboard compare {quoted(folder)}")
    if all(is_comparison(Path(folder)) for folder in flags.runs):
        raise InputError(f"put comparisons together with: dartboard compare {' '.join(map(quoted, flags.runs))}")
    runs = [Run.open(folder) for folder in flags.runs]
    searches = [run.folder for run in runs if run.command == "search"]
    if flags.gif and len(searches) != 1:
        raise InputError(f"--gif draws one search, and there are {len(searches)} among these runs; name one")
    if flags.gif and flags.out is not None and flags.out.lower().endswith(".gif"):
        raise InputError("--out names the page, such as report.html; the .gif is written next to it")
    if flags.gif and flags.out is not None and os.path.exists(flags.out) and not os.path.isfile(flags.out):
        raise InputError(f"--gif writes next to the page, and {flags.out} is not an ordinary file; give one with --out")
    from dartboard.report import write_gif, write_report
    from dartboard.report.facts import read_facts
    from dartboard.report.main_tables import sheet_of_runs

    folders = list(dict.fromkeys(run.folder for run in runs))
    page = write_report(folders, out=flags.out)
    print_places([page, *write_tables(flags, lambda: sheet_of_runs([read_facts(folder) for folder in folders]))])
    if flags.gif:
        beside = page.with_suffix(".gif")
        print(write_gif(searches[0], out=None if beside == searches[0] / "report.gif" else beside))


def write_study(folder: Path, flags: ReportFlags) -> None:
    """The page of a transfer study. Raises InputError."""
    if flags.gif:
        raise InputError("--gif draws one search; name one of the study's stages")
    from dartboard.report.main_tables import sheet_of_study
    from dartboard.report.transfer_page import write

    study = Study.open(folder)
    page = write(study, None if flags.out is None else Path(flags.out))
    print_places([page, *write_tables(flags, lambda: sheet_of_study(study))])


def write_selection(folder: Path, flags: ReportFlags) -> None:
    """The page of searches with several seeds and of what was selected. Raises InputError."""
    if flags.gif:
        raise InputError("--gif draws one search; name one of the seeds' folders")
    from dartboard.report.selection_page import sheet_of, write

    selection = Selection.open(folder)
    page = write(selection, None if flags.out is None else Path(flags.out))
    print_places([page, *write_tables(flags, lambda: sheet_of(selection))])


def write_why(folder: Path, flags: ReportFlags) -> None:
    """The page of a study by `dartboard why`. Raises InputError."""
    if flags.gif:
        raise InputError("--gif draws one search; name the search's folder")
    from dartboard.report.why_page import sheet_of, write

    found, search = why.finished(folder)
    page = write(found, search, Path(flags.out) if flags.out is not None else folder / why.PAGE)
    print_places([page, *write_tables(flags, lambda: sheet_of(found))])


def write_comparison(folder: Path, flags: ReportFlags) -> None:
    """The page of a comparison of methods, with its tables. Raises InputError."""
    if flags.gif:
        raise InputError("--gif draws one search, and this is the folder of a comparison")
    from dartboard.report import comparison_page
    from dartboard.report.comparison_tables import standings_sheet
    from dartboard.studies.standings import standings_of

    comparison = comparison_file.read(folder)
    page = Path(flags.out) if flags.out is not None else comparison_page.write(comparison, folder)
    if flags.out is not None:
        comparison_page.write_page(comparison, page)
    print_places([page, *write_tables(flags, lambda: standings_sheet(standings_of(comparison)))])


def write_ranking(folder: Path, flags: ReportFlags) -> None:
    """The page of how well shared weights rank. Raises InputError."""
    if flags.gif:
        raise InputError("--gif draws one search, and this is the folder of a ranking; name its search")
    from dartboard.report.rank_page import sheet_of, write
    from dartboard.studies.rank_results import read_results

    page = write(folder, None if flags.out is None else Path(flags.out))
    print_places([page, *write_tables(flags, lambda: sheet_of(read_results(folder)))])


def refuse_one_file_twice(flags: ReportFlags) -> None:
    """Raises InputError if two of the files that are written are one."""
    named = {"--out": flags.out, "--csv": flags.csv, "--latex": flags.latex}
    for (one, first), (other, second) in combinations(named.items(), 2):
        if first is not None and second is not None and os.path.realpath(first) == os.path.realpath(second):
            raise InputError(f"{one} and {other} name one file, {first}; give two")


def write_tables(flags: ReportFlags, sheet: Callable[[], "Sheet"]) -> list[Path]:
    """Writes the table in the forms that are asked for; returns their files. Raises as `write_target`."""
    if flags.csv is None and flags.latex is None:
        return []
    from dartboard.report.sheets import as_csv, as_latex

    table, written = sheet(), []
    for name, form in ((flags.csv, as_csv), (flags.latex, as_latex)):
        if name is not None:
            write_target(name, form(table))
            written.append(Path(name))
    return written


def print_places(files: Sequence[Path]) -> None:
    """Prints where the files are, unless one was written to where that would be printed."""
    if not any(map(is_standard_output, files)):
        print(*files, sep="\n")
