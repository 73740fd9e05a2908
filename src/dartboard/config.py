"""Frozen configs: ranges, durations, and flat TOML. Nothing here imports torch.

A config is a frozen dataclass whose fields are the flags of the command line (`batch_size` is `--batch-size`) and the
keys of a TOML file. It checks its own ranges, so that flags, files and Python are refused in the same words.
"""

import math
import os
import re
import stat
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from dartboard.errors import InputError, unknown
from dartboard.paths import escaped, restored

Config = TypeVar("Config")
Idle = Sequence[tuple[Sequence[str], str]]  # names of settings that change nothing beside the others, and why
MAX_TOML_BYTES = 1_000_000
UNIT_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
MOST_CHANNELS, MOST_EPOCHS = "(-inf, 4096]", "(-inf, 1e6]"  # no network is as wide, no run as long
INTERVAL = re.compile(r"([\[(])\s*(\S+)\s*,\s*(\S+)\s*([\])])")


@dataclass(frozen=True)
class Setup:
    """What every command shares: data, device, seed, and how long to work."""

    data: str = "digits"
    """A data set of `dartboard list data`, or images:DIR for a folder with one folder of images per class."""
    data_dir: str | None = None
    """The folder that holds the data set; by default $XDG_CACHE_HOME/dartboard, to which CIFAR is downloaded."""
    download: bool = False
    """Download cifar10 or cifar100 (170 MB each, from www.cs.toronto.edu/~kriz) to --data-dir, if it is not there."""
    image_size: int | None = None
    """Height and width in pixels to which images are resized; by default those of the data set."""
    max_classes: int | None = None
    """Use only this number of classes, always the same ones."""
    stream: Literal["auto", "always", "never"] = "auto"
    """Read images:DIR batch by batch from its files; auto: if all take a quarter of the free memory."""
    official_split: bool = False
    """Divide the training images into halves by index, as the original code does; by default stratified by seed."""
    max_images: int | None = None
    """Use only this number of training images (stratified); the test images are not reduced."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute; auto takes the first of cuda, mps, cpu that is available."""
    threads: int | None = None
    """CPU threads; by default those of the machine."""
    seed: int = 0
    """All randomness of a run is a function of this number."""
    precision: Literal["float32", "bf16", "float64"] = "float32"
    """Number format of the networks; bf16 by autocast, on devices that support it."""
    save_every: str = "10m"
    """Time between checkpoints within an epoch; each epoch also ends with one."""
    budget: str | None = None
    """Save and stop after this much work: a time such as 4h, or a number of steps such as 500steps; can be resumed."""
    until: str | None = None
    """Save and stop this long after the start, such as 7h30m; can be resumed."""

    def __post_init__(self) -> None:
        check_types(self)
        check_ranges(self, image_size="[1, 4096]", max_images="[2, inf)", max_classes="[2, inf)")
        check_ranges(self, threads="[1, 4096]", seed="[0, 1e18]")
        check_data_name(self.data)
        parse_duration(self.save_every, "--save-every")
        if self.budget is not None:
            parse_budget(self.budget)
        if self.until is not None:
            parse_duration(self.until, "--until")


def check_data_name(name: str) -> None:
    if not name or name == "images:":
        raise InputError(f"--data is {name!r}; give a name of `dartboard list data` or images:DIR")


def flag(name: str) -> str:
    """The field's name as it is typed: `batch_size` is `--batch-size`, `from_` is `--from`."""
    return "--" + name.rstrip("_").replace("_", "-")


