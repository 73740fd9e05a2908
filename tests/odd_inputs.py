"""Inputs of the kinds that people bring, drawn at random: command lines, texts, weight files, folders of images, runs.

Each function draws with a `random.Random`, writes below the folder it is given, and returns the words of one command.
Nothing names a place outside of that folder, and whatever is run is the smallest that is still real.
"""

import json
import os
import pickle
import shutil
import string
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from dartboard import formats, train
from dartboard.commands import compare, export, listing, rank, report, resume, search, show, transfer, why
from dartboard.commands import evaluate as evaluate_command
from dartboard.commands import train as train_command
from dartboard.commands.flags import flags_of
from dartboard.methods import darts

TINY = (
    *("--channels", "2", "--cells", "3", "--batch-size", "4", "--epochs", "1", "--image-size", "8"),
    *("--max-images", "40", "--budget", "1steps", "--seeds", "1", "--threads", "1", "--device", "cpu"),
)
# command -> (words that are right, its flags)
COMMANDS: dict[str, tuple[tuple[str, ...], list[str]]] = {
    "search": (("darts", "--data", "digits", "--print-config"), flags_of(search.flags_class(darts.Config))),
    "train": (("DARTS_V2", "--data", "digits", "--print-config"), flags_of(train_command.flags_class(train.Config))),
    "transfer": (("--a", "digits", "--b", "digits-rotated", "--print-config"), flags_of(transfer.TransferFlags)),
    "compare": (
        ("--methods", "random_search", "--data", "digits", "--budget", "1trials", "--print-config"),
        flags_of(compare.CompareFlags),
    ),
    "evaluate": (("run",), flags_of(evaluate_command.EvaluateFlags)),
    "show": (("DARTS_V2", "--no-counts"), flags_of(show.ShowFlags)),
    "export": (("DARTS_V2",), flags_of(export.ExportFlags)),
    "report": (("run",), flags_of(report.ReportFlags)),
    "resume": (("run",), flags_of(resume.ResumeFlags)),
    "list": ((), flags_of(listing.ListFlags)),
    "rank": (("run", "--truth", "file.txt"), flags_of(rank.RankFlags)),
    "why": (("run",), [*flags_of(why.WhyFlags), "--until=1s"]),
}
LETTERS = string.ascii_letters + string.digits + " .-_/:,=[](){}'\"\\\n\t\0é漢\udcff\u2028\x1b"
VALUES = (
    *("", " ", "0", "1", "2", "-1", "3.5", "1e9", "1e400", "nan", "inf", "-inf", "0x10", "١", "1_000", "+3", "007"),
    *("9" * 30, "True", "None", "none", "[1, 2]", "(0.5, 0.9)", "a,b", "5steps", "1h", "0s", "7h30m", "10 m", "-5m"),
    *("digits", "cifar10", "images:", "images:empty", "images:pictures", "images:file.txt", "pictures", "./pictures"),
    *("run", "stopped", "run/config.toml", "file.txt", "no/such/place", "..", ".", "x" * 300, "y/" * 3000, "a\0b", "é"),
    *("\udcff\udcfe", "--", "-", "-x", "--help", "darts", "DARTS_V2", "PDARTS,SNAS", "cpu", "cuda:7", "auto", "fifo"),
)


def odd_value(random: Random) -> str:
    """A value for any flag: most often one of those that people type, else any heap of letters."""
    if random.random() < 0.8:
        return random.choice(VALUES)
    return "".join(random.choices(LETTERS, k=random.choice((1, 3, 12, 80))))


def command_line(random: Random, folder: Path) -> list[str]:
    """A command with a few flags of its own and of others, values of any kind, words left out or doubled."""
    name = random.choice(list(COMMANDS))
    right, flags = COMMANDS[name]
    words = [*right]
    if words and random.random() < 0.15:
        del words[random.randrange(len(words))]
    if "--print-config" in right and "--print-config" not in words:
        words.append("--print-config")
    for _ in range(random.choice((0, 1, 1, 2, 3))):
        flag = (
            random.choice(flags) if random.random() < 0.9 else random.choice(COMMANDS[random.choice(list(COMMANDS))][1])
        )
        if flag in ("--no-print-config", "--out", "--gif"):
            flag = "--out=made"
        words += [flag] if "=" in flag or random.random() < 0.1 else [flag, odd_value(random)]
    if random.random() < 0.2:
        words.insert(random.randrange(len(words) + 1), odd_value(random))
    if name in ("evaluate", "resume", "why"):  # these work, and not on what was not asked for
        words += ["--until", "1s"] if name != "evaluate" else ["--device", "cpu"]
    return [name, *words]


