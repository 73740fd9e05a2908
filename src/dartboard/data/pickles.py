"""Reads the pickles of the CIFAR Python layout, and no others.

A pickle is a program that may name any function to be called. Here a first pass over its instructions, which runs
nothing, refuses all that these files do not need; then the names that are left stand for the few plain functions
below, which rebuild an array of numbers from its bytes. No name leads to anything outside this file.
"""

import io
import math
import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dartboard.errors import InputError

MAX_BYTES = 256 * 1024 * 1024  # the largest official file has 155 MB
MAX_INSTRUCTIONS = 2_000_000  # the largest official file has some 300,000
MAX_LOOSE_TUPLES = 1000
MEMO = ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE")
TUPLES = ("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3")
ALLOWED = {
    *("PROTO", "FRAME", "STOP", "MARK", "EMPTY_DICT", "DICT", "EMPTY_LIST", "LIST", "EMPTY_TUPLE"),
    *("SETITEM", "SETITEMS", "APPEND", "APPENDS", "NONE", "NEWTRUE", "NEWFALSE"),
    *("INT", "BININT", "BININT1", "BININT2", "LONG1", "STRING", "BINSTRING", "SHORT_BINSTRING"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    *("GET", "BINGET", "LONG_BINGET", "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD"),
    *(*MEMO, *TUPLES),
}
KINDS = ("u1", "i1", "i2", "i4", "i8", "u2", "u4", "u8")


class RefusedError(pickle.UnpicklingError):
    """The pickle asks for something that these files do not need."""


class Kind:
    """Stands for numpy.dtype: whole numbers only."""

    __slots__ = ("code",)

    def __init__(self, code: str) -> None:
        self.code = code

    def __setstate__(self, state: Any) -> None:
        order = text(state[1])
        if order not in ("|", "<", "=", ">"):
            raise RefusedError(f"numbers in the byte order {order[:20]!r}")
        self.code = f"{order}{self.code[-2:]}"


class Array:
    """Stands for numpy.ndarray: filled from raw bytes."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: NDArray[Any] = np.empty(0, np.uint8)

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, fortran, raw = state
        self.fill(raw, kind, shape, "F" if fortran else "C")

    def fill(self, raw: Any, kind: Any, shape: Any, order: Any) -> None:
        if not isinstance(raw, bytes | bytearray) or not isinstance(kind, Kind) or order not in ("C", "F"):
            raise RefusedError("an array that is not made of plain numbers")
        if not isinstance(shape, tuple) or not all(type(n) is int and 0 <= n <= MAX_BYTES for n in shape):
            raise RefusedError("an array of an impossible shape")
        if len(shape) > 4 or math.prod(shape) * int(kind.code[-1]) != len(raw):
            raise RefusedError("an array whose bytes do not fit its shape")
        self.value = np.frombuffer(raw, kind.code).reshape(shape, order=order)


class Name:
    """Stands for a name in a pickle; it can only be called."""

    __slots__ = ("make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self.make = make

    def __call__(self, *args: Any) -> Any:
        return self.make(*args)

    def __setstate__(self, state: Any) -> None:
        raise RefusedError("a function that is to be changed")


def text(value: Any) -> str:
    if isinstance(value, bytes) and len(value) < 100:
        return value.decode("latin1")
    if isinstance(value, str):
        return value
    raise RefusedError("something else where a text belongs")


def make_kind(code: Any, align: Any = False, copy: Any = False) -> Kind:
    if text(code) not in KINDS:
        raise RefusedError(f"numbers of the kind {text(code)[:20]!r}")
    return Kind(text(code))


def make_array(array: Any, shape: Any, kind: Any) -> Array:
    return Array()


def array_from_buffer(raw: Any, kind: Any, shape: Any, order: Any) -> Array:
    array = Array()
    array.fill(raw, kind, shape, text(order))
    return array


NAMES: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): make_array,
    ("numpy", "dtype"): make_kind,
    ("numpy.core.multiarray", "_reconstruct"): make_array,
    ("numpy._core.multiarray", "_reconstruct"): make_array,
    ("numpy.core.numeric", "_frombuffer"): array_from_buffer,
    ("numpy._core.numeric", "_frombuffer"): array_from_buffer,
}


class Reader(pickle.Unpickler):
    """An unpickler in which every admitted name is one of the functions above, or its own `encode`."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="bytes")
        self.left = len(content)  # bytes that may still be made of texts: no text need be used twice

    def encode(self, value: Any, codec: Any) -> bytes:
        """Python 3 writes bytes in the older protocols as a text with this call."""
        if not isinstance(value, str) or text(codec) not in ("latin1", "latin-1"):
            raise RefusedError("another text encoding than latin1")
        self.left -= len(value)
        if self.left < 0:
            raise RefusedError("texts that are used many times")
        return value.encode("latin1")

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        if (module_name, global_name) == ("_codecs", "encode"):
            return Name(self.encode)
        if (module_name, global_name) not in NAMES:
            raise RefusedError(f"the name {f'{module_name}.{global_name}'[:80]!r}")
        return Name(NAMES[module_name, global_name])


def check_instructions(content: bytes) -> None:
    """A pass that runs nothing. Raises RefusedError for instructions that are not needed, that number their memory
    beyond its size, or that nest tuples deeply (their hash would overflow the stack)."""
    loose = 0
    before = ""
    for number, (instruction, argument, _) in enumerate(pickletools.genops(content)):
        name = instruction.name
        if number > MAX_INSTRUCTIONS:
            raise RefusedError("too many instructions")
        if name not in ALLOWED:
            raise RefusedError(f"the instruction {name}")
        if name in MEMO:
            if isinstance(argument, int) and not 0 <= argument <= number:
                raise RefusedError(f"memory number {argument}")
            continue
        loose += before in TUPLES and name not in ("REDUCE", "BUILD")
        if loose > MAX_LOOSE_TUPLES:
            raise RefusedError("too many tuples")
        before = name


def read_pickle(file: Path) -> dict[str, Any]:
    """The dict in the file, its keys as text, its arrays as numpy arrays (top level only).

    Raises InputError for anything that is not such a pickle, and OSError if the file cannot be read.
    """
    if file.stat().st_size > MAX_BYTES:
        raise InputError(f"{file} is larger than {MAX_BYTES // 1024**2} MiB; it is not a file of this data set")
    content = file.read_bytes()
    try:
        check_instructions(content)
        value = Reader(content).load()
        if not isinstance(value, dict):
            raise RefusedError("something that is not a dict")
        return {text(key): item.value if isinstance(item, Array) else item for key, item in value.items()}
    except RefusedError as error:
        raise InputError(f"{file} is refused: its pickle holds {error}, which CIFAR files do not need") from error
    except (pickle.UnpicklingError, ValueError, TypeError, IndexError, KeyError, EOFError, AttributeError) as error:
        raise InputError(f"{file} is not a valid pickle of this data set; copy or download it again") from error
    except (MemoryError, OverflowError, RecursionError) as error:
        raise InputError(f"{file} is not a pickle of this data set: it asks for too much") from error
