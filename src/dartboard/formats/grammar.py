"""The grammar of `Genotype(...)` text, read by hand: no text is ever run, and nothing but this is understood.

    text     := ("Genotype" | "dict") "(" [argument {"," argument} [","]] ")" | dict
    argument := [NAME "="] (value | "None" | "True" | "False")
    value    := STRING | NUMBER | "[" items "]" | "(" items ")" | "{" items "}" | dict | range | made
    items    := [value {"," value} [","]]
    dict     := "{" [STRING ":" value {"," STRING ":" value} [","]] "}"
    range    := ("range" | "arange") "(" NUMBER ["," NUMBER ["," NUMBER]] ")"
    made     := ("list" | "tuple" | "array" | "tensor" | "int64" | ...) "(" [value {"," NAME "=" anything}] ")"

A NAME may have modules before it (`np.int64`). Spaces, line ends and `# comments` may stand between any two tokens.
Strings are in single or double quotes. `(value)` without a comma is the value, as in Python; lists, tuples, sets,
arrays and tensors all become lists. What follows the last bracket is not looked at.
"""

import re
from dataclasses import dataclass
from typing import Any

from dartboard.errors import InputError
from dartboard.formats.limits import CLOSING, MAX_DEPTH, MAX_DIGITS, OPENING, check_depth
from dartboard.spaces.search_space import quote

TOKEN = re.compile(
    r"""(?P<space>(?:[ \t\n\f]|\\[nrt\n])+|\#[^\n]*)
    | (?P<string>[uUbB]?(?:'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|\\+'[^'\\\n]*\\+'|\\+"[^"\\\n]*\\+"))
    | (?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)
    | (?P<number>-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)
    | (?P<other><[^<>\n]*>)
    | (?P<mark>[=(),:\[\]{}])""",
    re.VERBOSE | re.ASCII,
)
MAX_RANGE = 100
SPANS = ("range", "arange")
MAKERS = {
    *("list", "tuple", "array", "asarray", "tensor", "Tensor", "LongTensor", "IntTensor", "str", "str_", "int", "long"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "intp", "float32", "float64", "float"),
}
CONSTANTS = {"None": None, "True": True, "False": False, "null": None, "true": True, "false": False}


@dataclass(frozen=True)
class Token:
    """kind: name, number, string, other, mark, or end; start: position in the text."""

    kind: str
    text: str
    start: int


@dataclass(frozen=True)
class Call:
    """What the brackets of `Genotype(...)` hold; of a dict, all by name."""

    positional: tuple[Any, ...]
    named: dict[str, Any]


class FormError(InputError):
    """The text is not of the grammar."""


def parse_genotype(text: str, line: int = 1, column: int = 1) -> Call:
    """The arguments of the `Genotype(...)`, or the dict, at the beginning of the text.

    Strings, numbers, (nested) lists and dicts. line, column: of that beginning, for messages. Raises InputError:
    FormError if the text is not of the grammar. The depth of brackets bounds the recursion here.
    """
    reader = Reader(text, tokens(text, line, column), line, column)
    if reader.next_is("mark", "{"):
        return Call((), reader.mapping())
    reader.take("name")
    found = reader.arguments()
    following = text[reader.next.start : reader.next.start + 2]
    if re.match(r"\.[A-Za-z_]", following):
        raise FormError(f"{reader.place()}: the genotype is changed by the code after it, which is not run")
    return found


def tokens(text: str, line: int = 1, column: int = 1) -> list[Token]:
    """The tokens up to the bracket that closes the first one, an end token last."""
    found, position, level = [], 0, 0
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise FormError(f"{place(text, position, line, column)}: {quote(text[position])} has no meaning here")
        position = match.end()
        if match.lastgroup == "space":
            continue
        found.append(Token(str(match.lastgroup), match.group(), match.start()))
        if match.lastgroup == "mark":
            level += (match.group() in OPENING) - (match.group() in CLOSING)
            if level > MAX_DEPTH:
                check_depth(token.text for token in found if token.kind == "mark")
            if level <= 0:
                break
    return [*found, Token("end", "", position)]


def place(text: str, position: int, line: int = 1, column: int = 1) -> str:
    """Where in the text, as people count, of a text that begins at that line and column."""
    above = text.count("\n", 0, position)
    across = position - text.rfind("\n", 0, position) + (column - 1 if above == 0 else 0)
    return f"line {line + above}, column {across}"


