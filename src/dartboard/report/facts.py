"""The contents of config.toml, environment.json, metrics.jsonl and architecture.json of a run folder, as frozen values.

Loads no torch. A killed process may leave an incomplete last line in metrics.jsonl, which is ignored. Any other line
that is not a JSON object is counted in `unreadable`, and the page says so.
"""

import json
import math
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from dartboard.errors import InputError
from dartboard.formats.files import ordinary_bytes
from dartboard.report.forms import Form, form_for
from dartboard.spaces import SPACES, darts
from dartboard.spaces.families import FAMILIES, Mixed, united
from dartboard.spaces.search_space import Architecture

Table = tuple[tuple[float, ...], ...]  # edges x operations
NUMBERS = (
    "lr", "drop_path", "tau", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "derived_val_accuracy",
    "test_loss", "test_accuracy", "elapsed_s", "epoch_s", "images_per_s", "data_s", "alpha_s", "weights_s", "forward_s",
    "backward_s", "optimizers_s", "scoring_s", "stopping_s", "save_s", "eigenvalue", "held_out_accuracy",
    "reward", "baseline", "entropy", "largest_loss", "random_loss", "smallest_loss", "expected_macs",
    "latency_ms",
)  # fmt: skip


@dataclass(frozen=True)
class Epoch:
    """One line of metrics.jsonl of the event "start" (epoch -1), "step" or "epoch".

    numbers: those of NUMBERS that the line has and that are finite; accuracies in [0, 1], times in seconds.
    weights: {kind of cell: softmax of alpha, edges x operations}, empty if the line has no alpha; alpha: the
    logits themselves. architecture: the architecture that would be derived at this moment. place: in a chain of runs,
    the run and its own epoch, "epoch 1 of swap-s0". tables: every other list of the line, as it stands there.
    """

    epoch: int
    step: int
    numbers: Mapping[str, float] = field(default_factory=dict)
    weights: Mapping[str, Table] = field(default_factory=dict)
    architecture: Architecture | None = None
    alpha: Mapping[str, Table] = field(default_factory=dict)
    place: str = ""
    tables: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def get(self, name: str) -> float | None:
        return self.numbers.get(name)


@dataclass(frozen=True)
class Swap:
    """Where a chain of runs continues with another run: before epoch `epoch`, counted through the chain."""

    epoch: int
    run: str
    data: str


@dataclass(frozen=True)
class Facts:
    """One run folder. `history` is the start (if logged) and the epochs; `result` is empty until the run is done.

    swaps: empty unless `chain.joined` made the value from several runs; gap: bytes missing in metrics.jsonl; mixed:
    what each edge of the relaxed cells mixes, empty if neither the run's space nor the run says so.
    """

    folder: Path
    command: str
    method: str | None
    config: Mapping[str, Any]
    environment: Mapping[str, Any]
    start: Epoch | None
    steps: tuple[Epoch, ...]
    epochs: tuple[Epoch, ...]
    result: Mapping[str, Any]
    final: Architecture | None
    unreadable: int
    swaps: tuple[Swap, ...] = ()
    gap: int = 0
    mixed: Mixed = field(default_factory=dict)
    trials: tuple[Mapping[str, Any], ...] = ()  # lines of the event "trial", of a search that scores one by one
    finalists: tuple[Mapping[str, Any], ...] = ()  # lines of the event "finalist": trials that were scored again
    random: tuple[Mapping[str, Any], ...] = ()  # lines of the event "random": draws beside the trials
    labels: Mapping[str, Any] = field(default_factory=dict)  # names of the rows and columns of tables, from the run

    @property
    def form(self) -> Form:
        """How the cells of the run's space are drawn on the page."""
        known = (epoch.architecture for epoch in reversed(self.history))
        return next((form_for(one) for one in (*known, self.final) if one), Form(FAMILIES["darts"]))

    @property
    def name(self) -> str:
        return self.folder.resolve().name

    @property
    def done(self) -> bool:
        return bool(self.result)

    @property
    def history(self) -> tuple[Epoch, ...]:
        return ((self.start,) if self.start else ()) + self.epochs

    @property
    def operations(self) -> tuple[str, ...]:
        """The columns of the weights: the candidate operations of the run's space."""
        return united(self.mixed) if self.mixed else darts.OPERATIONS

    @property
    def architecture(self) -> Architecture | None:
        """What the run found or trained; of an unfinished search, the cell derived at its last epoch."""
        if self.final is not None or not self.epochs:
            return self.final
        return self.epochs[-1].architecture

    @property
    def data(self) -> Mapping[str, Any]:
        """The data set's entry of environment.json: name, fingerprint, sizes of the splits, classes."""
        entry = self.environment.get("data")
        return entry if isinstance(entry, dict) else {}

    @property
    def chance(self) -> float | None:
        """The chance level: one divided by the number of classes."""
        classes = self.data.get("num_classes")
        return 1 / classes if isinstance(classes, int) and classes > 0 else None

    def number(self, name: str) -> float | None:
        """A finite number of the result line or, failing that, of the last epoch."""
        value = finite(self.result.get(name))
        if value is None and self.epochs:
            value = self.epochs[-1].get(name)
        return value


