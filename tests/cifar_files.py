"""Makes small files in the official CIFAR layouts for tests."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np


def records(num: int, num_classes: int, seed: int) -> tuple[Any, Any]:
    """Pixels (num, 3072) uint8 and labels (num,) that go round the classes."""
    rng = np.random.RandomState(seed)
    return rng.randint(0, 256, (num, 3072)).astype(np.uint8), (np.arange(num) % num_classes).astype(np.uint8)


def write_cifar10(folder: Path, num: int = 40) -> Path:
    """Five training files and a test file of `num` records each, binary layout, in folder/cifar-10-batches-bin."""
    target = folder / "cifar-10-batches-bin"
    target.mkdir(parents=True)
    for seed, name in enumerate([*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]):
        pixels, labels = records(num, 10, seed)
        (target / name).write_bytes(np.concatenate([labels[:, None], pixels], axis=1).tobytes())
    return target


def write_cifar100(folder: Path, num: int = 400) -> Path:
    target = folder / "cifar-100-binary"
    target.mkdir(parents=True)
    for seed, name in enumerate(["train.bin", "test.bin"]):
        pixels, labels = records(num, 100, seed)
        (target / name).write_bytes(np.concatenate([labels[:, None] // 5, labels[:, None], pixels], axis=1).tobytes())
    return target


def write_python_layout(folder: Path, protocol: int, num: int = 40) -> Path:
    """The same images as write_cifar10, as pickles."""
    target = folder / "cifar-10-batches-py"
    target.mkdir(parents=True)
    for seed, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        pixels, labels = records(num, 10, seed)
        names = [f"image_{i}.png".encode() for i in range(num)]
        content = {b"batch_label": b"part", b"labels": labels.tolist(), b"data": pixels, b"filenames": names}
        (target / name).write_bytes(pickle.dumps(content, protocol=protocol))
    return target
