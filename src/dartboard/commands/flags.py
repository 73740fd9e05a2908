"""Words of the command line to frozen dataclasses. The only file that knows tyro; its long messages become one line."""

import re
import typing
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import MISSING, fields, is_dataclass
from io import StringIO
from types import ModuleType
from typing import Any, TypeVar

from dartboard.config import Setup, build, field_names, flag, flat, from_toml, to_toml
from dartboard.data.names import NO_DATA, check_name
from dartboard.errors import InputError, unknown
from dartboard.paths import check_path
from dartboard.runs.start import from_table
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture, SearchSpace

Flags = TypeVar("Flags")
Config = TypeVar("Config")
WRONG_NUMBER = re.compile(r"Error parsing (\S+?):? .*?(for int\(\) with base 10|to float): (.*)")
# Fields that name files.
PATHS = (
    *("out", "csv", "latex", "image", "config", "search_config", "train_config", "select_config", "data_dir", "from_"),
    *("shared_weights", "latency"),
)
HEADER = ("command", "method", "space")  # of a run's config.toml, beside its settings


def parse(
    cls: type[Flags], words: Sequence[str], name: str, missing: str = "", default: Mapping[str, Any] | None = None
) -> Flags:
    """The flags of a command. A field without a default is a word without a flag.

    name: the command's, for --help; missing: what to say where such a word is missing; default: what other fields
    hold if no flag is given. Raises InputError in one line; leaves by SystemExit(0) after --help.
    """
    refuse_unknown(words, cls)
    if default is None and (simple := without_parser(cls, words, missing)) is not None:
        return simple
    found = with_parser(cls, words, name, missing, default)
    check_paths(found)
    return found


def with_parser(
    cls: type[Flags], words: Sequence[str], name: str, missing: str, default: Mapping[str, Any] | None
) -> Flags:
    """As `parse`, by tyro."""
    import tyro

    said = StringIO()
    options: dict[str, Any] = {}
    if default is not None:
        words_only = {field.name: tyro.MISSING for field in fields(cls) if field.name not in default}  # type: ignore[arg-type]
        options["default"] = cls(**words_only, **default)
    conf = (tyro.conf.PositionalRequiredArgs, tyro.conf.OmitArgPrefixes, tyro.conf.HelptextFromCommentsOff)
    try:
        with redirect_stderr(said):
            found: Flags = tyro.cli(cls, args=list(words), prog=f"dartboard {name}", config=conf, **options)
            return found
    except SystemExit as exit_:
        if exit_.code in (0, None):
            raise
        raise in_one_line(said.getvalue(), cls, name, missing) from None


def check_paths(flags: Any) -> None:
    """Raises InputError for the first file or folder in the flags that cannot be called so."""
    for field in fields(flags):
        value = getattr(flags, field.name)
        if is_dataclass(value):
            check_paths(value)
        elif field.name in PATHS and isinstance(value, str):
            check_path(value, flag(field.name))


def named(hint: Any, name: str) -> Any:
    """The annotation of a field whose flag has another name than the field, such as a keyword of Python."""
    import tyro

    return typing.Annotated[hint, tyro.conf.arg(name=name)]


def without_parser(cls: type[Flags], words: Sequence[str], missing: str) -> Flags | None:
    """The flags where the words hold none, only what the first field takes; None if it takes more to read them.

    Half of the time of `dartboard list` is the import of the parser.
    """
    if any(word.startswith("-") and word != "-" for word in words):
        return None
    make: Any = cls
    hint = typing.get_type_hints(cls)[fields(make)[0].name]
    if fields(make)[0].default is not MISSING:
        return None
    if hint == tuple[str, ...] and (words or not missing):
        return typing.cast(Flags, make(tuple(words)))
    return typing.cast(Flags, make(words[0])) if hint is str and len(words) == 1 else None


def refuse_unknown(words: Sequence[str], cls: Any) -> None:
    """Raises InputError, with the nearest one, for the first flag that the command does not have."""
    for word in words:
        if word == "--":
            return
        name = word.split("=")[0]
        if name.startswith("--") and name.replace("_", "-") not in flags_of(cls):
            raise unknown("flag", name, flags_of(cls))


def in_one_line(message: str, cls: Any, name: str, missing: str) -> InputError:
    """The parser's panel as one line: its first paragraph, with the nearest flag for an unknown one."""
    text = first_paragraph(message)
    if text.startswith("Unrecognized options:"):
        words = text.removeprefix("Unrecognized options:").strip().split(", ")
        wrong = next((word for word in words if word.startswith("-")), None)
        if wrong is not None:
            return unknown("flag", wrong.split("=")[0], flags_of(cls))
        return InputError(f"unexpected word {words[0][:60]!r}; see dartboard {name} --help")
    if missing and "required" in text.lower():
        return InputError(missing)
    if match := WRONG_NUMBER.search(text):
        kind = "" if match[2] == "to float" else "whole "
        return InputError(f"{match[1].rstrip(':')} is {match[3][:60]}; give a {kind}number")
    return InputError(f"{text[:300].rstrip('.')}; see dartboard {name} --help")


