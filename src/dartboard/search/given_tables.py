"""Tables that a person gives a run: of scores, and of latencies. A resumed run must have those of its start."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dartboard.errors import InputError
from dartboard.formats.files import ordinary_bytes
from dartboard.runs.atomic_files import replace_file
from dartboard.runs.json_files import as_json
from dartboard.runs.run import ENVIRONMENT, Run
from dartboard.scoring.tables import Table, read_truth, split_column
from dartboard.spaces.search_space import SearchSpace


def table_of(truth: str, space: SearchSpace) -> Table:
    """The table that the words name. Raises InputError for one of another space."""
    table = read_truth(truth, space.family)
    check_table(table, space)
    return table


def check_table(table: Table, space: SearchSpace) -> None:
    """Raises InputError for a table of another space."""
    if table.space != space:
        name = table.space.name
        raise InputError(f"the table is of the space {name}, not {space.name}; give --space {name}")


def note_table(run: Run, truth: str, table: Table) -> None:
    """Notes in environment.json which table the run uses; raises InputError if it started with another."""
    note_file(run, "truth", split_column(truth)[0], {"seen": table.seen_column, "shown": table.shown_column})


def note_latency(run: Run, latency: str | None) -> None:
    """The same of a table of latencies, if there is one."""
    if latency is not None:
        note_file(run, "latency", latency, {})


def note_file(run: Run, name: str, path: str, more: Mapping[str, Any]) -> None:
    """Notes a file of the run in environment.json under a name. Raises InputError as `note_table`."""
    environment = run.environment
    if name in environment:
        check_file_of(run.folder, environment, name, path)
    else:
        replace_file(run.folder / ENVIRONMENT, as_json({**environment, name: {**file_record(path), **more}}))


def file_record(path: str) -> dict[str, str]:
    """What environment.json has of a file."""
    return {"file": path, "sha256": hashlib.sha256(ordinary_bytes(path)).hexdigest()}


def check_file_of(folder: Path, environment: Mapping[str, Any], name: str, path: str) -> None:
    """Raises InputError for a file that is not the one noted under this name at the start of what is in the folder."""
    if environment.get(name, {}).get("sha256") != file_record(path)["sha256"]:
        raise InputError(f"the table {path} is not that of the start of {folder}; restore it, or start a new one")