def parent_of(facts: Facts) -> Path | None:
    """The folder of the run that this one names as its parent; None if it is not found."""
    named = facts.environment.get("parent")
    if not isinstance(named, str) or not named:
        return None
    here = facts.folder.resolve()
    for candidate in (Path(named), here / named, here.parent / named, here.parent / Path(named).name):
        if (candidate / "config.toml").is_file():
            return candidate
    return None


def read_facts(folder: Path) -> Facts:
    """Read one run folder. Raises InputError if it is missing or not a run, or if a file of it cannot be read."""
    if not folder.is_dir():
        raise InputError(f"no folder {str(folder)!r}; give a run folder, such as runs/demo/search")
    if not (folder / "config.toml").is_file():
        raise InputError(
            f"{str(folder)!r} is not a run folder (it has no config.toml); give the folder of a search or a training"
        )
    config = read_config(folder / "config.toml")
    lines, unreadable = read_lines(folder / "metrics.jsonl")
    where, mixed = str(folder / "metrics.jsonl"), noted(lines) or mixed_of(str(config.get("space", "darts")))
    found = [to_epoch(line, where, mixed) for line in lines if line.get("event") == "epoch"]
    epochs = {event.epoch: event for event in found}
    starts = [to_epoch(line, where, mixed) for line in lines if line.get("event") == "start"]
    results = [line for line in lines if line.get("event") == "result"]
    return Facts(
        folder=folder,
        command=str(config.get("command", "search")),
        method=str(config["method"]) if config.get("method") else None,
        config=config,
        environment=read_environment(folder / "environment.json"),
        start=starts[-1] if starts else None,
        steps=tuple(to_epoch(line, where, {}) for line in lines if line.get("event") == "step"),
        epochs=tuple(epochs[number] for number in sorted(epochs)),
        result=results[-1] if results else {},
        final=read_architecture(folder / "architecture.json"),
        unreadable=unreadable,
        trials=tuple(line for line in lines if line.get("event") == "trial"),
        finalists=tuple(line for line in lines if line.get("event") == "finalist"),
        random=tuple(line for line in lines if line.get("event") == "random"),
        labels=labels_of(lines),
        gap=sum(int_or(line.get("bytes"), 0) for line in lines if line.get("event") == "gap"),
        mixed=mixed,
    )


