"""The search spaces, one file a family; a plain table, which packages add to (docs/plugins.md)."""

from dartboard.plugins import Table
from dartboard.spaces import (
    darts,
    enas_macro,
    enas_micro,
    mobilenet,
    nas_rl,
    nasbench201,
    nasbenchmacro,
    nasnet,
    robustdarts,
    shufflenetv2,
)
from dartboard.spaces.families import spaces_of_package
from dartboard.spaces.search_space import SearchSpace

OURS: dict[str, SearchSpace] = {
    "darts": darts.SPACE,
    **{one.name: one for one in (robustdarts.S1, robustdarts.S2, robustdarts.S3, robustdarts.S4)},
    "nasbench201": nasbench201.SPACE,
    "nasbenchmacro": nasbenchmacro.SPACE,
    "enas_micro": enas_micro.SPACE,
    "enas_macro": enas_macro.SPACE,
    "enas_macro-24": enas_macro.SPACE_24,
    "nasnet": nasnet.SPACE,
    **{one.name: one for one in (nas_rl.SPACE, nas_rl.SPACE_STRIDES, nas_rl.SPACE_12)},
    **mobilenet.SPACES,
    **{one.name: one for one in shufflenetv2.SPACES},
}

SPACES: dict[str, SearchSpace] = Table(OURS, spaces_of_package)
