"""The chains of ENAS macro."""

from cases import FamilyCase
from dartboard.spaces import enas_macro

CASE = FamilyCase(
    # six operations a layer, and each pair of layers with or without a skip connection
    sizes={"enas_macro": 6**12 * 2**66, "enas_macro-24": 6**24 * 2**276},
    small=enas_macro.space("three layers", "made up", 3, ("conv_3x3", "avg_pool")),
    drawn=enas_macro.space("three layers", "made up", 3, ("conv_3x3", "avg_pool")),
    searched=enas_macro.space("four layers", "made up", 4),
)
