"""The pairs of cells of NASNet."""

from dataclasses import replace
from math import prod

from cases import FamilyCase
from dartboard.spaces import nasnet

SMALL = nasnet.space("one block", "made up", 1, ("sep_conv_3x3", "identity"))
CASE = FamilyCase(
    # a block whose state is number n has n states to take on each of two sides, 13 operations there, and two combiners
    sizes={"nasnet": prod(2 * (13 * node) ** 2 for node in range(2, 7)) ** 2},
    small=SMALL,
    drawn=replace(SMALL, choices=tuple(choice for choice in SMALL.choices if choice.name.startswith("normal."))),
    searched=nasnet.space("two blocks", "made up", 2),
)
