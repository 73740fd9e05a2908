"""What every family of spaces and every method must keep; those in the plain tables enrol themselves.

What one needs to be tried lies in its own file in tests/cases; nothing here is to be edited for another one. The tests
lie in dartboard.testing, where people's packages find them as well.
"""

from cases import FamilyCase, MethodCase, collected, lacking
from dartboard.methods import METHODS
from dartboard.spaces.families import FAMILIES
from dartboard.testing import contracts
from dartboard.testing.cases import ELSEWHERE

FAMILY_CASES = collected("families", FamilyCase)
METHOD_CASES = collected("methods", MethodCase)
TestContracts = contracts(
    families={name: FAMILY_CASES[name] for name in FAMILIES if name in FAMILY_CASES},
    methods={name: METHOD_CASES[name] for name in METHODS if name in METHOD_CASES},
)


def test_every_family_and_every_method_has_a_case() -> None:
    found = lacking("families", FamilyCase, FAMILIES, FAMILY_CASES)
    found += lacking("methods", MethodCase, METHODS, METHOD_CASES)
    assert not found, "\n".join(found)


def test_what_has_no_case_is_said_with_the_file_to_write() -> None:
    found = lacking("methods", MethodCase, ["darts", "spos"], ["darts", "enas"])
    assert found == [
        "the method spos has no case: write tests/cases/methods/spos.py with CASE = MethodCase(...); "
        "the fields are explained in src/dartboard/testing/cases.py",
        "there is no method enas: delete tests/cases/methods/enas.py",
    ]


def test_only_random_searches_are_not_compared_with_random_draws() -> None:
    cases = {name: METHOD_CASES[name] for name in METHODS}
    random = {"random_search", "random_search_ws"}
    assert {name for name, case in cases.items() if any(toy.draws == 0 for toy in case.planted)} <= random


def test_settings_that_are_tested_elsewhere_have_a_test_of_ours_or_one_with_random_search() -> None:
    tried = METHOD_CASES["random_search"].changes.keys()
    for case in METHOD_CASES.values():
        assert {field for field, place in case.elsewhere.items() if place == ELSEWHERE} <= tried
