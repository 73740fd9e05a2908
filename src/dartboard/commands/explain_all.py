"""dartboard explain --all: the methods beside each other, and weight sharing as measured by runs that are there."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dartboard import methods, plugins
from dartboard.errors import InputError, unknown
from dartboard.methods import METHODS
from dartboard.methods.explained import record_of
from dartboard.methods.explained.record import FAMILIES, Record
from dartboard.spaces import SPACES
from dartboard.spaces.search_space import SearchSpace

if TYPE_CHECKING:
    from dartboard.studies.sharing import Group

NO_RUNS = "give the folders of searches on it: dartboard explain --all --space {space} RUN..."


def explain_all(runs: Sequence[str], space: str | None, out: str | None, csv: str | None) -> None:
    """runs: the folders of searches of the space. Raises InputError (another space, no search, unfinished ...)."""
    if runs and space is None:
        raise InputError(f"name the space of these runs: dartboard explain --all --space SPACE {' '.join(runs)}")
    if space is not None and space not in SPACES:
        raise unknown("space", space, plugins.names(plugins.FAMILIES, SPACES))
    if space is not None and not runs:
        raise InputError(NO_RUNS.format(space=space))
    refused = plugins.complete(plugins.METHODS, METHODS, methods.OURS)
    records = known_records(refused)
    groups: list[Group] = []
    if space is not None:
        from dartboard.studies import sharing

        groups = sharing.groups_of(sharing.read(runs, space))
    from dartboard.report import sharing_tables

    print("\n".join([*sharing_tables.family_lines(records), *refused]))
    if space is not None:
        print("\n".join(sharing_tables.group_lines(SPACES[space], groups)))
    write(out, csv, records, None if space is None else SPACES[space], groups)


def known_records(refused: list[str]) -> dict[str, Record]:
    """The records by method, in the order of the families; a line is added to `refused` for a method without one."""
    found: dict[str, Record] = {}
    for method in METHODS:
        try:
            found[method] = record_of(method)
        except InputError as error:
            refused.append(str(error))
    return {method: found[method] for method in sorted(found, key=lambda name: FAMILIES.index(found[name].family))}


def write(
    out: str | None, csv: str | None, records: Mapping[str, Record], space: SearchSpace | None, groups: "list[Group]"
) -> None:
    """The page and the table, where --out and --csv name files. Raises InputError."""
    from dartboard.report import page, sharing_page, sharing_tables
    from dartboard.report.sheets import as_csv
    from dartboard.runs.targets import write_target

    if csv is not None:
        sheet = sharing_tables.methods_sheet(records) if space is None else sharing_tables.runs_sheet(space, groups)
        write_target(Path(csv), as_csv(sheet))
        print(f"table: {csv}")
    if out is None:
        return print("A page with the tree of the families: the same command with --out methods.html")
    place = place_of(out, "explain-all.html")
    page.put(sharing_page.page_html(records, space, groups), place, named=True)
    print(f"page: {place}")


def place_of(out: str, name: str) -> Path:
    """The file that --out means: itself, or one of this name in a folder."""
    return Path(out) / name if Path(out).is_dir() else Path(out)
