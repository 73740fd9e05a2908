"""The cells of NAS-Bench-201."""

import planted
from cases import FamilyCase
from dartboard.spaces import nasbench201

CASE = FamilyCase(
    sizes={"nasbench201": 5**6},
    small=nasbench201.SPACE,
    drawn=nasbench201.space("two operations", "made up", ("none", "nor_conv_3x3")),
    searched=nasbench201.SPACE,
    forms=("plain", "fast"),
    vertex=planted.nasbench201_vertex,
)
