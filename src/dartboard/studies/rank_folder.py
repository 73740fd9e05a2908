"""A ranking in a folder: rank_settings.json, which has everything that determines its numbers, and what was done of it.

Nothing here imports torch.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dartboard.errors import EditedSettingsError, InputError
from dartboard.paths import quoted
from dartboard.runs.atomic_files import replace_file
from dartboard.runs.held_settings import DIGEST, digest
from dartboard.runs.json_files import as_json, read_json
from dartboard.runs.locks import own_folder
from dartboard.runs.run import CONFIG
from dartboard.spaces.search_space import Architecture, from_json
from dartboard.studies.rank_truth import Truth

SETTINGS, RESULT, SCORES, PAGE = "rank_settings.json", "rank.json", "scores.csv", "report.html"
DIFFER = {
    "data": "other data",
    "states": "other states of the search",
    "source": "other scores to compare with",
    "rows": "other architectures",
}


@dataclass(frozen=True)
class State:
    """A state of the search that is judged.

    name: of its checkpoint, in the folder of the search; step, epoch: those that were over.
    """

    name: str
    step: int
    epoch: int


@dataclass(frozen=True)
class Row:
    """An architecture that is judged, with its truth, the second measurement if there is one, and its known costs."""

    architecture: Architecture
    truth: float
    second: float | None = None
    params: int | None = None
    macs: int | None = None

    def to_json(self) -> dict[str, Any]:
        return {**{name: getattr(self, name) for name in NUMBERS}, "architecture": self.architecture.to_json()}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Row":
        """Raises KeyError, TypeError or AttributeError for what `to_json` did not write."""
        return cls(from_json(record["architecture"]), **{name: record[name] for name in NUMBERS})


NUMBERS = ("truth", "second", "params", "macs")


@dataclass(frozen=True)
class Ranking:
    """What is compared. run: the search's folder; data: the fingerprint of its data; source: where the truth comes from
    (`source_of`); recalibrate: images for new statistics, None for none; states: the newest first."""

    run: Path
    seed: int
    recalibrate: int | None
    data: str
    source: Mapping[str, Any]
    states: tuple[State, ...]
    rows: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        """Everything but the folder of the search, which may move."""
        return {
            "seed": self.seed, "samples": len(self.rows), "recalibrate": self.recalibrate, "data": self.data,
            "source": dict(self.source), "states": [asdict(state) for state in self.states],
            "rows": [row.to_json() for row in self.rows],
        }  # fmt: skip

    @property
    def architectures(self) -> list[Architecture]:
        return [row.architecture for row in self.rows]


def source_of(truth: Truth, place: Mapping[str, str]) -> dict[str, Any]:
    """Where the truth comes from, in words, with a digest. place: the flag and the file or folder it names."""
    return {"words": truth.words, "ceiling": truth.ceiling, "drawn": truth.drawn, "sha256": truth.digest, **place}


def rows_of(truth: Truth, architectures: Sequence[Architecture]) -> tuple[Row, ...]:
    return tuple(
        Row(one, truth.values[one], truth.second.get(one), *truth.costs.get(one, (None, None))) for one in architectures
    )


def is_ranking(folder: Path) -> bool:
    """Whether a folder holds a ranking."""
    try:
        return (folder / SETTINGS).is_file() and not (folder / CONFIG).exists()
    except (OSError, ValueError):
        return False


def resume_command(folder: Path) -> str:
    return f"dartboard resume {quoted(folder)}"


def read_ranking(folder: Path) -> Ranking:
    """The ranking in a folder. Raises InputError if its settings were edited or are damaged."""
    known = read_json(folder / SETTINGS)
    check_unedited(folder, known)
    try:
        states = tuple(State(**one) for one in known["states"])
        rows = tuple(map(Row.from_json, known["rows"]))
        plain = {name: known[name] for name in ("seed", "recalibrate", "data", "source")}
        return Ranking(Path(os.path.normpath(folder / known["run"])), states=states, rows=rows, **plain)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{folder / SETTINGS} is damaged; give another folder with --out") from error


def check_unedited(folder: Path, known: Mapping[str, Any]) -> None:
    found = digest({name: value for name, value in known.items() if name not in (DIGEST, "run")})
    if known.get(DIGEST) != found:
        raise EditedSettingsError(
            f"{folder / SETTINGS} was edited since the ranking started; undo that, or give another folder with --out"
        )


@contextmanager
def settled(folder: Path, wanted: Ranking) -> Iterator[None]:
    """The ranking's folder, taken for this process, with the settings that it was started with.

    Raises InputError for a folder of something else, or of another ranking; InUseError if a process works in it.
    """
    with own_folder(folder, lambda folder: is_ranking(folder) or only_locked(folder), "ranking"):
        if is_ranking(folder):
            check_same(folder, read_ranking(folder), wanted)
        else:
            content = wanted.to_json()
            run = os.path.relpath(wanted.run, folder)
            replace_file(folder / SETTINGS, as_json({**content, "run": run, DIGEST: digest(content)}))
        yield


def only_locked(folder: Path) -> bool:
    """Whether there is nothing but what a beginning that was killed has left."""
    return all(path.name == "lock" or path.name.endswith(".part") for path in folder.iterdir())


def check_same(folder: Path, known: Ranking, wanted: Ranking) -> None:
    """Raises InputError if the folder is that of another ranking."""
    before, now = known.to_json(), wanted.to_json()
    for name, value in now.items():
        if before[name] != value:
            what = DIFFER.get(name, f"--{name} {before[name]}")
            raise InputError(f"{folder} was started with {what}; repeat that, or give another folder with --out")
