"""The chains of NAS-Bench-Macro."""

from cases import FamilyCase
from dartboard.spaces import nasbenchmacro

CASE = FamilyCase(
    sizes={"nasbenchmacro": 3**8},
    small=nasbenchmacro.SPACE,
    drawn=nasbenchmacro.space("two operations", "made up", ("identity", "mb6_k5")),
    searched=nasbenchmacro.SPACE,
    ordered=True,
)
