"""What a run was made with: versions, device, threads, commit, command. Written once, compared on resume."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dartboard
from dartboard.devices import device_name
from dartboard.runs.atomic_files import replace_file
from dartboard.runs.json_files import as_json, read_json

if TYPE_CHECKING:
    import torch


def installed(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def git(*words: str) -> str:
    import subprocess

    try:
        done = subprocess.run(
            ("git", "-C", str(Path(dartboard.__file__).parent), *words), capture_output=True, timeout=5, text=True
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def commit() -> str | None:
    """The last commit that touched this package, "+changes" if files differ from it; None outside of a checkout."""
    last = git("log", "-1", "--format=%H", "--", ".")
    if not last:
        return None
    return last + ("+changes" if git("status", "--porcelain", "--", ".") else "")


def program(file: str) -> str:
    """The first word of a command by the file that Python runs; `python -m dartboard` is `dartboard`."""
    path = Path(file)
    return "dartboard" if path == Path(dartboard.__file__).with_name("__main__.py") else path.name


def describe(device: "torch.device", parent: str | None) -> dict[str, Any]:
    """The content of environment.json, all but `data`, which is added when the data is loaded."""
    import platform

    import torch

    from dartboard import kernels

    return {
        "dartboard": dartboard.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": installed("numpy"),
        "system": platform.platform(),
        "device": device.type,
        "device_name": device_name(device),
        "threads": torch.get_num_threads(),
        "kernels": kernels.hindrance() or f"compiled by {kernels.compiler()}, where a CPU computes mixed cells",
        "cores": os.cpu_count(),
        "commit": commit(),
        "command_line": [program(sys.argv[0]), *sys.argv[1:]],
        "parent": parent,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def note_kernels(path: Path, precision: str) -> None:
    """Adds to an environment.json which library of compiled kernels this process computes the mixed cells with.

    Prints a notice if it is not the one of the start: the bits may then differ from those of an unstopped run.
    Raises InputError, CannotContinueError.
    """
    from dartboard import kernels

    found, environment = kernels.described(precision), read_json(path)
    known = environment.get("kernel_libraries", [])
    if found is None or not isinstance(known, list):
        return
    if known and library_words(known[0]) != library_words(found):
        print(
            f"{path.parent} started with {library_words(known[0])} and continues with {library_words(found)}; "
            "its numbers may differ in the last digits from those of a run that was never stopped",
            file=sys.stderr,
            flush=True,
        )
    if found not in known:
        replace_file(path, as_json({**environment, "kernel_libraries": [*known, found]}))


def library_words(entry: Any) -> str:
    """What computes the mixed cells: an entry of kernel_libraries in words."""
    digest = entry.get("sha256") if isinstance(entry, dict) else None
    if not isinstance(digest, str):
        return "pure torch for its mixed cells"
    return f"the compiled kernels {digest[:12]} ({' '.join(map(str, entry.get('flags', [])))})"


def describe_data(data: Any) -> dict[str, Any]:
    """What environment.json records of a Data: enough to recognise it."""
    return {
        "name": data.name,
        "fingerprint": data.fingerprint,
        "train": len(data.train),
        "val": len(data.val),
        "test": len(data.test),
        "num_classes": data.num_classes,
        "class_names": list(data.class_names),
        "channels": data.channels,
        "image_size": data.image_size,
        "mean": list(data.mean),
        "std": list(data.std),
        "value_range": None if data.value_range is None else list(data.value_range),
        "notes": list(data.notes),
    }
