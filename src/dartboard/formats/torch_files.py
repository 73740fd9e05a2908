"""Files of torch.save, of both ages, as plain values with `Numbers` in place of tensors; nothing in them is run.

Since torch 1.6: a zip archive, uncompressed, of `data.pkl` and a file `data/KEY` for every storage. Before: pickles one
after the other (a magic number, the version, facts of the machine, the content, the keys), then the storages.
What a file claims is checked against its size before any memory is taken.
"""

import mmap
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dartboard.formats.pickle_values import Made, Name, OtherFileError, Outside, PickleError, read_value

MAGIC = 0x1950A86A20F9469CFC6C
ENTRY = b"PK\x01\x02"  # how each line of an archive's table begins
MAX_ENTRIES = 100_000  # files in an archive; one per tensor
MAX_PICKLE = 64 * 1024 * 1024  # bytes of data.pkl, which takes some hundred a tensor
KINDS = {  # storage -> dtype of torch, bytes of a number
    "Float": ("float32", 4),
    "Double": ("float64", 8),
    "Half": ("float16", 2),
    "BFloat16": ("bfloat16", 2),
    "Long": ("int64", 8),
    "Int": ("int32", 4),
    "Short": ("int16", 2),
    "Char": ("int8", 1),
    "Byte": ("uint8", 1),
    "Bool": ("bool", 1),
}
WRAPPED = {  # function -> where among its arguments the tensor is
    "torch._utils._rebuild_parameter": 0,
    "torch._utils._rebuild_parameter_with_state": 0,
    "torch.nn.parameter.Parameter": 0,
}


@dataclass(frozen=True)
class Numbers:
    """A tensor that is not made yet. kind: of KINDS; offset: in numbers, in the storage of that key."""

    key: str
    kind: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class Odd:
    """A tensor of a kind that weights have not: sparse, quantised, on no device."""

    function: str


@dataclass(frozen=True)
class Content:
    """What the file holds, and how to get the bytes of a storage by its key."""

    value: Any
    storage: Callable[[str], bytes]


