"""What an epoch of a training or of a search is made of: a plain value by which each says it of itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from dartboard.data.splits import Data, Split


def nothing_scored(config: Any, data: Data) -> int:
    return 0


@dataclass(frozen=True)
class EpochWork:
    """learn_on: the splits whose images all go through the steps of an epoch, in batches over all of them together;
    score_on: the split that is scored after it.

    updates: gradient steps that a step of its loop makes: one of the weights, and one of the architecture if that is
    learned by gradients, too. left_out: settings in a dry run whose time a few steps cannot show; remark: what to say
    of a time without it. after: images that are scored after the last epoch, by the settings and the data; each: those
    that are scored in every epoch, besides all of score_on.
    """

    learn_on: tuple[Literal["train", "val"], ...]
    score_on: Literal["val", "test"]
    updates: int = 1
    left_out: Mapping[str, Any] = field(default_factory=dict)
    remark: str = ""
    after: Callable[[Any, Data], int] = nothing_scored
    each: Callable[[Any, Data], int] = nothing_scored

    def num_images(self, data: Data) -> int:
        """Images that go through the steps of an epoch."""
        return sum(len(getattr(data, name)) for name in self.learn_on)

    def num_steps(self, data: Data, batch_size: int) -> int:
        """Gradient steps of an epoch."""
        return self.updates * -(-self.num_images(data) // batch_size)

    def scored(self, data: Data) -> Split:
        split: Split = getattr(data, self.score_on)
        return split

    def leaves_out(self, config: Any) -> bool:
        """Whether a dry run leaves out something that these settings ask for."""
        return any(getattr(config, name) != value for name, value in self.left_out.items())
