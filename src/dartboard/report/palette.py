"""One colour per operation, the same in every picture.

Each colour has a contrast of at least 3 to white and to the dark page, so one value serves both. The seven operations
of the DARTS space differ from each other by at least 10 (OKLab distance x 100) for normal sight and for simulated
deuteranopia, protanopia and tritanopia; pools and skips are dashed as well, for print in grey. Operations of different
families, which no picture shows together, share colours.
"""

from zlib import crc32

COLOURS = {
    "none": "#878c96",
    "max_pool_3x3": "#929123",
    "avg_pool_3x3": "#a64a08",
    "skip_connect": "#da0085",
    "sep_conv_3x3": "#0898fd",
    "sep_conv_5x5": "#2d5fff",
    "dil_conv_3x3": "#007362",
    "dil_conv_5x5": "#ca65c9",
    "sep_conv_7x7": "#6c6fd8",
    "nor_conv_1x1": "#007362",
    "nor_conv_3x3": "#0898fd",
    "conv_7x1_1x7": "#7d6a52",
    "conv_3x1_1x3": "#a98467",
    "noise": "#6b7a8a",
    "identity": "#da0085",
    "mb3_k3": "#0898fd",
    "mb6_k5": "#a64a08",
    "conv_3x3": "#007362",
    "conv_5x5": "#ca65c9",
    "shuffle_3x3": "#0898fd",
    "shuffle_5x5": "#007362",
    "shuffle_7x7": "#a64a08",
    "xception": "#da0085",
}
SPARE = ("#b0703a", "#7c7fae", "#5d8a66", "#b86a7d", "#4f8a9e")  # for operations that are not listed
# Graphviz words for line styles; those not listed are solid.
STYLES = {
    "max_pool_3x3": "dashed",
    "avg_pool_3x3": "dashed",
    "skip_connect": "dotted",
    "identity": "dotted",
    "noise": "dotted",
    "none": "dotted",
}

INK, MUTED, LINE, PAPER, PANEL = "#1b1d23", "#5c6270", "#a3a8b3", "#ffffff", "#eef0f4"
DARK_INK, DARK_MUTED, DARK_LINE, DARK_PAPER, DARK_PANEL = "#eceae4", "#a2a7b3", "#6b717e", "#15171c", "#2a2e37"
REMOVED, ADDED = "#d55e00", "#0072b2"


def named(operation: str) -> str:
    """The operation without what an edge says of it besides, such as the bits that it has."""
    return operation.partition(" ")[0]


def colour(operation: str) -> str:
    operation = named(operation)
    return COLOURS.get(operation) or SPARE[crc32(operation.encode()) % len(SPARE)]


def style(operation: str) -> str:
    return STYLES.get(operation, "solid")
