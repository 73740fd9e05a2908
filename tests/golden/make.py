"""Makes supernet.npz and network.npz: what the plain form computes in double, from weights that a formula gives.

Written once, from a state of the code that also matched the files of the original authors' formulation
(test_golden.py). Run it anew only where the mathematics is meant to change: python tests/golden/make.py
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any
from zlib import crc32

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dartboard.methods import darts
from dartboard.networks.darts import Network, Supernet
from dartboard.spaces import darts as space

HERE = Path(__file__).parent
SGD = {"xi": 0.025, "momentum": 0.9, "weight_decay": 3e-4, "epsilon": 0.01}
ARCHITECTURE = space.SPACE.sample(Random(0))


def drawn(name: str, *shape: int, scale: float = 1.0) -> Tensor:
    """Normal noise in double, a function of the name: numpy promises that RandomState's stream never changes."""
    return torch.from_numpy(scale * np.random.RandomState(crc32(name.encode())).standard_normal(shape))


@torch.no_grad()
def filled(module: nn.Module) -> nn.Module:
    """The module in double, every weight and running statistic drawn by its name; variances positive."""
    module.double()
    for name, tensor in module.state_dict().items():
        if name.endswith("running_var"):
            tensor.copy_(0.5 + drawn(name, *tensor.shape).abs())
        elif tensor.is_floating_point():
            tensor.copy_(drawn(name, *tensor.shape, scale=0.5 if tensor.dim() < 2 else tensor[0].numel() ** -0.5))
    return module


class Case:
    """A supernet of C=2, 3 cells, 4 classes, with alpha and two batches of 4 images of 8x8, in training mode."""

    def __init__(self, form: str = "plain") -> None:
        with torch.random.fork_rng():
            self.supernet = filled(Supernet(channels=2, cells=3, num_classes=4, form=form))
        shapes = self.supernet.choice_shapes().items()  # type: ignore[operator]
        self.alpha = {kind: drawn(kind, *shape).requires_grad_() for kind, shape in shapes}
        self.images = {split: drawn(split, 4, 3, 8, 8) for split in ("train", "val")}
        named = dict(self.supernet.named_parameters())
        self.w = list(named.values())
        self.buffers = [drawn(f"momentum {name}", *tensor.shape, scale=0.01) for name, tensor in named.items()]

    def logits(self, split: str) -> Tensor:
        return self.supernet(self.images[split], darts.mixture(self.alpha))  # type: ignore[no-any-return]

    def loss(self, split: str) -> Tensor:
        return F.cross_entropy(self.logits(split), torch.arange(4))

    def second_order(self, step: Callable[..., Any], buffers: Sequence[Tensor] = ()) -> dict[str, Tensor]:
        """The gradient in alpha by `step`, which is methods.darts.second_order_gradient or stands in for it."""
        alpha, losses = list(self.alpha.values()), (lambda: self.loss("train"), lambda: self.loss("val"))
        return dict(zip(self.alpha, step(self.w, alpha, *losses, buffers=buffers, **SGD)[0], strict=True))


def supernet_results(form: str = "plain") -> dict[str, Tensor]:
    """Logits, losses, the norm of each weight's gradient, and the three gradients in alpha."""
    case = Case(form)
    results = {"logits": case.logits("train"), **{f"loss_{split}": case.loss(split) for split in case.images}}
    results["gradient_norms"] = torch.stack([grad.norm() for grad in torch.autograd.grad(case.loss("train"), case.w)])
    first_order = darts.first_order_gradient(list(case.alpha.values()), lambda: case.loss("val"))[0]
    found = {
        "first_order": dict(zip(case.alpha, first_order, strict=True)),
        "second_order": case.second_order(darts.second_order_gradient),
        "momentum": case.second_order(darts.second_order_gradient, case.buffers),
    }
    return results | {f"{key}_{kind}": grad for key, grads in found.items() for kind, grad in grads.items()}


def network_results() -> dict[str, Tensor]:
    """A cell drawn from the space, C=2, 3 cells, 4 classes, 3 images of 20x20, with the auxiliary head."""
    with torch.random.fork_rng():
        network = filled(Network(ARCHITECTURE, channels=2, cells=3, num_classes=4, image_size=20))
    assert isinstance(network, Network)
    x = drawn("x", 3, 3, 20, 20)
    evaluated = network.eval()(x)
    logits, auxiliary = network.train().logits(x)
    assert auxiliary is not None
    return {"eval": evaluated, "train": logits, "auxiliary": auxiliary}


RESULTS = {"supernet": supernet_results, "network": network_results}

if __name__ == "__main__":
    for name, make in RESULTS.items():
        np.savez_compressed(HERE / f"{name}.npz", **{key: tensor.detach().numpy() for key, tensor in make().items()})
