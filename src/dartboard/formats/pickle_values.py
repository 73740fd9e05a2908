"""What a pickle describes, as plain values: no name in it is looked up, nothing is called, and it cannot ask for much.

A pickle is a program for a small machine with a stack. This one makes numbers, texts, lists and dicts; a name becomes a
`Name`, and the call of anything a `Made`, a record of what was to be called with what. So the file of a training script
is read past the objects of that script. All reading is inside the given bytes, whatever lengths they claim.
"""

import mmap
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MAX_INSTRUCTIONS = 2_000_000  # 40 a tensor; the supernet of a search with its optimizers takes 500,000
MAX_NAMES = 100_000  # a pickler writes each once
MAX_NUMBER = 64  # bytes, or digits, of a whole number
MAX_LINE = 10_000  # bytes of an argument that ends with its line


class PickleError(Exception):
    """The bytes are not a pickle, or are one that asks for more than weights need."""


class OtherFileError(PickleError):
    """The file is none of torch.save; the message says what it is, and what to do."""


@dataclass(slots=True)
class Name:
    """A class or function that the pickle names: module and name, joined by a dot."""

    text: str


@dataclass(slots=True)
class Made:
    """The result of a call that was not made; function: a Name, or whatever else was to be called."""

    function: Any
    arguments: Any
    state: Any = None


@dataclass(slots=True)
class Outside:
    """What the file has outside of its pickle, by the key that it has there: the numbers of tensors."""

    key: Any


NUMBERS = {b"J": "<i", b"K": "<B", b"M": "<H", b"G": ">d"}
TEXTS = {  # the struct of the length, and the encoding, None for bytes
    b"T": ("<i", "latin1"),
    b"U": ("<B", "latin1"),
    b"X": ("<I", "utf-8"),
    b"\x8c": ("<B", "utf-8"),
    b"\x8d": ("<Q", "utf-8"),
    b"B": ("<I", None),
    b"C": ("<B", None),
    b"\x8e": ("<Q", None),
    b"\x96": ("<Q", None),
}
CONSTANTS: dict[bytes, Callable[[], Any]] = {
    b"N": lambda: None,
    b"\x88": lambda: True,
    b"\x89": lambda: False,
    b"]": list,
    b")": tuple,
    b"}": dict,
    b"\x8f": list,
}
TUPLES = {b"\x85": 1, b"\x86": 2, b"\x87": 3}
GETS = {b"h": "<B", b"j": "<I"}
PUTS = {b"q": "<B", b"r": "<I"}
LONGS = {b"\x8a": "<B", b"\x8b": "<i"}
IGNORED = {b"\x80": 1, b"\x95": 8}  # PROTO, FRAME: bytes of their argument
DICTS = ("collections.OrderedDict", "collections.defaultdict")


def read_value(content: bytes | mmap.mmap, position: int = 0) -> tuple[Any, int]:
    """The value of the pickle that begins at `position`, and where it ends. Raises PickleError."""
    machine = Machine(content, position)
    try:
        return machine.run(), machine.position
    except (IndexError, KeyError, TypeError, ValueError, struct.error, OverflowError, RecursionError) as error:
        raise PickleError(f"its pickle is damaged at byte {machine.position}") from error