class Reader:
    """The tokens from `position` on; each method reads one rule of the grammar."""

    def __init__(self, text: str, tokens: list[Token], line: int, column: int) -> None:
        self.text, self.tokens, self.position = text, tokens, 0
        self.line, self.column = line, column

    @property
    def next(self) -> Token:
        """The next token."""
        return self.tokens[self.position]

    def place(self) -> str:
        """Where the next token is."""
        return place(self.text, self.next.start, self.line, self.column)

    def next_is(self, kind: str, text: str | None = None, ahead: int = 0) -> bool:
        """Whether the next token, or the one so far ahead, is of this kind, and reads so."""
        token = self.tokens[min(self.position + ahead, len(self.tokens) - 1)]
        return token.kind == kind and text in (None, token.text)

    def take(self, kind: str, text: str | None = None) -> str:
        """The text of the next token, which must be of this kind and text."""
        if not self.next_is(kind, text):
            raise self.unexpected(repr(text) if text else f"a {kind}")
        self.position += 1
        return self.tokens[self.position - 1].text

    def unexpected(self, wanted: str) -> InputError:
        """The error for the next token."""
        found = "the end" if self.next.kind == "end" else quote(self.next.text)
        return FormError(f"{self.place()}: expected {wanted}, found {found}")

    def arguments(self) -> Call:
        """The values by place, then those by name, each name once."""
        positional: list[Any] = []
        fields: dict[str, Any] = {}
        self.take("mark", "(")
        while not self.next_is("mark", ")"):
            if self.next_is("name") and self.next_is("mark", "=", ahead=1):
                name = self.take("name")
                if name in fields:
                    raise InputError(f"{quote(name)} is given twice; give it once")
                self.take("mark", "=")
                fields[name] = self.argument()
            elif fields:
                raise self.unexpected("a name")
            else:
                positional.append(self.argument())
            if not self.next_is("mark", ")"):
                self.take("mark", ",")
        self.take("mark", ")")
        return Call(tuple(positional), fields)

    def argument(self) -> Any:
        """A value, or None, True or False."""
        return CONSTANTS[self.take("name")] if self.next.text in CONSTANTS else self.value()

    def value(self) -> Any:
        """A string, a number, a list of values, or a dict."""
        if self.next_is("string"):
            return self.take("string").lstrip("uUbB").strip("\\")[1:-1].rstrip("\\")
        if self.next_is("number"):
            return self.number()
        if self.next_is("name") and self.next_is("mark", "(", ahead=1):
            return self.made()
        if self.next_is("mark", "["):
            return self.items("[", "]")[0]
        if self.next_is("mark", "{"):
            is_dict = self.next_is("mark", "}", ahead=1) or self.next_is("mark", ":", ahead=2)
            return self.mapping() if is_dict else self.items("{", "}")[0]
        if self.next_is("mark", "("):
            values, has_comma = self.items("(", ")")
            return values[0] if len(values) == 1 and not has_comma else values
        raise self.unexpected("a list, a string, a number or range(a, b)")

    def items(self, opening: str, closing: str) -> tuple[list[Any], bool]:
        """The values between the brackets, and whether there is a comma among or after them."""
        values: list[Any] = []
        has_comma = False
        self.take("mark", opening)
        while not self.next_is("mark", closing):
            values.append(self.value())
            if not self.next_is("mark", closing):
                self.take("mark", ",")
                has_comma = True
        self.take("mark", closing)
        return values, has_comma

    def mapping(self) -> dict[str, Any]:
        """The values of a dict by their keys, each key once."""
        found: dict[str, Any] = {}
        self.take("mark", "{")
        while not self.next_is("mark", "}"):
            if not self.next_is("string"):
                raise self.unexpected("a string")
            key = self.value()
            if key in found:
                raise InputError(f"the key {quote(key)} is given twice; give it once")
            self.take("mark", ":")
            found[key] = self.argument()
            if not self.next_is("mark", "}"):
                self.take("mark", ",")
        self.take("mark", "}")
        return found

    def number(self) -> int | float:
        """A number of at most MAX_DIGITS digits, or a fraction."""
        digits = self.take("number")
        if digits.lstrip("-").isdigit():
            if len(digits) > MAX_DIGITS:
                raise InputError(f"the number {quote(digits)} is too large; nodes are small whole numbers")
            if digits.lstrip("-") != str(int(digits.lstrip("-"))):
                raise InputError(f"the number {quote(digits)} begins with 0; write it without")
            return int(digits)
        return float(digits[:40])

    def made(self) -> Any:
        """What range(...), list(...), np.int64(...), array([...], dtype=...) and their like are made of."""
        if self.next.text.rpartition(".")[2] in SPANS:
            return self.span()
        if self.next.text.rpartition(".")[2] not in MAKERS:
            raise self.unexpected("a list, a string, a number or range(a, b)")
        self.take("name")
        self.take("mark", "(")
        value = [] if self.next_is("mark", ")") else self.value()
        while not self.next_is("mark", ")"):
            self.take("mark", ",")
            if not self.next_is("mark", ")"):
                self.take("name")
                self.take("mark", "=")
                self.skip()
        self.take("mark", ")")
        return value

    def skip(self) -> None:
        """Passes over the rest of an argument: `dtype=int64`, `device=device(type='cuda', index=0)`."""
        level = 0
        while not self.next_is("end") and (level or self.next.text not in (",", ")")):
            level += (self.next.text in OPENING) - (self.next.text in CLOSING)
            self.position += 1

    def span(self) -> list[int]:
        """range(end), range(first, end) or range(first, end, step) written out, at most MAX_RANGE numbers."""
        name, bounds = self.take("name"), self.items("(", ")")[0]
        if not 1 <= len(bounds) <= 3 or not all(isinstance(bound, int) for bound in bounds) or bounds[2:] == [0]:
            raise InputError(f"{name}({', '.join(map(quote, bounds))}) is not a range of numbers; give {name}(2, 6)")
        numbers = range(*bounds)
        if len(numbers) > MAX_RANGE:
            text = ", ".join(map(str, bounds))
            raise InputError(f"{name}({text}) is too long; give at most {MAX_RANGE} numbers")
        return list(numbers)