def first_paragraph(message: str) -> str:
    """What the parser's panel says first, below its title: drawn with boxes, or with dashes if output is ASCII."""
    paragraphs: list[list[str]] = [[]]
    for line in message.splitlines():
        if line.startswith("╭") or not line.strip("│╰╯─- "):
            paragraphs.append([])
        else:
            paragraphs[-1].append(line.strip("│ "))
    filled = [" ".join(lines).strip() for lines in paragraphs if lines]
    return filled[0 if "╭" in message or len(filled) < 2 else 1] if filled else message.strip()


def flags_of(cls: Any) -> list[str]:
    """Every flag of a command, as typed. A first field without a default is a word without a flag."""
    hints, known = typing.get_type_hints(cls), fields(cls)
    flagged = known if known[0].default is not MISSING else known[1:]
    return ["--help", *(name for field in flagged for name in typed(field.name, hints[field.name]))]


def typed(name: str, hint: Any) -> list[str]:
    """The flags of a field: two of a bool, those of its fields of a dataclass."""
    if is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        return [one for field in fields(hint) for one in typed(field.name, hints[field.name])]
    return [flag(name), flag("no_" + name)] if hint in (bool, bool | None) else [flag(name)]


def given(words: Sequence[str], name: str) -> str | None:
    """The value of a flag in the words, before they are parsed: `--data X` or `--data=X`, the last one; or None."""
    value = None
    for position, word in enumerate(words):
        if word == "--":
            break
        if word == name and position + 1 < len(words):
            value = words[position + 1]
        elif word.startswith(name + "="):
            value = word[len(name) + 1 :]
    return value


def first_word(words: Sequence[str], switches: Iterable[str] = ()) -> str | None:
    """The first word that is neither a flag nor surely a flag's value; `-` is a word. switches: flags without value."""
    takes_value = False
    for word in words:
        if word.startswith("-") and word != "-":
            takes_value = "=" not in word and word not in switches
        elif not takes_value:
            return word
        else:
            takes_value = False
    return None


def settings(path: str, header: Mapping[str, str | None]) -> dict[str, Any]:
    """The settings in a --config file; it may be a run's config.toml of the same command, method and space."""
    table = from_toml(path)
    from_table(table)  # the warm start of that run is not a setting
    for name in HEADER:
        found, wanted = table.pop(name, None), header.get(name)
        if found is not None and found != wanted:
            raise InputError(f"{path} has settings for {name} = {found!r}, not {wanted!r}; give another --config")
    return table


def layered(
    cls: type[Config],
    words: Sequence[str],
    header: Mapping[str, str | None],
    presets: Mapping[str, Mapping[str, Any]],
    paper: Mapping[str, Any],
) -> tuple[Setup, Config]:
    """What holds if no flag is given: defaults < data preset < --preset paper < --config FILE. Raises InputError."""
    path = given(words, "--config")
    if path is not None:
        check_path(path, "--config")
    from_file = settings(path, header) if path is not None else {}
    known = (*field_names(Setup), *field_names(cls))
    for name in from_file:
        if name not in known:
            raise unknown(f"setting in {path}", name, known)
    name = str(given(words, "--data") or from_file.get("data") or Setup.data)
    kind = check_name(name)[0] if name != NO_DATA else NO_DATA
    of_paper = paper if given(words, "--preset") == "paper" else {}
    values = {**presets.get(kind, {}), **of_paper, **from_file}
    setup = build(Setup, {name: value for name, value in values.items() if name in field_names(Setup)})
    return setup, build(cls, {name: value for name, value in values.items() if name not in field_names(Setup)})


def with_needs(
    presets: Mapping[str, Mapping[str, Any]],
    of: SearchSpace | Architecture,
    cls: type[Any],
    own: Mapping[str, Any] | None = None,
) -> dict[str, dict[str, Any]]:
    """The presets of the data sets over a family's defaults and under what its networks ask for, of what `cls` has.

    of: a space of the family, or an architecture; own: what stands over the family's defaults, such as a method's
    defaults on that family, or its recipe of a training.
    """
    family = FAMILIES[of.family if isinstance(of, SearchSpace) else of.space]
    under, over = (
        {name: value for name, value in values.items() if name in field_names(cls)}
        for values in ({**family.defaults, **(own or {})}, family.needs(of))
    )
    return {name: {**under, **preset, **over} for name, preset in presets.items()}


def presets_of(module: ModuleType, space: SearchSpace) -> dict[str, dict[str, Any]]:
    """By data set, what holds for a method on a space in place of the defaults of its Config."""
    own = getattr(module, "ON_FAMILY", {}).get(space.family)
    return with_needs(module.PRESETS, space, module.Config, own)


def resolved(header: Mapping[str, str | None], setup: Setup, config: Any) -> str:
    """The resolved settings as TOML, fit for --config."""
    return to_toml({**header, **flat(setup), **flat(config)})