class Machine:
    """The stack, the marks on it, and what was remembered by number."""

    def __init__(self, content: bytes | mmap.mmap, position: int) -> None:
        self.content, self.position = content, position
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memory: dict[int, Any] = {}
        self.names = 0

    def run(self) -> Any:
        """Does one instruction after the other, up to STOP."""
        steps, content = STEPS, self.content
        for _ in range(MAX_INSTRUCTIONS):
            code = content[self.position : self.position + 1]
            self.position += 1
            if code == b".":
                return self.stack.pop()
            if (step := steps.get(code)) is None:
                raise PickleError(f"its pickle holds the unknown instruction {code!r}")
            step(self, code)
        raise PickleError(f"its pickle has more than {MAX_INSTRUCTIONS:,} instructions")

    def take(self, size: int) -> bytes:
        """The next bytes of the content."""
        if not 0 <= size <= len(self.content) - self.position:
            raise PickleError("its pickle claims more bytes than the file has")
        self.position += size
        return self.content[self.position - size : self.position]

    def unpack(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def line(self) -> str:
        """The argument up to the end of its line."""
        end = self.content.find(b"\n", self.position, self.position + MAX_LINE)
        if end < 0:
            raise PickleError("its pickle is cut off")
        return self.take(end + 1 - self.position)[:-1].decode("latin1")

    def from_mark(self) -> list[Any]:
        """What lies above the last mark, which goes."""
        above, self.stack = self.stack, self.below.pop()
        return above


def push_number(machine: Machine, code: bytes) -> None:
    machine.stack.append(machine.unpack(NUMBERS[code]))


def push_text(machine: Machine, code: bytes) -> None:
    form, encoding = TEXTS[code]
    content = machine.take(machine.unpack(form))
    machine.stack.append(content if encoding is None else content.decode(encoding, "surrogatepass"))


def push_constant(machine: Machine, code: bytes) -> None:
    machine.stack.append(CONSTANTS[code]())


def push_long(machine: Machine, code: bytes) -> None:
    size = machine.unpack(LONGS[code])
    if size > MAX_NUMBER:
        raise PickleError("its pickle holds a number of too many digits")
    machine.stack.append(int.from_bytes(machine.take(size), "little", signed=True))


def push_line(machine: Machine, code: bytes) -> None:
    """INT, LONG, FLOAT, STRING, UNICODE of the oldest protocol, where only texts may be long."""
    line = machine.line()
    if code in b"SV":
        machine.stack.append(line.strip("'\""))
    elif len(line) > MAX_NUMBER:
        raise PickleError("its pickle holds a number of too many digits")
    elif code == b"F":
        machine.stack.append(float(line))
    else:
        machine.stack.append({"00": False, "01": True}[line] if line in ("00", "01") else int(line.rstrip("L")))


def push_name(machine: Machine, code: bytes) -> None:
    machine.names += 1
    if machine.names > MAX_NAMES:
        raise PickleError(f"its pickle has more than {MAX_NAMES:,} names")
    machine.stack.append(Name(f"{machine.line()}.{machine.line()}"))


def push_stacked_name(machine: Machine, code: bytes) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(Name(f"{module}.{name}" if isinstance(module, str) and isinstance(name, str) else "?"))


def push_outside(machine: Machine, code: bytes) -> None:
    machine.stack.append(Outside(machine.line() if code == b"P" else machine.stack.pop()))


def mark(machine: Machine, code: bytes) -> None:
    machine.below.append(machine.stack)
    machine.stack = []


def pop(machine: Machine, code: bytes) -> None:
    """Takes away the top, or the mark if nothing is above it."""
    if code == b"1" or not machine.stack:
        machine.from_mark()
    else:
        machine.stack.pop()


def double(machine: Machine, code: bytes) -> None:
    machine.stack.append(machine.stack[-1])


def make_small_tuple(machine: Machine, code: bytes) -> None:
    items = tuple(machine.stack[-TUPLES[code] :])
    if len(items) < TUPLES[code]:
        raise PickleError("its pickle is damaged")
    del machine.stack[-TUPLES[code] :]
    machine.stack.append(items)


def make_tuple(machine: Machine, code: bytes) -> None:
    items = tuple(machine.from_mark())
    machine.stack.append(items)


def make_list(machine: Machine, code: bytes) -> None:
    items = machine.from_mark()
    machine.stack.append(items)


def make_dict(machine: Machine, code: bytes) -> None:
    items = machine.from_mark()
    machine.stack.append({})
    put_items(machine.stack[-1], items)


def put_items(target: Any, items: list[Any]) -> None:
    """Fills a dict; into what was not made nothing is put, nor what has no plain key (a deep one costs the stack)."""
    if isinstance(target, dict):
        for key, value in zip(items[0::2], items[1::2], strict=True):
            if key is None or isinstance(key, str | int | float | bytes):
                target[key] = value


def set_item(machine: Machine, code: bytes) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    put_items(machine.stack[-1], [key, value])


def set_items(machine: Machine, code: bytes) -> None:
    items = machine.from_mark()
    put_items(machine.stack[-1], items)


def append(machine: Machine, code: bytes) -> None:
    items = [machine.stack.pop()] if code == b"a" else machine.from_mark()
    if isinstance(machine.stack[-1], list):
        machine.stack[-1].extend(items)


def get(machine: Machine, code: bytes) -> None:
    number = int(machine.line()) if code == b"g" else machine.unpack(GETS[code])
    machine.stack.append(machine.memory[number])


def put(machine: Machine, code: bytes) -> None:
    """Remembers the top, by the number given or by the next."""
    if code == b"\x94":
        number = len(machine.memory)
    else:
        number = int(machine.line()) if code == b"p" else machine.unpack(PUTS[code])
    machine.memory[number] = machine.stack[-1]


def call(machine: Machine, code: bytes) -> None:
    """REDUCE and the making of objects: what would be called, and with what. Dicts of the library are made."""
    if code == b"\x92":
        machine.stack.pop()  # arguments by name
    if code in (b"o", b"i"):
        function = Name(f"{machine.line()}.{machine.line()}") if code == b"i" else None
        items = machine.from_mark()
        function, arguments = (items[0], tuple(items[1:])) if function is None else (function, tuple(items))
    else:
        arguments, function = machine.stack.pop(), machine.stack.pop()
    if isinstance(function, Name) and function.text in DICTS:
        machine.stack.append({})
        pairs = arguments[0] if isinstance(arguments, tuple) and arguments else ()
        for pair in pairs if isinstance(pairs, list) else ():
            if isinstance(pair, list | tuple) and len(pair) == 2:
                put_items(machine.stack[-1], list(pair))
    else:
        machine.stack.append(Made(function, arguments))


def build(machine: Machine, code: bytes) -> None:
    state = machine.stack.pop()
    if isinstance(machine.stack[-1], Made):
        machine.stack[-1].state = state


def ignore(machine: Machine, code: bytes) -> None:
    machine.take(IGNORED[code])


STEPS: dict[bytes, Callable[[Machine, bytes], None]] = {
    **dict.fromkeys(NUMBERS, push_number),
    **dict.fromkeys(TEXTS, push_text),
    **dict.fromkeys(CONSTANTS, push_constant),
    **dict.fromkeys(LONGS, push_long),
    **dict.fromkeys((b"I", b"L", b"F", b"S", b"V"), push_line),
    **dict.fromkeys(TUPLES, make_small_tuple),
    **dict.fromkeys(IGNORED, ignore),
    **dict.fromkeys((b"g", *GETS), get),
    **dict.fromkeys((b"p", b"\x94", *PUTS), put),
    **dict.fromkeys((b"R", b"\x81", b"\x92", b"o", b"i"), call),
    **dict.fromkeys((b"a", b"e", b"\x90"), append),
    **dict.fromkeys((b"P", b"Q"), push_outside),
    **dict.fromkeys((b"0", b"1"), pop),
    b"c": push_name,
    b"\x93": push_stacked_name,
    b"(": mark,
    b"2": double,
    b"t": make_tuple,
    b"l": make_list,
    b"\x91": make_list,
    b"d": make_dict,
    b"s": set_item,
    b"u": set_items,
    b"b": build,
}
