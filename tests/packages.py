"""Packages as pip installs them, on sys.path: modules, and a .dist-info folder with the entry points."""

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from dartboard import methods, plugins, spaces
from dartboard.cli import main
from dartboard.report import facts, forms
from dartboard.scoring import tables
from dartboard.spaces import families

TINY = ["--channels", "2", "--cells", "3", "--batch-size", "16", "--max-images", "48", "--device", "cpu"]
METHOD = """
from dartboard.methods import Method

METHOD = Method("random search again", "made up", by_trials=True, space="nasbench201", module="MODULE")
"""


def write_package(folder: Path, name: str, groups: Mapping[str, Mapping[str, str]], files: Mapping[str, str]) -> None:
    """Writes a package that declares entry points {group: {name: value}}. files: of its module, by their names."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [
        f"[dartboard.{group}]\n" + "".join(f"{one} = {at}\n" for one, at in ours.items())
        for group, ours in groups.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))
    (folder / name).mkdir()
    for file, text in {"__init__.py": "", **files}.items():
        (folder / name / file).write_text(text)


def forget() -> None:
    """Forgets what packages have added to the tables, as a new process has: its names are in files alone."""
    plugins.declared.cache_clear()
    facts.mixed_of.cache_clear()
    ours = ((methods.METHODS, methods.OURS), (spaces.SPACES, spaces.OURS), (families.FAMILIES, families.OURS))
    for table, own in (*ours, (tables.LAYOUTS, tables.OURS), (forms.TITLES, {})):
        for name in set(table) - set(own):
            del table[name]


def unload(folder: Path) -> None:
    """Drops the modules that were imported from a folder."""
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]


def said(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """The exit code of a command and what it prints, in a process that knows of no package yet."""
    forget()
    capsys.readouterr()
    code = main(words)
    out, err = capsys.readouterr()
    return code, out, err
