"""Train a published cell on your own arrays. The task here: which quarter of a noisy grey image has the bright square?

Usage: python examples/own_arrays.py
"""

from pathlib import Path

import numpy as np

from dartboard import Run, fit, formats, load_data, networks, train


def squares(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Images (count, 16, 16) uint8 and labels (count,) from 0 to 3."""
    rng, labels = np.random.default_rng(0), np.arange(count) % 4
    images = rng.integers(0, 100, (count, 16, 16), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        top, left = rng.integers(0, 5, 2) + 8 * np.array(divmod(label, 2))
        image[top : top + 4, left : left + 4] += 100
    return images, labels


def main(out: Path = Path("runs/example-arrays"), epochs: int = 5, count: int = 800) -> float:
    data = load_data(*squares(count))
    architecture, _, _ = formats.resolve("DARTS_V2")
    settings = train.Config(
        channels=4, cells=3, epochs=epochs, batch_size=32, drop_path=0.0, auxiliary=False,
        crop_padding=0, flip=False, cutout=0,  # shifting, mirroring or hiding would change the classes
    )  # fmt: skip
    network = networks.darts.Network(
        architecture, channels=4, cells=3, num_classes=data.num_classes, in_channels=data.channels, auxiliary=False
    )
    with Run.create(out, settings, seed=0, architecture=architecture) as run:
        run.check_data(data)
        score = fit(settings, network, data, run)
    print(f"test accuracy {100 * score.test_accuracy:.1f} % of {len(data.test)} images")
    return score.test_accuracy


if __name__ == "__main__":
    main()
