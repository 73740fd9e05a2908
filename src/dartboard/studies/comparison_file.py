"""comparison.json: the values of a comparison in one file, so that its page can be written again at any time.

Curves are shortened without loss: equal lists of costs are written once, and a best so far once with how often it
comes in a row.
"""

import json
import os
from collections.abc import Mapping, Sequence
from itertools import chain, groupby, repeat
from pathlib import Path
from typing import Any, get_args

from dartboard.errors import InputError
from dartboard.formats.files import ordinary_bytes
from dartboard.studies.contenders import Comparison, Contender, Repetition, Role, Unit

COMPARISON = "comparison.json"
MAX_BYTES = 500_000_000
Costs = tuple[float, ...]


def is_comparison(folder: Path) -> bool:
    """Whether a folder holds the values of a comparison."""
    try:
        return (folder / COMPARISON).is_file()
    except (OSError, ValueError):
        return False


def as_text(comparison: Comparison) -> str:
    """The contents of the file."""
    return json.dumps(to_json(comparison), ensure_ascii=False, separators=(",", ":")) + "\n"


def read(folder: Path) -> Comparison:
    """The comparison in a folder. Raises InputError if there is none or its file is damaged."""
    path = folder / COMPARISON
    if not os.path.lexists(path):
        raise InputError(f"{str(folder)!r} has no {COMPARISON}; give the folder of a comparison")
    data = ordinary_bytes(path, MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise InputError(f"{path} is larger than {MAX_BYTES} bytes; dartboard did not write it")
    try:
        return from_json(json.loads(data))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({error}); restore it or compare again") from error


def to_json(comparison: Comparison) -> dict[str, Any]:
    """The values as lists and dicts. `from_json` restores them exactly."""
    numbers: dict[Costs, int] = {}
    for contender in comparison.contenders:
        for one in contender.repetitions:
            numbers.setdefault(one.costs, len(numbers))
    plain = {name: getattr(comparison, name) for name in PLAIN}
    contenders = [
        {
            **{name: getattr(contender, name) for name in ("label", "role", "method", "settings")},
            "repetitions": [
                {
                    **{name: getattr(one, name) for name in FIELDS},
                    "costs": numbers[one.costs],
                    "best": [[value, len(list(equal))] for value, equal in groupby(one.best)],
                }
                for one in contender.repetitions
            ],
        }
        for contender in comparison.contenders
    ]
    conditions = dict(comparison.conditions)
    return {**plain, "conditions": conditions, "costs": [list(costs) for costs in numbers], "contenders": contenders}


PLAIN = ("title", "space", "unit", "budget", "scored_by", "result_is")
FIELDS = ("seed", "result", "cost", "seconds", "peak_memory_mb", "architecture", "folder")


def from_json(content: Mapping[str, Any]) -> Comparison:
    """The comparison of `to_json`. Raises ValueError, TypeError, KeyError or IndexError for anything else."""
    costs = [tuple(map(float, one)) for one in content["costs"]]
    contenders = tuple(contender(one, costs) for one in content["contenders"])
    plain = {name: content[name] for name in PLAIN}
    if plain["unit"] not in get_args(Unit):
        raise ValueError(f"unit {plain['unit']!r}")
    if len({one.label for one in contenders}) < len(contenders):
        raise ValueError("two contenders have one label")
    return Comparison(**plain, contenders=contenders, conditions=dict(content["conditions"]))


def contender(content: Mapping[str, Any], costs: Sequence[Costs]) -> Contender:
    if content["role"] not in get_args(Role):
        raise ValueError(f"role {content['role']!r}")
    found = tuple(repetition(one, costs) for one in content["repetitions"])
    return Contender(content["label"], found, content["role"], content["method"], content["settings"])


def repetition(content: Mapping[str, Any], costs: Sequence[Costs]) -> Repetition:
    number = content["costs"]
    if not 0 <= number < len(costs):
        raise ValueError(f"no costs of the number {number}")
    best = tuple(chain.from_iterable(repeat(float(value), times) for value, times in content["best"]))
    if len(best) != len(costs[number]):
        raise ValueError("a curve has not as many values as costs")
    return Repetition(**{name: content[name] for name in FIELDS}, costs=costs[number], best=best)
