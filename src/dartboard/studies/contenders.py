"""The plain values of a comparison of methods: what was run of each, at which cost, with which result.

A comparison is on a table of accuracies (scored by looking up) or on data (scored by trainings). Whatever page, table
or test there is about one is made of these values.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Unit = Literal["trials", "steps", "seconds"]
Role = Literal["method", "random at equal cost", "most multiply-adds"]


@dataclass(frozen=True)
class Repetition:
    """One seed of one contender.

    costs, best: the curve of the best so far: after `costs[i]`, in the comparison's unit, the result would be
    `best[i]`, an accuracy in [0, 1]; of equal lengths, costs ascending; empty for one that has no curve. result: the
    accuracy in [0, 1] that counts: shown by a table's second column, or of the found architecture's training on the
    test images; None if it failed or is unfinished. cost: in the unit; seconds: of everything, scoring and
    recalibration too; peak_memory_mb: None if it was not measured; architecture: in its family's notation.
    """

    seed: int
    result: float | None
    cost: float
    seconds: float | None = None
    costs: tuple[float, ...] = ()
    best: tuple[float, ...] = ()
    peak_memory_mb: float | None = None
    architecture: str = ""
    folder: str = ""


@dataclass(frozen=True)
class Contender:
    """One group of equal settings: a method with its settings, or a baseline. label: unlike every other's.

    settings: in what it differs from others of the same method, in words; empty if it is the only one.
    """

    label: str
    repetitions: tuple[Repetition, ...]
    role: Role = "method"
    method: str = ""
    settings: str = ""


@dataclass(frozen=True)
class Comparison:
    """Contenders on one space at one budget.

    budget: in the unit; scored_by: in words, such as "table accuracies.csv, test_seed0 seen"; result_is: what
    `Repetition.result` is, in words; conditions: what else a reader must know, by name.
    """

    title: str
    space: str
    unit: Unit
    budget: float
    scored_by: str
    result_is: str
    contenders: tuple[Contender, ...]
    conditions: Mapping[str, str] = field(default_factory=dict)
