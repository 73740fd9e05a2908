"""Plans of elastic mobile networks, as plain data: what of a network may be chosen, and what is the same in all.

A network is a 3x3 convolution (the stem); stages of inverted residual blocks, the first with the stage's stride; a 1x1
convolution to six times the last width; global average pooling; a 1x1 convolution without BatchNorm to the width of the
head; a linear classifier. A block is a 1x1 convolution to more channels (left out at expansion 1), a depthwise
convolution, squeeze and excitation where the stage has it, and a 1x1 convolution to the stage's width.

Sources: `ofa` is the MobileNetV3 space of Once-for-All (Cai, Gan, Wang, Zhang, Han, ICLR 2020, arXiv 1908.09791;
mit-han-lab/once-for-all); `bignas` is the space of AttentiveNAS (Wang and others, CVPR 2021, arXiv 2011.09011;
facebookresearch/AttentiveNAS), the public code whose supernet is trained as BigNAS' (Yu and others, ECCV 2020, arXiv
2003.11142). Those for images of 32 and 8 pixels are this house's, made in the manner of the two.
"""

from dataclasses import dataclass, replace
from typing import Literal

Activation = Literal["relu", "h_swish", "swish"]
RELU: Activation = "relu"
H_SWISH: Activation = "h_swish"
SWISH: Activation = "swish"
DIVISOR = 8  # of all widths, in both codes
EXPAND = 6  # times the last width: channels of the convolution before pooling, in both


@dataclass(frozen=True)
class Stage:
    """What the blocks of a stage have to choose from, each from small to large; a single option is no choice.

    widths: channels that its blocks give; depths: numbers of blocks; kernels: sides of the depthwise convolution;
    expansions: channels inside a block, in times of those that it takes; stride: of its first block; squeeze: whether
    its blocks have squeeze and excitation.
    """

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    kernels: tuple[int, ...]
    expansions: tuple[int, ...]
    stride: int
    activation: Activation
    squeeze: bool = False


@dataclass(frozen=True)
class Plan:
    """resolutions: height and width in pixels to which a network brings its images; stem, head: widths.

    by_block: whether each block has a kernel and an expansion of its own, or all of a stage the same. transforms:
    whether a smaller kernel is a learned transform of the middle of the next larger one, or that middle. shortcuts:
    "equal": around blocks that change neither size nor width; "pool": around all, with an average pool of the stride
    and a 1x1 convolution where width changes. num_classes: of the images that it is for.
    """

    name: str
    source: str
    resolutions: tuple[int, ...]
    stem: tuple[int, ...]
    stem_stride: int
    activation: Activation
    stages: tuple[Stage, ...]
    head: tuple[int, ...]
    by_block: bool
    transforms: bool
    shortcuts: Literal["equal", "pool"]
    num_classes: int = 1000