@contextmanager
def mapped(path: Path) -> Iterator[mmap.mmap]:
    """The file's bytes, without reading them."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        yield content


@contextmanager
def opened(path: Path, is_zip: bool) -> Iterator[Content]:
    """The content of a torch file. Raises PickleError, OSError, zipfile.BadZipFile and other errors of damage."""
    with mapped(path) as content:
        if not is_zip:
            yield legacy(content)
            return
        check_entries(content)
        with zipfile.ZipFile(path) as archive:
            yield of_archive(archive, len(content))


def check_entries(content: mmap.mmap) -> None:
    """Refuses archives of too many files before their table is read."""
    number, position = 0, content.find(ENTRY)
    while position >= 0:
        if (number := number + 1) > MAX_ENTRIES:
            raise PickleError(f"its archive has more than {MAX_ENTRIES:,} files")
        position = content.find(ENTRY, position + len(ENTRY))


def of_archive(archive: zipfile.ZipFile, size: int) -> Content:
    """The content of an archive. A compressed one is refused: torch writes none, and it could unpack to fill memory."""
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
        raise OtherFileError("is a compressed archive, not a weight file; give a file of torch.save")
    entries = {entry.filename: entry for entry in archive.infolist()}
    if sum(entry.file_size for entry in archive.infolist()) > size or any(
        entry.file_size != entry.compress_size or entry.header_offset + entry.file_size > size
        for entry in entries.values()
    ):
        raise PickleError("its archive claims more bytes than the file has")
    pickles = [name for name in entries if name.rpartition("/")[2] == "data.pkl"]
    if len(pickles) != 1:
        raise OtherFileError(foreign_archive(list(entries)))
    if entries[pickles[0]].file_size > MAX_PICKLE:
        raise PickleError(f"its pickle has more than {MAX_PICKLE // 2**20} MB")
    folder = pickles[0].removesuffix("data.pkl")
    if (order := entries.get(f"{folder}byteorder")) is not None and archive.read(order) not in (b"little", b""):
        raise OtherFileError("was written on a machine with another order of bytes; save it again on this one")

    def storage(key: str) -> bytes:
        return archive.read(entries[f"{folder}data/{key}"])

    return Content(read_value(archive.read(pickles[0]))[0], storage)


def foreign_archive(names: list[str]) -> str:
    """What an archive without one data.pkl is."""
    if names and all(name.endswith(".npy") for name in names):
        return "is numpy's .npz, not a file of torch.save"
    inside = [name for name in names if name.endswith((".pt", ".pth", ".tar", ".safetensors", ".ckpt", ".bin"))]
    if inside:
        return f"is an archive with {inside[0][-60:]!r} in it; unpack it and give that file"
    return "is an archive of other files, not a file of torch.save"


def legacy(content: mmap.mmap) -> Content:
    """The content of a file that torch wrote before 1.6."""
    magic, position = read_value(content)
    if magic != MAGIC:
        raise OtherFileError("is a pickle that torch.save did not write; save the state_dict with torch.save")
    _, position = read_value(content, position)
    facts, position = read_value(content, position)
    if isinstance(facts, dict) and facts.get("little_endian") is False:
        raise OtherFileError("was written on a machine with another order of bytes; save it again on this one")
    value, position = read_value(content, position)
    keys, position = read_value(content, position)
    sizes = kinds_of(value)
    places: dict[str, tuple[int, int]] = {}
    for key in keys if isinstance(keys, list) else []:
        number = int.from_bytes(content[position : position + 8], "little", signed=True)
        size = number * sizes.get(str(key), 1)
        if number < 0 or position + 8 + size > len(content):
            raise PickleError("its storages claim more bytes than the file has; it is cut off")
        places[str(key)] = (position + 8, size)
        position += 8 + size

    def storage(key: str) -> bytes:
        start, size = places[key]
        return content[start : start + size]

    return Content(value, storage)


def kinds_of(value: Any) -> dict[str, int]:
    """Bytes of a number, by the key of each storage that the value names anywhere."""
    found: dict[str, int] = {}
    left, seen = [value], set()
    while left:
        one = left.pop()
        if isinstance(one, Outside):
            if (named := storage_of(one)) is not None:
                found[named[0]] = KINDS[named[1]][1]
        elif isinstance(one, dict | list | tuple | Made) and id(one) not in seen:
            seen.add(id(one))
            parts = (one.function, one.arguments, one.state) if isinstance(one, Made) else one
            left.extend(parts.values() if isinstance(parts, dict) else parts)
    return found


def storage_of(one: Any) -> tuple[str, str] | None:
    """Key and kind of a storage that is in the file outside of its pickle; None for anything else."""
    key = one.key if isinstance(one, Outside) else None
    if not isinstance(key, tuple) or len(key) < 5 or key[0] != "storage" or not isinstance(key[1], Name):
        return None
    kind = key[1].text.removeprefix("torch.").removeprefix("cuda.").removesuffix("Storage")
    is_view = len(key) > 5 and key[5] is not None
    return (str(key[2]), kind) if isinstance(key[2], str | int) and kind in KINDS and not is_view else None


def as_tensor(value: Any) -> Numbers | Odd | None:
    """The tensor that a value describes; None for what is not a tensor."""
    for _ in range(3):
        if not isinstance(value, Made) or not isinstance(value.function, Name):
            return None
        arguments = value.arguments if isinstance(value.arguments, tuple) else ()
        if value.function.text in WRAPPED and arguments:
            value = arguments[0]
        elif value.function.text == "torch._tensor._rebuild_from_type_v2" and len(arguments) > 2:
            value = Made(arguments[0], arguments[2])
        elif value.function.text.startswith("torch._utils._rebuild_"):
            is_plain = value.function.text in ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor")
            return (numbers(arguments) if is_plain else None) or Odd(value.function.text)
        else:
            return None
    return None


def numbers(arguments: tuple[Any, ...]) -> Numbers | None:
    """The tensor of (storage, offset, shape, strides, ...)."""
    if len(arguments) < 4 or (named := storage_of(arguments[0])) is None:
        return None
    offset, shape, strides = arguments[1:4]
    if isinstance(shape, Made) and isinstance(shape.arguments, tuple) and len(shape.arguments) == 1:
        shape = shape.arguments[0]  # of torch.Size
    for sizes in ((offset,), shape, strides):
        if not isinstance(sizes, tuple) or not all(type(size) is int and 0 <= size < 2**48 for size in sizes):
            return None
    return Numbers(*named, offset, shape, strides) if len(shape) == len(strides) < 32 else None


def tensors_of(content: Content, wanted: Mapping[str, Numbers]) -> dict[str, Any]:
    """The tensors, made; those of one storage share it. Raises PickleError for one beyond its storage."""
    import torch

    stored: dict[tuple[str, str], torch.Tensor] = {}
    made = {}
    for name, one in wanted.items():
        dtype, size = getattr(torch, KINDS[one.kind][0]), KINDS[one.kind][1]
        if (one.key, one.kind) not in stored:
            raw = bytearray(content.storage(one.key))
            del raw[len(raw) // size * size :]
            stored[one.key, one.kind] = torch.frombuffer(raw, dtype=dtype) if raw else torch.empty(0, dtype=dtype)
        flat = stored[one.key, one.kind]
        last = one.offset + sum((length - 1) * step for length, step in zip(one.shape, one.strides, strict=True))
        if last >= len(flat) and 0 not in one.shape:
            raise PickleError(f"{name[:60]!r} claims more numbers than the file has")
        made[name] = flat.as_strided(one.shape, one.strides, one.offset if 0 not in one.shape else 0)
    return made
