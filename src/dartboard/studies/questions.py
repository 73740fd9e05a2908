"""The settings of `dartboard why`: how thorough the study is. Needs no torch."""

from dataclasses import dataclass

from dartboard.config import check_ranges, check_types
from dartboard.errors import InputError


@dataclass(frozen=True)
class Config:
    """Settings of the study of one search. By default sizes are those of the search."""

    images: int | None = None
    """Score by shared weights on this number of val images (drawn once); by default all."""
    batches: int = 20
    """Training batches on which BatchNorm is recalibrated."""
    samples: int = 24
    """Random cells that are scored by shared weights."""
    random: int = 4
    """Random cells that are trained: the first of those that are scored."""
    top: int = 3
    """Changes of the found cell that are trained: the most harmful change of each of this number of inputs."""
    seeds: int = 2
    """Trainings of every cell, with the seed of the run and the next ones."""
    epochs: int = 10
    """Epochs of a training."""
    channels: int | None = None
    """Channels of the trained networks' first cell."""
    cells: int | None = None
    """Cells of the trained networks."""
    batch_size: int | None = None
    """Images per batch of a training."""
    few_steps: int = 10
    """Steps after which a training is first evaluated."""
    beside: tuple[str, ...] = ()
    """Other cells to score and train with the found one: run folders, files, names of published ones."""

    def __post_init__(self) -> None:
        check_types(self)
        check_ranges(self, images="[2, inf)", batches="[1, 1e6]", samples="[0, 1e5]", random="[0, 1000]")
        check_ranges(self, top="[0, 1000]", seeds="[1, 100]", epochs="[1, 1e5]", channels="[1, 4096]")
        check_ranges(self, cells="[3, 1000]", batch_size="[1, inf)", few_steps="[1, inf)")
        if self.random > self.samples:
            raise InputError(f"--random {self.random} is more than --samples {self.samples}; give at most that number")