def read_config(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(ordinary_bytes(path).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{str(path)!r} is not TOML ({error}); is the folder a run?") from None


def read_environment(path: Path) -> dict[str, Any]:
    if not os.path.lexists(path):
        return {}
    try:
        value = json.loads(ordinary_bytes(path))
    except (ValueError, RecursionError):
        raise InputError(f"{str(path)!r} is not JSON; is the folder a run?") from None
    return value if isinstance(value, dict) else {}


def read_architecture(path: Path) -> Architecture | None:
    from dartboard import formats

    return formats.load(path)[0] if os.path.lexists(path) else None


def read_lines(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The JSON objects of metrics.jsonl, and the number of other lines before the last."""
    if not os.path.lexists(path):
        return [], 0
    lines = ordinary_bytes(path).split(b"\n")
    objects = [to_object(line) for line in lines if line.strip()]
    torn = 1 if objects and objects[-1] is None and lines[-1].strip() else 0
    unreadable = sum(value is None for value in objects) - torn
    return [value for value in objects if value is not None], unreadable


def to_object(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def labels_of(lines: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """{table: {"rows": names, "columns": names of each row}} of the last start that has them, unchecked."""
    starts = [line for line in lines if line.get("event") == "start"]
    return next((line["labels"] for line in reversed(starts) if isinstance(line.get("labels"), dict)), {})


@cache
def mixed_of(space: str) -> Mixed:
    """What each edge of the relaxed cells of a space mixes; {} for a space that is not known."""
    known = SPACES.get(space)
    return FAMILIES[known.family].mixed(known) if known is not None else {}


def noted(lines: Sequence[Mapping[str, Any]]) -> Mixed:
    """What the edges mix, as a run over a space of its own logs it at its start; {} if missing or malformed."""
    found = next((line["mixed"] for line in lines if line.get("event") == "start" and "mixed" in line), None)
    if not isinstance(found, dict) or not any(found.keys() == family.kinds.keys() for family in FAMILIES.values()):
        return {}
    rows = [row for rows in found.values() if isinstance(rows, list) for row in rows]
    names = [name for row in rows if isinstance(row, list) for name in row]
    return found if names and all(isinstance(name, str) for name in names) else {}


def are_unlike(mixed: Mixed) -> bool:
    """Whether the edges mix different operations, so that a column has another meaning on each."""
    return len({tuple(row) for rows in mixed.values() for row in rows}) > 1


def spread_out(row: Sequence[float], own: Sequence[str], operations: Sequence[str]) -> tuple[float, ...]:
    """An edge's logits in the columns of all operations, minus infinity if the edge does not offer one."""
    known = dict(zip(own, row, strict=True))
    return tuple(known.get(name, -math.inf) for name in operations)


def in_columns(table: Table, own: Sequence[Sequence[str]], operations: Sequence[str]) -> Table:
    """The table with one column per operation; unchanged if it does not have the form of the space."""
    if [len(row) for row in table] != [len(names) for names in own]:
        return table
    return tuple(spread_out(row, names, operations) for row, names in zip(table, own, strict=True))


def to_epoch(line: Mapping[str, Any], where: str, mixed: Mixed) -> Epoch:
    numbers = {name: value for name in NUMBERS if (value := finite(line.get(name))) is not None}
    alpha = {
        kind: to_table(line[f"alpha_{kind}"], f"{where}: alpha_{kind}")
        for kind in mixed or darts.CELLS
        if line.get(f"alpha_{kind}") is not None
    }
    if are_unlike(mixed):
        alpha = {kind: in_columns(table, mixed[kind], united(mixed)) for kind, table in alpha.items()}
    known = {f"alpha_{kind}" for kind in alpha}
    tables = {name: rows for name, rows in line.items() if isinstance(rows, list) and name not in known}
    first = -1 if line.get("event") == "start" else 0
    return Epoch(
        int_or(line.get("epoch"), first),
        int_or(line.get("step"), 0),
        numbers,
        {kind: tuple(softmax(row) for row in rows) for kind, rows in alpha.items()},
        to_architecture(line.get("architecture")),
        alpha,
        tables=tables,
    )


def to_architecture(value: object) -> Architecture | None:
    from dartboard import formats

    return formats.read(value)[0] if isinstance(value, str) and value else None


def to_table(value: object, where: str) -> Table:
    """The logits as rows of numbers. Raises InputError."""
    if not isinstance(value, list) or not all(isinstance(row, list) and row for row in value):
        raise InputError(f"{where} is not a table of numbers")
    if any(isinstance(item, bool) or not isinstance(item, int | float) for row in value for item in row):
        raise InputError(f"{where} is not a table of numbers")
    return tuple(tuple(float(item) for item in row) for row in value)


def softmax(logits: Sequence[float]) -> tuple[float, ...]:
    """Shares that add up to 1, 0 for a logit of minus infinity; NaN if one is not a number or none is finite."""
    peak = max(logits)
    if any(math.isnan(logit) for logit in logits) or not math.isfinite(peak):
        return tuple(math.nan for _ in logits)
    powers = [math.exp(logit - peak) for logit in logits]
    return tuple(power / sum(powers) for power in powers)


def finite(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def int_or(value: object, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else default
