"""How a test file enrols families and methods: `contracts` makes a class of the tests of families.py and methods.py."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from dartboard.errors import unknown
from dartboard.methods import METHODS
from dartboard.spaces.families import FAMILIES
from dartboard.testing import families as family_tests
from dartboard.testing import methods as method_tests
from dartboard.testing import tiny
from dartboard.testing.cases import Enrolled, FamilyCase, MethodCase


def contracts(
    families: Mapping[str, FamilyCase] | None = None, methods: Mapping[str, MethodCase] | None = None
) -> type[Any]:
    """A class of tests for pytest, under a name that begins with Test, of what must hold of the families and methods.

    Methods are tried on the families that are given and on small spaces of dartboard's own, where they can search them.
    Raises InputError for a name that neither dartboard nor an installed package has.
    """
    families, methods = families or {}, methods or {}
    check("family", families, FAMILIES)
    check("method", methods, METHODS)
    searched = {**tiny.SEARCHED, **{name: case.searched for name, case in families.items()}}
    enrolled = Enrolled(families, methods, searched)

    def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
        names, rows = metafunc.function.each
        metafunc.parametrize(names, rows(enrolled))

    found = {**vars(family_tests), **vars(method_tests)}
    tests = {name: staticmethod(test) for name, test in found.items() if name.startswith("test_")}
    return type("TestContracts", (), {**tests, "pytest_generate_tests": staticmethod(pytest_generate_tests)})


def check(what: str, names: Iterable[str], known: Mapping[str, object]) -> None:
    """Raises InputError for a name that is not known."""
    for name in names:
        if name not in known:
            raise unknown(f"{what} (is its package installed?)", name, known)
