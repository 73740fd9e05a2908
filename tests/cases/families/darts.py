"""The pairs of cells of DARTS."""

from dataclasses import replace

import planted
import tiny
from cases import FamilyCase

SMALL = tiny.space_of("skip_connect")
CASE = FamilyCase(
    # (5 of 2)(4 of 2)(3 of 2)(2 of 2) * 7^8 for each cell: 10^18; RobustDARTS: two operations an edge
    sizes={"darts": (180 * 7**8) ** 2, **dict.fromkeys(("s1", "s2", "s3", "s4"), (180 * 2**8) ** 2)},
    small=SMALL,
    drawn=replace(SMALL, choices=tuple(choice for choice in SMALL.choices if choice.name.startswith("normal."))),
    searched=tiny.space_of("skip_connect", "dil_conv_3x3"),
    forms=("plain", "fast"),
    vertex=planted.vertex,
)