def parse_duration(text: str, name: str) -> float:
    """Seconds of "45s", "10m", "7h30m", "1d". name: the flag, for the message. Raises InputError."""
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd])", text)
    seconds = sum(float(number) * UNIT_SECONDS[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != text or not 0 < seconds < math.inf:
        raise InputError(f"{name} is {text[:40]!r}; give a time such as 45s, 10m or 7h30m")
    return seconds


def parse_budget(text: str) -> tuple[float, int | None]:
    """(seconds, None) of "4h", (inf, steps) of "500steps". Raises InputError."""
    steps = re.fullmatch(r"(\d{1,15})\s?steps?", text)
    if steps and int(steps[1]) > 0:
        return math.inf, int(steps[1])
    if "step" in text:
        raise InputError(f"--budget is {text[:40]!r}; give a number of steps such as 500steps, or a time such as 4h")
    return parse_duration(text, "--budget"), None


def check_ranges(config: object, **intervals: str) -> None:
    """Raises InputError unless every named field of a config lies in its interval.

    An interval is written as in mathematics: `epochs="[1, inf)"`, `momentum="[0, 1)"`. None passes; of a tuple every
    item is checked; NaN and infinity are in no interval.
    """
    for name, interval in intervals.items():
        value = getattr(config, name)
        for item in value if isinstance(value, tuple) else (value,):
            if item is not None and not inside(item, interval):
                raise InputError(f"{flag(name)} is {item}; give {in_words(interval)}")


def bounds(interval: str) -> tuple[bool, float, float, bool]:
    """(closed below, low, high, closed above) of "[0, 1)"."""
    match = INTERVAL.fullmatch(interval)
    assert match, interval
    low, high = float(match[2]), float(match[3])
    return match[1] == "[", low, high, match[4] == "]"


def inside(value: float, interval: str) -> bool:
    closed_below, low, high, closed_above = bounds(interval)
    if not math.isfinite(value):
        return False
    return (value >= low if closed_below else value > low) and (value <= high if closed_above else value < high)


def in_words(interval: str) -> str:
    """ "[1, inf)" is "1 or more"."""
    closed_below, low, high, closed_above = bounds(interval)
    below = f"{low:g} or more" if closed_below else f"more than {low:g}"
    above = f"{high:g} or less" if closed_above else f"less than {high:g}"
    if math.isinf(high):
        return below
    return (
        above
        if math.isinf(low)
        else f"{low:g} to {high:g}"
        if closed_below and closed_above
        else f"{below} and {above}"
    )


def check_types(config: Any) -> None:
    """Raises InputError unless every field of a config holds a value of its annotated type."""
    hints = typing.get_type_hints(type(config))
    for field in fields(config):
        coerce(field.name, getattr(config, field.name), hints[field.name])


def check_kind(value: object, kind: type | tuple[type, ...], wanted: str) -> None:
    """Raises InputError, "WANTED, not the value's type", unless a value from Python is of a kind."""
    if not isinstance(value, kind):
        raise InputError(f"{wanted}, not {type(value).__name__}")


def build(cls: type[Config], values: Mapping[str, Any]) -> Config:
    """The config of a flat table, types converted (whole numbers to floats, lists to tuples).

    Missing keys take their defaults. Raises InputError for an unknown key, a wrong type or a value out of range.
    """
    hints = typing.get_type_hints(cls)
    names = field_names(cls)
    for name in values:
        if name not in names:
            raise unknown("setting", name, names)
    return cls(**{name: coerce(name, value, hints[name]) for name, value in values.items()})


def field_names(cls: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(cls))


def coerce(name: str, value: Any, hint: Any) -> Any:
    """The value as the annotated type, or InputError."""
    if get_origin(hint) in (Union, types.UnionType):
        return coerce_optional(name, value, get_args(hint))
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            options = ", ".join(str(option) for option in get_args(hint))
            raise InputError(f"{flag(name)} is {str(value)[:60]!r}; give one of {options}")
        return value
    if get_origin(hint) is tuple:
        return coerce_tuple(name, value, get_args(hint))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise InputError(f"{flag(name)} is {str(value)[:60]!r}; give {TYPE_WORDS[hint]}")
    return value


TYPE_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def coerce_optional(name: str, value: Any, hints: tuple[Any, ...]) -> Any:
    if value is None or value == "none":
        return None
    wanted = [hint for hint in hints if hint is not type(None)]
    for hint in wanted[:-1]:
        try:
            return coerce(name, value, hint)
        except InputError:
            continue
    return coerce(name, value, wanted[-1])


def coerce_tuple(name: str, value: Any, hints: tuple[Any, ...]) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise InputError(f"{flag(name)} is {str(value)[:60]!r}; give a list")
    if hints[-1] is Ellipsis:
        return tuple(coerce(name, item, hints[0]) for item in value)
    if len(value) != len(hints):
        raise InputError(f"{flag(name)} has {len(value)} values; give {len(hints)}")
    return tuple(coerce(name, item, hint) for item, hint in zip(value, hints, strict=True))


def flat(config: Any) -> dict[str, Any]:
    """The fields of a config as a table that TOML can hold: None left out, or "none" if it is not the default."""
    table = {}
    for field in fields(config):
        value = getattr(config, field.name)
        if value is not None:
            table[field.name] = value
        elif default_of(field) is not None:
            table[field.name] = "none"
    return table


def default_of(field: Field[Any]) -> Any:
    if field.default is not MISSING:
        return field.default
    return field.default_factory() if field.default_factory is not MISSING else None


def to_toml(values: Mapping[str, Any]) -> str:
    """A flat table as TOML text; tuples become lists, None is left out."""
    import tomli_w

    return tomli_w.dumps({name: escaped(value) for name, value in values.items() if value is not None})


def beginning(path: str | Path, most: int) -> bytes:
    """The first bytes of a file or of a pipe that somebody writes into, `most` of them at most.

    A pipe that nobody has open for writing ends at once, where opening it the usual way would wait without end.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with open(descriptor, "rb", buffering=0) as file:
        first = file.read(most)  # None: there is a writer who has written nothing yet
        os.set_blocking(descriptor, True)
        with open(descriptor, "rb", closefd=False) as rest:
            return (first or b"") + (rest.read(most - len(first or b"")) if first != b"" else b"")


def from_toml(path: str | Path) -> dict[str, Any]:
    """The flat table in a TOML file; `batch-size` and `batch_size` are one key. Raises InputError."""
    try:
        content = beginning(path, MAX_TOML_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"cannot read the settings in {path}: {reason}") from error
    if not content and stat.S_ISFIFO(os.stat(path).st_mode):
        raise InputError(f"{path} is a pipe without a writer; give a file of settings")
    if len(content) > MAX_TOML_BYTES:
        raise InputError(f"{path} is larger than {MAX_TOML_BYTES} bytes; give a file of settings")
    try:
        table = restored(tomllib.loads(content.decode()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path} is not TOML: {str(error).splitlines()[0]}") from error
    for name, value in table.items():
        if isinstance(value, dict):
            raise InputError(f"{path} has a table [{name[:40]}]; settings are flat, one `name = value` per line")
        if "\0" in str(value):
            raise InputError(f"{path} has a NUL character in {name[:40]}, which no setting may contain; remove it")
    return {name.replace("-", "_"): value for name, value in table.items()}
