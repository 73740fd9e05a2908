"""What the contract tests need of each family of spaces and of each method: a file for each, and no list of them.

    tests/cases/families/NAME.py    CASE = FamilyCase(...), for the family NAME of spaces.families.FAMILIES
    tests/cases/methods/NAME.py     CASE = MethodCase(...), for the method NAME of methods.METHODS

The tests of test_contracts.py find the files by looking through the two folders, and fail with what to write where a
family or a method has none. The fields of a case are explained in src/dartboard/testing/cases.py.
"""

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import TypeVar

from dartboard.testing.cases import FamilyCase, MethodCase, Planted, Setting, Settings, Way

__all__ = ["FamilyCase", "MethodCase", "Planted", "Setting", "Settings", "Way", "collected", "lacking"]
Case = TypeVar("Case")


def collected(folder: str, kind: type[Case]) -> dict[str, Case]:
    """The cases of all files in a folder beside this file, by the files' names."""
    names = sorted(path.stem for path in (Path(__file__).parent / folder).glob("*.py"))
    found = {name: import_module(f"cases.{folder}.{name}").CASE for name in names}
    assert all(isinstance(case, kind) for case in found.values())
    return found


def lacking(folder: str, kind: type[object], known: Iterable[str], found: Iterable[str]) -> list[str]:
    """What to write for those that have no case, and what to delete of those that are gone; a line each."""
    what = {"families": "family", "methods": "method"}[folder]
    return [
        *(
            f"the {what} {name} has no case: write tests/cases/{folder}/{name}.py with CASE = {kind.__name__}(...); "
            "the fields are explained in src/dartboard/testing/cases.py"
            for name in known
            if name not in found
        ),
        *(f"there is no {what} {name}: delete tests/cases/{folder}/{name}.py" for name in found if name not in known),
    ]
