"""Weight files: safetensors, and torch files by the reader that makes tensors and nothing else.

Names of the original DARTS code become ours: `cells.K._ops.E._ops.O.op.I` -> `cells.K.ops.E.ops.O.I`; the prefix
`module.` of parallel training goes; a "state_dict" inside a checkpoint is unwrapped.
"""

import os
import re
import warnings
import zipfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dartboard.errors import InputError
from dartboard.formats.files import check_file, shown
from dartboard.paths import UNDECODED
from dartboard.search_space import quote

if TYPE_CHECKING:
    from torch import Tensor

ZIP = b"PK\x03\x04"  # torch files since torch 1.6
PICKLE = b"\x80"  # torch files before


def load_weights(path: str | os.PathLike[str]) -> "dict[str, Tensor]":
    """The tensors of a weight file by our names, on the CPU, shapes and dtypes as in the file.

    Raises InputError in one line: no ordinary file, neither safetensors nor torch, cut off or damaged, something in it
    that is no tensor (code is refused, never run), two tensors of one name.
    """
    check_file(path)
    start = first_bytes(path)
    if start.startswith((ZIP, PICKLE)):
        found = read_torch(path, start)
    elif start[8:9] == b"{":  # after the length of the header
        found = read_safetensors(path)
    else:
        raise InputError(f"{shown(path)} is no weight file; give safetensors or what torch.save wrote")
    return renamed(path, found)


def first_bytes(path: str | os.PathLike[str]) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(16)
    except OSError as error:
        raise InputError(f"{shown(path)} cannot be read: {error.strerror}") from error


def read_safetensors(path: str | os.PathLike[str]) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load, load_file

    try:
        if UNDECODED.search(os.fspath(path)):  # load_file takes only names that are UTF-8
            with open(path, "rb") as file:
                return load(file.read())
        return load_file(os.fspath(path), device="cpu")
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError, MemoryError) as error:
        raise damaged(path, error) from error


def read_torch(path: str | os.PathLike[str], start: bytes) -> Any:
    """What the file holds, made by torch's restricted reader."""
    import torch

    if start.startswith(ZIP):
        check_archive(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the age of the file; one line is all a person gets
            return torch.load(os.fspath(path), map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise anything at all
        raise damaged(path, error) from error


def check_archive(path: str | os.PathLike[str]) -> None:
    """Refuses compressed archives: torch writes none, and a small one could unpack to fill the memory."""
    try:
        with zipfile.ZipFile(path) as archive:
            compressed = [entry for entry in archive.infolist() if entry.compress_type != zipfile.ZIP_STORED]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise damaged(path, error) from error
    if compressed:
        raise InputError(f"{shown(path)} is a compressed archive, no weight file; give what torch.save wrote")


def damaged(path: str | os.PathLike[str], error: Exception) -> InputError:
    """One line for whatever went wrong in reading; says which code a torch file asked for."""
    asked = re.search(r"GLOBAL (\S+)", str(error))
    if asked:
        reason = f"it asks for {quote(asked[1])}, and only tensors are read; save the state_dict alone"
        return InputError(f"{shown(path)} is refused: {reason}")
    reason = " ".join(str(error).rpartition("WeightsUnpickler error:")[2].split())[:100] or type(error).__name__
    return InputError(f"{shown(path)} cannot be read as weights; it is cut off or damaged ({reason})")


def renamed(path: str | os.PathLike[str], found: Any) -> "dict[str, Tensor]":
    """The tensors by our names."""
    from torch import Tensor

    if isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):
        found = found["state_dict"]
    if not isinstance(found, Mapping) or not found:
        raise InputError(f"{shown(path)} holds {quote(type(found).__name__)}; give a file with named tensors")
    weights: dict[str, Tensor] = {}
    for name, tensor in found.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise InputError(f"{shown(path)}: {quote(name)} is {quote(type(tensor).__name__)}, no tensor")
        if our_name(name) in weights:
            raise InputError(f"{shown(path)} has two tensors for {quote(our_name(name))}; give one")
        check_tensor(path, name, tensor)
        weights[our_name(name)] = tensor
    return weights


def check_tensor(path: str | os.PathLike[str], name: str, tensor: "Tensor") -> None:
    """Refuses a tensor that claims more numbers than the file holds: a step through the same ones again and again."""
    import torch

    if tensor.layout != torch.strided or tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise InputError(f"{shown(path)}: {quote(name)} is no ordinary tensor; save it with .contiguous()")


def our_name(name: str) -> str:
    """The name of a tensor in our networks, from its name in the original code's."""
    words = name.removeprefix("module.").split(".")
    ours = {"_ops": "ops", "stem0": "stem"}
    return ".".join(ours.get(word, word) for word in words if word != "op")