def path_of_output(random: Random, folder: Path) -> list[str]:
    """A command that writes, and a place of any kind to write to."""
    places = ("made", "empty", "pictures", "file.txt", "fifo", "link", "loop", "dangling", "deep/er", "", " ", "a\0b")
    place = random.choice(
        (*places, "x" * 300, "\udcff", "é漢.svg", "no/such/place.svg", "file.txt/below", "link/below")
    )
    commands = (
        ["export", "DARTS_V2", "--out", place],
        ["export", "run", "--to", "torch", "--out", place],
        ["show", "DARTS_V2", "--no-counts", "--image", place + random.choice(("", ".svg"))],
        ["report", "run", "--out", place],
        ["search", "darts", "--data", "digits", *TINY, "--out", place],
        ["train", "DARTS_V2", "--data", "digits", *TINY, "--no-auxiliary", "--out", place],
        ["resume", place],
        ["evaluate", place],
    )
    return list(random.choice(commands))


# --- Texts with architectures ----------------------------------------------------------------------------------------

AROUND: tuple[Callable[[str], str], ...] = (
    lambda text: text,
    lambda text: f"2020-01-02 03:04:05,678 genotype = {text}\n" * 3,
    lambda text: f"from x import y\nA = {text}\nB = {text}\n",
    lambda text: f"```python\n{text}\n```\n",
    lambda text: "\n".join(f"> {line}" for line in text.splitlines()),
    lambda text: f">>> {text}",
    lambda text: f"\x1b[32m{text}\x1b[0m",
    lambda text: text.replace("'", "\u2019").replace('"', "\u201d"),
    lambda text: text.replace(" ", "\u00a0"),
    lambda text: "\r\n".join(text[i : i + 80] for i in range(0, len(text), 80)),
    lambda text: repr(text),
    lambda text: text[: len(text) // 2],
    lambda text: text + "," + text,
    lambda text: "[" * 3000 + text,
    lambda text: text.replace("2", "np.int64(2)"),
    lambda text: text.replace("normal", "norm"),
    lambda text: text.replace("Genotype", "genotypes.Genotype"),
    lambda text: text.replace("3x3", "9x9"),
    lambda text: text.replace("range(2, 6)", "list(range(2, 6))"),
)
OTHERS = (
    "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|",
    "Genotype(recurrent=[('relu', 0), ('tanh', 1)], concat=range(1, 3))",
    "tensor([[0.1, 0.2], [0.3, 0.4]], requires_grad=True)",
    "<!DOCTYPE html><html><body>404</body></html>",
    "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    '{"space": "darts", "choices": {}}',
    "{'normal': 3}",
    "null",
    "",
)


def architecture_text(random: Random, folder: Path) -> list[str]:
    """A file, or the argument itself, with an architecture as it stands in logs, code and pages; or something else."""
    entry = random.choice(list(formats.published().values())).architecture
    text = random.choice(OTHERS)
    if random.random() < 0.8:
        notation = random.choice(("quark0", "nested", "nnabla", "json"))
        try:
            text = formats.write(entry, notation)
        except formats.files.InputError:
            text = formats.write(entry, "json")
    for _ in range(random.choice((1, 1, 2))):
        text = random.choice(AROUND)(text)
    if random.random() < 0.2 and text:
        place = random.randrange(len(text))
        text = text[:place] + random.choice(LETTERS) + text[place + random.choice((0, 1, 9)) :]
    if random.random() < 0.1:
        return ["show", text, "--no-counts"]
    encoding = random.choice(("utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-be", "latin-1"))
    name = random.choice(("cell.txt", "log.txt", "genotypes.py", "x.json", "noending"))
    (folder / name).write_bytes(text.encode(encoding, errors="replace"))
    command = random.choice((["show", "--no-counts"], ["export", "--to", "json"], ["train", "--print-config"]))
    return [command[0], f"./{name}" + random.choice(("", "", "", ":A", ":")), *command[1:]]


# --- Weight files ----------------------------------------------------------------------------------------------------


def weight_file(random: Random, folder: Path) -> list[str]:
    """Weights in the wrappings of other people's programs, and what only looks like weights."""
    path = folder / random.choice(("w.pt", "w.pth.tar", "w.safetensors", "w.bin"))
    state = {"a.weight": torch.zeros(2, 2), "a.bias": torch.zeros(2)}
    prefix = random.choice(("", "module.", "_orig_mod.", "model.net."))
    named = {prefix + name: tensor for name, tensor in state.items()}
    wrapped: Any = random.choice(
        (
            named,
            {"epoch": 3, "model": named, "optimizer": {"state": {}, "param_groups": []}},
            {"model": named, "ema": named},
            [named],
            named["a.weight" if not prefix else prefix + "a.weight"],
            {**named, "total_ops": torch.zeros(1)},
            {"state_dict": named, "best": np.float64(0.5)},
            {},
            None,
            {1: named},
        )
    )
    kind = random.randrange(6)
    if kind == 0:
        save_file(state, path)
    elif kind == 1:
        path.write_bytes(struct.pack("<Q", random.choice((0, 2, 1 << 20, 1 << 62))) + b"{" + random.randbytes(20))
    elif kind == 2:
        path.write_bytes(random.choice((b"", b"\x80", b"PK\x03\x04", b"<html>", b"\x80\x02" + random.randbytes(30))))
    elif kind == 3:
        path.write_bytes(pickle.dumps({"x": random.choice((1, "y", [1] * 50))}, protocol=random.choice((0, 2, 4))))
    else:
        torch.save(wrapped, path, _use_new_zipfile_serialization=kind == 4)
        content = path.read_bytes()
        if random.random() < 0.3:
            path.write_bytes(content[: random.randrange(len(content))])
        elif random.random() < 0.3:
            damaged = bytearray(content)
            damaged[random.randrange(len(damaged))] ^= 1 << random.randrange(8)
            path.write_bytes(damaged)
    return ["evaluate", str(path), "--arch", "DARTS_V2", "--data", "digits", "--device", "cpu"]


# --- Folders of images -----------------------------------------------------------------------------------------------

SPLITS = (
    *(("",), ("",), ("",), ("train", "test"), ("Training", "Testing"), ("train_set", "test_set"), ("train", "dev")),
    *(("train", "val", "test"), ("fold1", "fold2"), ("test",), ("train",), ("trainval", "test"), ("train", "weights")),
    *(("photos",), ("train", "valid", "val"), ("images", "labels")),
)
ENDINGS = ("png", "png", "png", "jpg", "bmp", "tif", "gif", "ppm", "jfif", "webp", "")
SAVED_AS = {"jpg": "JPEG", "jfif": "JPEG", "tif": "TIFF", "": "PNG", "ppm": "PPM"}


def picture(random: Random, path: Path, ending: str) -> None:
    """A small image of any kind; a few are damaged, empty or no image at all."""
    if random.random() < 0.02:
        path.write_bytes(random.randbytes(random.choice((0, 50))))
        return
    side = random.choice((1, 4, 8, 9))
    if ending in ("png", "tif") and random.random() < 0.2:
        largest = 1 << random.choice((8, 12, 16))
        values = np.random.default_rng(random.randrange(1000)).integers(0, largest, (side, side))
        Image.fromarray(values.astype(np.uint16)).save(path, SAVED_AS.get(ending, ending.upper()))
        return
    mode = random.choice(("RGB", "RGB", "L", "RGBA", "P", "1")) if ending in ("png", "tif") else "RGB"
    pixels = random.randbytes(side * side * 3)
    Image.frombytes("RGB", (side, side), pixels).convert(mode).save(path, SAVED_AS.get(ending, ending.upper()))


def image_folder(random: Random, folder: Path) -> list[str]:
    """A folder of images in any of the layouts that people have, and a command on it."""
    root = folder / random.choice(("photos", "my photos", "bilder-ä", "x.y"))
    classes = random.choice((("cat", "dog"), ("cat", "dog", "eel"), ("0", "1"), ("one",), (), ("train", "dog")))
    for split in random.choice(SPLITS):
        ending = random.choice(ENDINGS)
        for name in classes[: len(classes) - (random.random() < 0.1)]:
            place = root / split / name
            place.mkdir(parents=True, exist_ok=True)
            for number in range(random.choice((0, 2, 12, 12, 12))):
                picture(random, place / (f"{number}.{ending}" if ending else f"{number}"), ending)
            if random.random() < 0.2:
                (place / random.choice(("Thumbs.db", ".DS_Store", "notes.txt", "labels.csv"))).write_text("x")
    root.mkdir(exist_ok=True)
    clutter = random.choice(("", "", "", "README.md", "@eaDir", ".hidden", "empty class", "loop"))
    if clutter == "loop":
        (root / "loop").symlink_to(root)
    elif clutter == "README.md":
        (root / clutter).write_text("x")
    elif clutter:
        (root / clutter).mkdir()
    data = random.choice((f"images:{root}", f"images:{root}", f"images:{root}/", f"./{root.name}", str(root)))
    if random.random() < 0.25:
        return ["evaluate", "run", "--data", data, "--device", "cpu"]
    tiny = [word for word in TINY if word not in ("--max-images", "40")]
    if random.random() < 0.5:
        return ["search", "darts", "--data", data, *tiny, "--supernet", "plain", "--out", "made"]
    return ["train", "DARTS_V2", "--data", data, *tiny, "--no-auxiliary", "--out", "made"]


# --- Run folders -----------------------------------------------------------------------------------------------------


EDITS = (("channels = 2", "channels = 3"), ('"darts"', '"other"'), ("lr = ", "lr = 1"), ("epochs = ", "epochs = -"))


def damage(random: Random, path: Path) -> None:
    """Changes a file of a run: cut, emptied, replaced by something else, a bit turned, a value edited."""
    content = path.read_bytes() if path.is_file() else b""
    fate = random.randrange(10)
    if fate == 0:
        path.unlink()
    elif fate == 1:
        path.write_bytes(content[: random.randrange(len(content) + 1)])
    elif fate == 2:
        path.write_bytes(random.choice((b"", b"{}", b"[" * 100_000, b"null", b"\xff\xfe", b"x = 1\n", b'{"a": NaN}')))
    elif fate == 3:
        path.unlink()
        path.mkdir()
    elif fate == 4:
        path.unlink()
        os.mkfifo(path)
    elif fate == 5:
        path.unlink()
        path.symlink_to("nowhere")
    elif fate == 6 and content:
        turned = bytearray(content)
        turned[random.randrange(len(turned))] ^= 1 << random.randrange(8)
        path.write_bytes(turned)
    elif fate == 7:
        edits = (
            ("channels = 2", "channels = 3"),
            ('"darts"', '"other"'),
            ("lr = ", "lr = 1"),
            ("epochs = ", "epochs = -"),
        )
        one, other = random.choice(edits)
        path.write_bytes(content.replace(one.encode(), other.encode()))
    elif fate == 8:
        path.write_bytes(content + content)
    else:
        path.write_bytes(json.dumps({"version": 99, "space": [], "choices": 3}).encode())


def damaged_run(random: Random, folder: Path) -> list[str]:
    """A run of which one file is not as it was, or of another run, and a command that reads it."""
    name = random.choice(("run", "stopped", "trained"))
    copy = folder / "copy"
    shutil.copytree(folder / name, copy)
    files = sorted(path for path in copy.rglob("*") if path.is_file() and path.name != "report.html")
    chosen = random.choice(files)
    other = folder / random.choice(("run", "stopped", "trained")) / chosen.relative_to(copy)
    if random.random() < 0.2 and other.is_file():
        shutil.copyfile(other, chosen)
    else:
        damage(random, chosen)
    commands: Sequence[list[str]] = (
        ["resume", "copy", "--budget", "1steps"],
        ["resume", "copy", "--budget", "1steps"],
        ["report", "copy", "--out", "page.html"],
        ["report", "copy", "run", "--out", "page.html"],
        ["evaluate", "copy", "--device", "cpu"],
        ["show", "copy", "--no-counts"],
        ["show", "copy", "--no-counts", "--epoch", "0"],
        ["export", "copy"],
        ["export", "copy", "--to", "torch", "--out", "made"],
        ["train", "copy", "--data", "digits", "--print-config"],
        ["search", "darts", "--from", "copy", "--data", "digits", *TINY, "--out", "made"],
        ["search", "darts", "--config", "copy/config.toml", "--print-config"],
    )
    return list(random.choice(commands))


KINDS = (command_line, command_line, path_of_output, architecture_text, weight_file, image_folder, damaged_run)
