"""The toy chains."""

from cases import FamilyCase
from dartboard.spaces import toy

CASE = FamilyCase(sizes={"toy": 3**2 + 3**3}, small=toy.SPACE, drawn=toy.SPACE, searched=toy.SPACE, ordered=True)
