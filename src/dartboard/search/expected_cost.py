"""The expected multiply-adds of what alpha would give, as a term of alpha's loss.

E[macs](alpha) = rest + sum_e sum_o p_e(o) c_e(o),   p_e = softmax over the operations of edge e that can be derived
L_alpha = L + W E[macs] / largest,                   largest = rest + sum_e max_o c_e(o)

c_e(o): multiply-adds of operation o at the place of edge e, in all cells together; rest: of all else. This is the
expected latency of ProxylessNAS (Cai, Zhu, Han, ICLR 2019, section 3.3) and FBNet (Wu and others, CVPR 2019), each
with its table, added to the loss with a weight; here it is relative, so that W has no unit.

Where every edge stays and has an operation of its own, as in NAS-Bench-201, E is exactly the expected cost of an
architecture that is drawn edge by edge from softmax(alpha). In DARTS cells it is that of the cell with all edges,
of which derivation keeps two a node; `none`, which is never derived, has no part in it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dartboard.scoring.edge_costs import EdgeCosts
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import SearchSpace


@dataclass(frozen=True)
class ExpectedCost:
    """weight: W; rest, largest: multiply-adds; relative: c_e(o) / largest, and possible: whether o can be derived on e,
    by kind of cell, both (E, O)."""

    weight: float
    rest: float
    largest: float
    relative: Mapping[str, Tensor]
    possible: Mapping[str, Tensor]

    def macs(self, alpha: Mapping[str, Tensor]) -> float:
        """E[macs], in multiply-adds of an image."""
        with torch.no_grad():
            return self.rest + self.largest * float(self.of_edges(alpha))

    def of_edges(self, alpha: Mapping[str, Tensor]) -> Tensor:
        """(E[macs] - rest) / largest: what of the term depends on alpha. Shape ()."""
        terms = [
            logits.masked_fill(~self.possible[kind], -torch.inf).softmax(dim=-1) * self.relative[kind]
            for kind, logits in alpha.items()
        ]
        return torch.stack([term.sum() for term in terms]).sum()

    def added(self, gradients: Sequence[Tensor], alpha: Mapping[str, Tensor]) -> list[Tensor]:
        """The gradients in alpha of L + W E / largest, from those of L.

        E depends on alpha alone and not on the weights: so also where L is L_val(w - xi grad_w L_train(w, alpha),
        alpha), and no second derivative has a part of it (Eqs. 7 and 8 of DARTS).
        """
        with torch.enable_grad():
            own = torch.autograd.grad(self.of_edges(alpha), list(alpha.values()))
        return [gradient + self.weight * more for gradient, more in zip(gradients, own, strict=True)]


def expected_cost(space: SearchSpace, edges: EdgeCosts, weight: float, like: Tensor) -> ExpectedCost:
    """Of a space whose costs are sums over edges. like: alpha's device and number format."""
    added, possible = {}, {}
    for kind, rows in FAMILIES[space.family].mixed(space).items():
        names = list(enumerate(rows))
        added[kind] = torch.tensor(
            [[float(edges.of("macs", [(kind, row, o)] if can(space, o) else [])) for o in own] for row, own in names],
            dtype=torch.float64,
        )
        possible[kind] = torch.tensor([[can(space, o) for o in own] for own in rows], device=like.device)
    largest = edges.rest["macs"] + sum(float(table.max(dim=-1).values.sum()) for table in added.values())
    relative = {kind: (table / largest).to(like) for kind, table in added.items()}
    return ExpectedCost(weight, edges.rest["macs"], largest, relative, possible)


def can(space: SearchSpace, operation: str) -> bool:
    """Whether an architecture can have the operation."""
    return operation not in space.only_mixed
