"""Spaces of ENAS in any size, as values: what its controllers decide on."""

from collections.abc import Sequence
from itertools import product

from dartboard.spaces.search_space import Choice, SearchSpace

MICRO_OPERATIONS = ("sep_conv_3x3", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3", "identity")
MACRO_OPERATIONS = ("conv_3x3", "sep_conv_3x3", "conv_5x5", "sep_conv_5x5", "avg_pool", "max_pool")


def micro(blocks: int = 4, operations: Sequence[str] = MICRO_OPERATIONS) -> SearchSpace:
    choices = []
    for kind, node in product(("normal", "reduce"), range(2, blocks + 2)):
        choices += [Choice(f"{kind}.{node}.input{place}", tuple(range(node))) for place in (1, 2)]
        choices += [Choice(f"{kind}.{node}.operation{place}", tuple(operations)) for place in (1, 2)]
    return SearchSpace("micro", "made up", tuple(choices), family="enas_micro", kinds=frozenset({"path"}))


def macro(layers: int = 6, operations: Sequence[str] = MACRO_OPERATIONS) -> SearchSpace:
    choices = []
    for layer in range(1, layers + 1):
        choices.append(Choice(f"layer.{layer}.operation", tuple(operations)))
        choices += [Choice(f"layer.{layer}.skip.{before}", (0, 1)) for before in range(1, layer)]
    return SearchSpace("macro", "made up", tuple(choices), family="enas_macro", kinds=frozenset({"path"}))
