"""Costs with a latency by a table, which is known some hundred times sooner than what is counted."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dartboard.spaces.search_space import Architecture

if TYPE_CHECKING:
    from dartboard.scoring.cost import Cost


@dataclass(frozen=True)
class CostByTable:
    """counted: what an architecture's network costs, latency aside; predict_ms: its latency by the table."""

    counted: "Callable[[Architecture], Cost]"
    predict_ms: Callable[[Architecture], float]

    def __call__(self, architecture: Architecture) -> "Cost":
        return replace(self.counted(architecture), latency_ms=self.predict_ms(architecture))