def divisible(width: float) -> int:
    """The multiple of 8 nearest to a width: at least 8, and not less than nine tenths of it (both codes)."""
    near = max(DIVISOR, int(width + DIVISOR / 2) // DIVISOR * DIVISOR)
    return near + DIVISOR if near < 0.9 * width else near


def scaled(plan: Plan, factor: float) -> Plan:
    """The plan with all widths times a factor."""

    def brought(widths: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(dict.fromkeys(divisible(factor * width) for width in widths))

    stages = tuple(replace(stage, widths=brought(stage.widths)) for stage in plan.stages)
    return replace(plan, stem=brought(plan.stem), stages=stages, head=brought(plan.head))


def once_for_all(name: str, source: str, depths: tuple[int, ...] = (2, 3, 4), factor: float = 1.0) -> Plan:
    """The MobileNetV3 space of Once-for-All, all widths times a factor."""
    kernels, expansions = (3, 5, 7), (3, 4, 6)
    stages = (
        Stage((16,), (1,), (3,), (1,), 1, RELU),
        Stage((24,), depths, kernels, expansions, 2, RELU),
        Stage((40,), depths, kernels, expansions, 2, RELU, squeeze=True),
        Stage((80,), depths, kernels, expansions, 2, H_SWISH),
        Stage((112,), depths, kernels, expansions, 1, H_SWISH, squeeze=True),
        Stage((160,), depths, kernels, expansions, 2, H_SWISH, squeeze=True),
    )
    plan = Plan(
        name, source, tuple(range(128, 225, 4)), (16,), 2, H_SWISH, stages, (1280,), True, True, "equal"
    )  # fmt: skip
    return scaled(plan, factor) if factor != 1.0 else plan


OFA_SOURCE = "Cai et al., Once-for-All, ICLR 2020; mit-han-lab/once-for-all"
BIGNAS_SOURCE = "Wang et al., AttentiveNAS, CVPR 2021, after BigNAS, ECCV 2020; facebookresearch/AttentiveNAS"
HOUSE = "this house's, for small images, in the manner of"

OFA = once_for_all("ofa", OFA_SOURCE)
OFA_WIDE = once_for_all("ofa-w1.2", OFA_SOURCE, factor=1.2)
BIGNAS = Plan(
    name="bignas",
    source=BIGNAS_SOURCE,
    resolutions=(192, 224, 256, 288),
    stem=(16, 24),
    stem_stride=2,
    activation=SWISH,
    stages=(
        Stage((16, 24), (1, 2), (3, 5), (1,), 1, SWISH),
        Stage((24, 32), (3, 4, 5), (3, 5), (4, 5, 6), 2, SWISH),
        Stage((32, 40), (3, 4, 5, 6), (3, 5), (4, 5, 6), 2, SWISH, squeeze=True),
        Stage((64, 72), (3, 4, 5, 6), (3, 5), (4, 5, 6), 2, SWISH),
        Stage((112, 120, 128), (3, 4, 5, 6, 7, 8), (3, 5), (4, 5, 6), 1, SWISH, squeeze=True),
        Stage((192, 200, 208, 216), (3, 4, 5, 6, 7, 8), (3, 5), (6,), 2, SWISH, squeeze=True),
        Stage((216, 224), (1, 2), (3, 5), (6,), 1, SWISH, squeeze=True),
    ),
    head=(1792, 1984),
    by_block=False,
    transforms=False,
    shortcuts="pool",
)

# --- Small images ----------------------------------------------------------------------------------------------------

OFA_32 = Plan(
    name="ofa-32",
    source=f"{HOUSE} Once-for-All",
    resolutions=(20, 24, 28, 32),
    stem=(16,),
    stem_stride=1,
    activation=H_SWISH,
    stages=(
        Stage((16,), (1,), (3,), (1,), 1, RELU),
        Stage((24,), (1, 2, 3), (3, 5, 7), (3, 4, 6), 2, RELU),
        Stage((40,), (1, 2, 3), (3, 5, 7), (3, 4, 6), 2, H_SWISH, squeeze=True),
        Stage((80,), (1, 2, 3), (3, 5, 7), (3, 4, 6), 2, H_SWISH, squeeze=True),
    ),
    head=(256,),
    by_block=True,
    transforms=True,
    shortcuts="equal",
    num_classes=10,
)
BIGNAS_32 = Plan(
    name="bignas-32",
    source=f"{HOUSE} BigNAS",
    resolutions=(20, 24, 28, 32),
    stem=(8, 16),
    stem_stride=1,
    activation=SWISH,
    stages=(
        Stage((8, 16), (1, 2), (3, 5), (1,), 1, SWISH),
        Stage((16, 24), (1, 2, 3), (3, 5), (3, 4, 6), 2, SWISH),
        Stage((32, 40), (1, 2, 3), (3, 5), (3, 4, 6), 2, SWISH, squeeze=True),
        Stage((64, 72, 80), (1, 2, 3), (3, 5), (3, 4, 6), 2, SWISH, squeeze=True),
    ),
    head=(192, 256),
    by_block=False,
    transforms=False,
    shortcuts="pool",
    num_classes=10,
)
OFA_8 = replace(
    OFA_32,
    name="ofa-8",
    resolutions=(6, 8),
    stem=(8,),
    stages=(
        Stage((8,), (1,), (3,), (1,), 1, RELU),
        Stage((16,), (1, 2, 3), (3, 5, 7), (3, 4, 6), 1, RELU),
        Stage((24,), (1, 2, 3), (3, 5, 7), (3, 4, 6), 2, H_SWISH, squeeze=True),
        Stage((40,), (1, 2, 3), (3, 5, 7), (3, 4, 6), 2, H_SWISH, squeeze=True),
    ),
    head=(128,),
)
BIGNAS_8 = replace(
    BIGNAS_32,
    name="bignas-8",
    resolutions=(6, 8),
    stem=(8,),
    stages=(
        Stage((8,), (1, 2), (3, 5), (1,), 1, SWISH),
        Stage((8, 16), (1, 2, 3), (3, 5), (3, 4, 6), 1, SWISH),
        Stage((16, 24), (1, 2, 3), (3, 5), (3, 4, 6), 2, SWISH, squeeze=True),
        Stage((32, 40), (1, 2, 3), (3, 5), (3, 4, 6), 2, SWISH, squeeze=True),
    ),
    head=(96, 128),
)
PLANS = {plan.name: plan for plan in (OFA_8, BIGNAS_8, OFA_32, BIGNAS_32, OFA, OFA_WIDE, BIGNAS)}
