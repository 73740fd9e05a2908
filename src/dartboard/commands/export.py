"""dartboard export: an architecture in another notation, or trained weights with a loadable description."""

from dataclasses import dataclass
from pathlib import Path

from dartboard import formats
from dartboard.commands.flags import first_word, given, parse
from dartboard.durable import replace_file, writing
from dartboard.errors import InputError, unknown

TARGETS = (*formats.NOTATIONS, "torch")


@dataclass(frozen=True)
class ExportFlags:
    """Write an architecture in another notation, on standard output or into a file."""

    arch: str
    """a run folder, a file in any notation, or a name of `dartboard list architectures`"""
    to: str = "quark0"
    """quark0, nested, nnabla, nasbench201, json; or torch: a training's weights.safetensors and description.json."""
    out: str | None = None
    """The file (of torch: the folder) to write; standard output where not given."""


def execute(words: list[str]) -> None:
    """Raises InputError: no architecture, a notation that cannot hold it, torch without --out, not writable."""
    if (target := given(words, "--to")) is not None and target not in TARGETS:
        raise unknown("value of --to", target, TARGETS)
    if (name := first_word(words)) is not None:
        formats.resolve(name)
    flags = parse(ExportFlags, words, "export", "name an architecture: dartboard export DARTS_V2 --to nnabla")
    if flags.to == "torch":
        return to_torch(flags)
    text = formats.write(formats.resolve(flags.arch)[0], flags.to).rstrip("\n")
    if flags.out is None:
        return print(text)
    write_file(Path(flags.out), text + "\n")
    print(flags.out)


def write_file(path: Path, text: str) -> None:
    """Writes a file, whole or not at all. Raises InputError where there is no such folder or it is not writable."""
    with writing(path.parent):
        if path.is_dir():
            raise InputError(f"cannot write {path}: it is a folder; give a file with --out")
        if not path.absolute().parent.is_dir():
            raise InputError(f"cannot write {path}: there is no folder {path.parent}; make it first")
        replace_file(path, text)


def to_torch(flags: ExportFlags) -> None:
    if flags.out is None:
        raise InputError("--to torch writes files; give their folder with --out")
    from dartboard.export import write_torch

    print(write_torch(flags.arch, flags.out))
