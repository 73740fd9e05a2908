"""Weight files: safetensors, and torch files by dartboard's own reader, which makes tensors and nothing else.

Names of the original DARTS code become ours: `cells.K._ops.E._ops.O.op.I` -> `cells.K.ops.E.ops.O.I`; what a checkpoint
or a wrapper puts around them goes (checkpoints.py).
"""

import os
import struct
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from dartboard.errors import InputError
from dartboard.formats import file_kinds
from dartboard.formats.checkpoints import stripped, weights_in
from dartboard.formats.files import check_file, member_of, shown
from dartboard.formats.pickle_values import OtherFileError, PickleError
from dartboard.formats.torch_files import Odd, opened, tensors_of
from dartboard.paths import UNDECODED
from dartboard.spaces.search_space import quote

if TYPE_CHECKING:
    from torch import Tensor

ZIP = b"PK\x03\x04"  # torch files since torch 1.6
PICKLE = b"\x80"  # torch files before
DAMAGE = (  # what readers raise if a file is cut off or overwritten
    *(PickleError, OSError, zipfile.BadZipFile, struct.error, EOFError),
    *(ValueError, KeyError, IndexError, RuntimeError, OverflowError, MemoryError),
)
MAX_HEADER = 8 * 1024 * 1024  # bytes of the header of safetensors, which takes some hundred a tensor


def load_weights(path: str | os.PathLike[str]) -> "dict[str, Tensor]":
    """The tensors of a weight file by our names, on the CPU, shapes and dtypes as in the file.

    path may be FILE:KEY for one of several dicts of tensors in a checkpoint. Raises InputError in one line: no ordinary
    file, neither safetensors nor torch, cut off or damaged, something else than tensors (code is never run), two
    tensors of one name.
    """
    file, key = member_of(os.fspath(path))
    check_file(file)
    start = first_bytes(file)
    if fits_safetensors(start, os.stat(file).st_size):
        found = read_safetensors(file)
    elif start.startswith((ZIP, PICKLE)):
        found = read_torch(file, key or None, start.startswith(ZIP))
    elif start[8:9] == b"{" and not start.lstrip().startswith(b"{"):
        found = read_safetensors(file)  # which says what is wrong with it
    else:
        raise InputError(f"{shown(file)} {file_kinds.kind_of(start)}")
    return renamed(file, found)


def first_bytes(path: str | os.PathLike[str]) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(300)
    except OSError as error:
        raise InputError(f"{shown(path)} cannot be read: {error.strerror}") from error


def fits_safetensors(start: bytes, size: int) -> bool:
    """Whether a file begins with the length of a header that it can hold. The first byte of a length may be anything,
    that of a pickle, too."""
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= size - 8


def read_safetensors(path: str | os.PathLike[str]) -> "dict[str, Tensor]":
    from safetensors import SafetensorError
    from safetensors.torch import load, load_file

    try:
        with open(path, "rb") as file:
            header = int.from_bytes(file.read(8), "little")
            if header > min(MAX_HEADER, os.fstat(file.fileno()).st_size - 8):
                raise ValueError("its header claims more than there is")
        if UNDECODED.search(os.fspath(path)):  # load_file takes only names that are UTF-8
            with open(path, "rb") as file:
                return load(file.read())
        return load_file(os.fspath(path), device="cpu")
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError, MemoryError) as error:
        raise damaged(path, error) from error


def read_torch(path: str | os.PathLike[str], key: str | None, is_zip: bool) -> "dict[str, Tensor]":
    """The weights in the file, which may be inside a checkpoint."""
    try:
        with opened(Path(path), is_zip) as content:
            wanted = weights_in(content.value, key, shown(path))
            plain = {name: one for name, one in wanted.items() if not isinstance(one, Odd)}
            if odd := [name for name in wanted if name not in plain]:
                raise InputError(f"{shown(path)}: {quote(odd[0])} is not a plain tensor; save it with .contiguous()")
            return tensors_of(content, plain)
    except OtherFileError as error:
        raise InputError(f"{shown(path)} {error}") from error
    except DAMAGE as error:
        raise damaged(path, error) from error


def damaged(path: str | os.PathLike[str], error: Exception) -> InputError:
    """One line for whatever went wrong in reading."""
    reason = " ".join(str(error).split())[:160] if isinstance(error, PickleError) else type(error).__name__
    return InputError(f"{shown(path)} cannot be read as weights; it is cut off or damaged ({reason})")


def renamed(path: str | os.PathLike[str], found: "dict[str, Tensor]") -> "dict[str, Tensor]":
    """The tensors by our names."""
    weights: dict[str, Tensor] = {}
    for name, short in stripped(found).items():
        if our_name(short) in weights:
            raise InputError(f"{shown(path)} has two tensors for {quote(our_name(short))}; give one")
        check_tensor(path, name, found[name])
        weights[our_name(short)] = found[name]
    return weights


def check_tensor(path: str | os.PathLike[str], name: str, tensor: "Tensor") -> None:
    """Refuses a tensor that claims more numbers than the file holds: a step through the same ones again and again."""
    import torch

    if tensor.layout != torch.strided or tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise InputError(f"{shown(path)}: {quote(name)} is not a plain tensor; save it with .contiguous()")


def our_name(name: str) -> str:
    """The name of a tensor in our networks, from its name in the original code's networks."""
    words = name.split(".")
    ours = {"_ops": "ops", "stem0": "stem"}
    return ".".join(ours.get(word, word) for word in words if word != "op")
