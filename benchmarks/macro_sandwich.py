"""Weights trained by the sandwich rule on NAS-Bench-Macro, as judges of its chains, beside those of SPOS.

BigNAS trains the largest chain, two at random and the smallest in every step, the latter three from the answers of the
first. Here a chain is a path of its own, not a slice of the largest; what is the same is who learns from whom. The
result is a run as `dartboard search bignas` makes one, for `dartboard rank OUT --truth FILE`.

Usage: python benchmarks/macro_sandwich.py OUT --data-dir DIR [--epochs 20] [--channels 16] [--max-images 6000]
           [--seed 0] [--budget 2h]
OUT that holds a stopped run is resumed.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from dartboard.commands import work
from dartboard.config import Setup
from dartboard.methods import bignas
from dartboard.networks import nasbenchmacro
from dartboard.runs.limits import catching_signals, limits_of
from dartboard.runs.run import Run
from dartboard.spaces import SPACES
from dartboard.training import loop

SPACE = SPACES["nasbenchmacro"]


class Supernet(nasbenchmacro.Supernet):
    """The benchmark's supernet, which says where zero gamma begins."""

    def residual_ends(self) -> list[nn.BatchNorm2d]:
        """The last BatchNorm of every block that a shortcut goes around."""
        blocks = [one for one in self.modules() if isinstance(one, nasbenchmacro.Block) and one.has_shortcut]
        return [block[-1] for block in blocks]  # type: ignore[misc]


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data-dir", required=True, help="the folder that holds cifar-10-batches-bin")
    parser.add_argument("--budget", help="as in dartboard search")
    for name, default in (("epochs", 20), ("channels", 16), ("max-images", 6000), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args(words)
    setup = Setup(
        data="cifar10", data_dir=options.data_dir, max_images=options.max_images, seed=options.seed, threads=1
    )  # fmt: skip
    work.use_threads(setup.threads)
    data = work.load(setup)
    # Its constant ending is reached after four fifths of the epochs. No dropout: the chain has no place for it.
    schedule = {"epochs": options.epochs, "lr_decay_epochs": 0.8 * options.epochs / 98}
    few = {"coarse": 3, "fine": 10, "rounds": 1, "recalibrate": 500, "val_images": 1000}
    config = bignas.Config(channels=options.channels, cells=8, dropout=0.0, **schedule, **few)  # type: ignore[arg-type]
    known = (options.out / "config.toml").is_file()
    opened = Run.open(options.out, write=True) if known else None
    with opened or Run.create(options.out, config, setup=setup, method="bignas", space=SPACE.name) as run:
        run.limits = limits_of(options.budget, None)
        sizes = {"channels": options.channels, "num_classes": data.num_classes, "in_channels": data.channels}
        supernet = loop.seeded(run, "weights", lambda: Supernet(**sizes))
        with catching_signals(run.limits):
            result = bignas.search(config, SPACE, data, run, supernet=supernet)
    print(result.architecture)


if __name__ == "__main__":
    main()
