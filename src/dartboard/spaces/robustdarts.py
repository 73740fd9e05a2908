"""The spaces S1 to S4 in which DARTS is known to collapse (Zela et al., Understanding and Robustifying Differentiable
Architecture Search, ICLR 2020, arXiv 1909.09656; automl/RobustDARTS).

Cells of the DARTS space with fewer operations: S1 two an edge, chosen by its authors from what a search in the DARTS
space left; S2 a skip connection or a separable convolution; S3 the same with `none` mixed in; S4 noise in place of the
skip connection. Only S3 mixes `none` in, which as everywhere is never derived.
"""

from dartboard.spaces.darts import space

SOURCE = "Zela et al., Understanding and Robustifying DARTS, ICLR 2020; automl/RobustDARTS"
SKIP, MAX, AVG = "skip_connect", "max_pool_3x3", "avg_pool_3x3"
SEP3, DIL3, DIL5 = "sep_conv_3x3", "dil_conv_3x3", "dil_conv_5x5"

# The two operations of every edge, by target, then source: one line per node.
S1_EDGES = {
    "normal": (
        (SKIP, DIL3), (SKIP, DIL5),
        (SKIP, DIL5), (SKIP, SEP3), (SKIP, DIL3),
        (MAX, SKIP), (SKIP, SEP3), (SKIP, SEP3), (SKIP, DIL3),
        (SKIP, SEP3), (MAX, SKIP), (SKIP, DIL3), (DIL3, DIL5), (DIL3, DIL5),
    ),
    "reduce": (
        (MAX, AVG), (MAX, DIL3),
        (MAX, AVG), (MAX, AVG), (SKIP, DIL5),
        (MAX, AVG), (MAX, SEP3), (SKIP, DIL3), (SKIP, DIL5),
        (MAX, AVG), (MAX, AVG), (SKIP, DIL5), (SKIP, DIL5), (SKIP, DIL5),
    ),
}  # fmt: skip

S1 = space("s1", SOURCE, S1_EDGES, only_mixed=())
S2 = space("s2", SOURCE, (SKIP, SEP3), only_mixed=())
S3 = space("s3", SOURCE, (SKIP, SEP3))
S4 = space("s4", SOURCE, (SEP3, "noise"), only_mixed=())
