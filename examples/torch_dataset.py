"""Search on a torch Dataset of (image, label) pairs, in a space with fewer operations than the full DARTS space.

Usage: python examples/torch_dataset.py
"""

from pathlib import Path

import torch
from torch.utils.data import Dataset

from dartboard import Run, darts, formats, load_data, spaces


class Stripes(Dataset[tuple[torch.Tensor, int]]):
    """Noisy colour images (3, 12, 12) in [0, 1] with vertical (0) or horizontal (1) stripes. Yours may read files."""

    def __len__(self) -> int:
        return 320

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        label, noise = index % 2, torch.Generator().manual_seed(index)
        stripes = ((torch.arange(12) + index // 2) % 4 < 2).float().expand(3, 12, 12)
        upright = stripes if label == 0 else stripes.transpose(1, 2)
        return (upright + torch.rand(3, 12, 12, generator=noise)) / 2, label


def main(out: Path = Path("runs/example-dataset"), epochs: int = 3) -> str:
    data = load_data(Stripes(), seed=0)
    operations = ("max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3")
    space = spaces.darts.space("four operations", "this example", operations)
    config = darts.Config(channels=4, cells=3, epochs=epochs, batch_size=32, crop_padding=1, alpha_lr=0.03)
    with Run.create(out, config, seed=0) as run:
        run.check_data(data)
        found = darts.search(config, space, data, run)
    print(f"accuracy of the supernet on val: {100 * found.val_accuracy:.1f} %")
    return formats.write(found.architecture, "quark0")


if __name__ == "__main__":
    print(main())
