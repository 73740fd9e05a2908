"""dartboard export: an architecture in another notation, or trained weights with a loadable description."""

from dataclasses import dataclass

from dartboard import formats
from dartboard.commands.flags import first_word, given, parse
from dartboard.errors import InputError, unknown
from dartboard.runs.targets import is_standard_output, write_target

TARGETS = (*formats.NOTATIONS, "torch")


@dataclass(frozen=True)
class ExportFlags:
    """Write an architecture in another notation, on standard output or into a file."""

    arch: str
    """a run folder, a file or text with a genotype, FILE:NAME, -, or a name of `dartboard list architectures`"""
    to: str = "quark0"
    """quark0, nested, nnabla, nasbench201, nasbenchmacro, spos, json; or torch: a training's weights, described."""
    out: str | None = None
    """The file (for torch: the folder) to write; by default standard output."""


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
    write_target(flags.out, text + "\n")
    if not is_standard_output(flags.out):
        print(flags.out)


def to_torch(flags: ExportFlags) -> None:
    if flags.out is None:
        raise InputError("--to torch writes files; give their folder with --out")
    from dartboard.export.weights import write_torch

    print(write_torch(flags.arch, flags.out))
