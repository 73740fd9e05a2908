"""The pairs of cells of ENAS micro."""

from dataclasses import replace
from math import prod

from cases import FamilyCase
from dartboard.spaces import enas_micro

SMALL = enas_micro.space("one block", "made up", 1, ("sep_conv_3x3", "identity"))
CASE = FamilyCase(
    # a block whose node is number n has n nodes to read on each of two sides, with one of five operations each
    sizes={"enas_micro": prod((5 * node) ** 2 for node in range(2, 7)) ** 2},
    small=SMALL,
    drawn=replace(SMALL, choices=tuple(choice for choice in SMALL.choices if choice.name.startswith("normal."))),
    searched=enas_micro.space("two blocks", "made up", 2),
)
