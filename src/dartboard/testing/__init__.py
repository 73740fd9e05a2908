"""The contracts of families and methods as tests for pytest: those of dartboard itself, and of packages that add to it
(docs/plugins.md).

    TestContracts = contracts(families={"NAME": FamilyCase(...)}, methods={"NAME": MethodCase(...)})

in a test file tries all of them. cases.py explains what a case holds, by_trials.py has what the cases of methods that
score architectures one by one share, tiny.py makes the smallest runs.
"""

from dartboard.errors import InputError

try:
    import pytest
except ImportError as error:
    raise InputError("dartboard.testing needs pytest; install it with: pip install pytest") from error

pytest.register_assert_rewrite("dartboard.testing.families", "dartboard.testing.methods")

from dartboard.testing import by_trials, tiny  # noqa: E402
from dartboard.testing.cases import FamilyCase, MethodCase, Planted, Way  # noqa: E402
from dartboard.testing.enrolment import contracts  # noqa: E402

__all__ = ["FamilyCase", "MethodCase", "Planted", "Way", "by_trials", "contracts", "tiny"]
