"""What the documentation is made of: pages, blocks, links; and small stand-ins for what its commands need."""

import re
import shlex
from pathlib import Path

import numpy as np

from cifar_files import write_cifar10, write_cifar100
from dartboard.formats import Published, published

ROOT = Path(__file__).resolve().parent.parent
PAGES = {page.name: page for page in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")
# Lines of shell blocks that are not run: they install, or they start these very tests.
ASIDE = ("make ", "python3 -m venv ", ".venv/bin/python -m pip ", ". .venv/bin/activate")
SMALL = {"--channels": "2", "--cells": "3", "--batch-size": "15", "--max-images": "32"}


def published_cells() -> dict[str, Published]:
    """The published pairs of DARTS cells."""
    return {name: entry for name, entry in published().items() if entry.architecture.space == "darts"}


def blocks(page: Path) -> list[tuple[str, str]]:
    """(language, text) of every fenced block."""
    return [(found[1], found[2]) for found in FENCE.finditer(page.read_text())]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return FENCE.sub("", page.read_text())


def commands(text: str) -> list[list[str]]:
    """The words of each line of a shell block, lines that are set aside left out."""
    lines = text.replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.split("#")[0].strip() and not aside(line)]


def aside(line: str) -> bool:
    return line.startswith(ASIDE)


def cut(words: list[str], folder: Path) -> list[str]:
    """The words of a `dartboard` command with a budget of seconds, and with data that are there."""
    command, rest = words[0], words[1:]
    rest = replaced(rest, "--budget", "1steps" if command != "compare" else "8steps", only_if_given=True)
    rest = replaced(rest, "--seeds", "2" if command != "compare" else "1", only_if_given=True)
    rest = replaced(rest, "--select", "1", only_if_given=True)
    rest = replaced(rest, "--device", "cpu", only_if_given=True)
    rest = replaced(rest, "--epoch", "0", only_if_given=True)
    if command in ("search", "train"):
        phases = "6" if rest[0] == "ofa" else "1"
        rest = replaced(rest, "--epochs", "2" if "--budget" in rest else phases)
        fixed = any(name in word for word in rest for name in ("nasbenchmacro", "nas_rl", "bignas", "ofa"))
        # Where a command says how many images, they and its batch are tried as they stand: they must go together.
        given = ("--max-images", "--batch-size") if "--max-images" in rest and "cifar10" not in rest else ()
        for flag, value in SMALL.items():
            rest = rest if flag in given or (fixed and flag == "--cells") else replaced(rest, flag, value)
    if command == "compare":
        for flag, value in {**SMALL, "--epochs": "1", "--train-epochs": "1", "--train-channels": "2"}.items():
            rest = replaced(rest, flag, value)
        for flag, value in {"--train-cells": "3", "--train-batch-size": "15"}.items():
            rest = replaced(rest, flag, value)
        rest = [*rest, "--print-config"]  # what it does with its settings is tried in test_compare_on_data.py
    if command == "transfer":
        for flag, value in SMALL.items():
            rest = replaced(rest, flag, value if flag != "--max-images" else "96")
    if command == "transfer" or (command == "resume" and rest[0].endswith("transfer")):
        rest = replaced(rest, "--until", "0.01s")
    for name in ("cifar10", "cifar100"):
        if name in rest:
            rest = replaced(rest, "--data-dir", str(folder / "data"))
    return [command, *(word for word in rest if word != "--download")]


def replaced(words: list[str], flag: str, value: str, only_if_given: bool = False) -> list[str]:
    """The words with another value of a flag."""
    if flag not in words:
        return words if only_if_given else [*words, flag, value]
    position = words.index(flag)
    return [*words[:position], flag, value, *words[position + 2 :]]


def cut_python(code: str) -> str:
    """Python of the documentation with a budget of seconds."""
    code = re.sub(r"\bepochs=\d+", "epochs=1", code)
    code = re.sub(r"\bchannels=\d+", "channels=2", code)
    code = re.sub(r"\bcells=\d+", "cells=3", code)
    return code.replace('load_data("digits"', 'load_data("digits", max_images=128')


# --- What commands read ----------------------------------------------------------------------------------------------


def prepare(words: list[str], folder: Path) -> None:
    """Makes the files that a command names and nobody has made yet."""
    for word in words:
        if word == "cifar10" and not (folder / "data/cifar-10-batches-bin").exists():
            write_cifar10(folder / "data")
        if word == "cifar100" and not (folder / "data/cifar-100-binary").exists():
            write_cifar100(folder / "data")
        if word.startswith("images:") and not (folder / word.removeprefix("images:")).exists():
            write_images(folder / word.removeprefix("images:"))
        file = folder / word.partition(":")[0]
        if file.name in ("log.txt", "genotypes.py", "DARTS_arch.json") and not file.exists():
            write_architecture(file)
        if word in ("weights.pt", "cifar10_model.pt") and not (folder / word).exists():
            write_original_weights(folder / word)


def write_images(folder: Path) -> None:
    """Two classes of 40 small photographs of noise."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (folder / name).mkdir(parents=True)
        for number in range(40):
            pixels = rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


def write_architecture(path: Path) -> None:
    from dartboard import formats

    notation = "nnabla" if path.suffix == ".json" else "quark0"
    text = formats.write(formats.published()["DARTS_V2"].architecture, notation)
    around = {"log.txt": "06/01 10:00:00 AM genotype = {0}\n" * 2, "genotypes.py": "DARTS_V1 = {0}\nDARTS_V2 = {0}\n"}
    path.write_text(around.get(path.name, "{}").format(text))


def write_original_weights(path: Path) -> None:
    """A state dict of a small DARTS_V2 network under the names of the original code."""
    import torch

    from dartboard import formats, networks

    network = networks.darts.Network(formats.published()["DARTS_V2"].architecture, channels=2, cells=3)
    names = {name: re.sub(r"\.ops\.(\d+)\.", r"._ops.\1.op.", name) for name in network.state_dict()}
    names = {
        name: re.sub(r"\.(preprocess\d)\.(?=\d)", r".\1.op.", theirs) if "preprocess" in theirs else theirs
        for name, theirs in names.items()
    }
    torch.save({names[name]: tensor for name, tensor in network.state_dict().items()}, path)
