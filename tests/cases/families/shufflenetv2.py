"""The chains of SPOS."""

from cases import FamilyCase
from dartboard.spaces import shufflenetv2 as own

SMALL = own.space("two operations", "made up", 6, ("shuffle_3x3", "xception"))
CASE = FamilyCase(
    # four operations a block, with eight factors or six pairs of bits; 20, 12 or 6 blocks
    sizes={
        f"shufflenetv2{size}{more}": (4 * options) ** blocks
        for size, blocks in (("", 20), ("-32", 12), ("-8", 6))
        for more, options in (("", 1), ("-channels", 8), ("-bits", 6))
    },
    small=own.SPACES[6],
    drawn=SMALL,
    searched=own.space("two of everything", "made up", 6, ("shuffle_3x3", "xception"), (0.4, 1.6), ((2, 4), (1, 2))),
    image_size=32,
)
