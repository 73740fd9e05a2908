"""Search a cell on the digits that ship with dartboard, train it from scratch, and write one page over both runs.

Usage: python examples/digits.py
"""

from pathlib import Path

from dartboard import Run, darts, fit, formats, load_data, networks, spaces, train, write_report


def main(out: Path = Path("runs/example-digits"), epochs: int = 20, max_images: int | None = None) -> Path:
    data = load_data("digits", seed=0, max_images=max_images)
    config = darts.Config(channels=4, cells=4, epochs=epochs, crop_padding=1, flip=False, alpha_lr=0.03)
    with Run.create(out / "search", config, seed=0) as run:
        run.check_data(data)
        found = darts.search(config, spaces.darts.SPACE, data, run)
    print(formats.write(found.architecture, "quark0"))

    settings = train.Config(channels=8, cells=5, epochs=epochs, crop_padding=1, flip=False, cutout=2, auxiliary=False)
    network = networks.darts.Network(found.architecture, channels=8, cells=5, auxiliary=False)
    with Run.create(out / "train", settings, seed=0, parent=run, architecture=found.architecture) as again:
        again.check_data(data)
        score = fit(settings, network, data, again)
    print(f"test accuracy {100 * score.test_accuracy:.1f} %")
    return write_report([run, again])


if __name__ == "__main__":
    print(main())
