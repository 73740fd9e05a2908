"""The grammar of `Genotype(...)` text, read by hand: no text is ever run, and nothing but this is understood.

    text     := [NAME "="] "Genotype" "(" [argument {"," argument} [","]] ")"
    argument := NAME "=" value
    value    := STRING | NUMBER | "[" items "]" | "(" items ")" | "range" "(" NUMBER "," NUMBER ")"
    items    := [value {"," value} [","]]

Spaces, line ends and `# comments` may stand between any two tokens. Strings are in single or double quotes, without
escapes; numbers are whole. `(value)` without a comma is the value, as in Python; lists and tuples both become lists.
"""

import re
from dataclasses import dataclass
from typing import Any

from dartboard.errors import InputError
from dartboard.formats.limits import MAX_DIGITS, check_depth
from dartboard.search_space import quote

TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n\f]+|\#[^\n]*)
    | (?P<name>[A-Za-z_][A-Za-z_0-9]*)
    | (?P<number>-?[0-9]+)
    | (?P<string>'[^'\\\n]*'|"[^"\\\n]*")
    | (?P<mark>[=(),\[\]])""",
    re.VERBOSE,
)
MAX_RANGE = 100


@dataclass(frozen=True)
class Token:
    """kind: name, number, string, mark, or end; start: position in the text."""

    kind: str
    text: str
    start: int


def parse_genotype(text: str) -> dict[str, Any]:
    """The arguments of `Genotype(...)`: strings, numbers and (nested) lists by name. Raises InputError.

    The text must have passed `limits.check_text`; the depth of brackets bounds the recursion here.
    """
    found = tokens(text)
    check_depth(token.text for token in found if token.kind == "mark")
    reader = Reader(text, found)
    if reader.next_is("name") and not reader.next_is("name", "Genotype"):
        reader.take("name")
        reader.take("mark", "=")
    reader.take("name", "Genotype")
    fields = reader.arguments()
    reader.take("end", "")
    return fields


def tokens(text: str) -> list[Token]:
    """The tokens of the text, an end token last."""
    found, position = [], 0
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise InputError(f"{place(text, position)}: {quote(text[position])} has no meaning here")
        if match.lastgroup != "space":
            found.append(Token(str(match.lastgroup), match.group(), position))
        position = match.end()
    return [*found, Token("end", "", len(text))]


def place(text: str, position: int) -> str:
    """Where in the text, as people count."""
    return f"line {text.count(chr(10), 0, position) + 1}, column {position - text.rfind(chr(10), 0, position)}"


class Reader:
    """The tokens from `position` on; each method reads one rule of the grammar."""

    def __init__(self, text: str, tokens: list[Token]) -> None:
        self.text, self.tokens, self.position = text, tokens, 0

    def next_is(self, kind: str, text: str | None = None) -> bool:
        """Whether the next token is of this kind, and reads so."""
        token = self.tokens[self.position]
        return token.kind == kind and text in (None, token.text)

    def take(self, kind: str, text: str | None = None) -> str:
        """The text of the next token, which must be of this kind and text."""
        if not self.next_is(kind, text):
            raise self.unexpected("the end" if kind == "end" else repr(text) if text else f"a {kind}")
        self.position += 1
        return self.tokens[self.position - 1].text

    def unexpected(self, wanted: str) -> InputError:
        """The error for the next token."""
        token = self.tokens[self.position]
        found = "the end" if token.kind == "end" else quote(token.text)
        return InputError(f"{place(self.text, token.start)}: expected {wanted}, found {found}")

    def arguments(self) -> dict[str, Any]:
        """The values by name, each name once."""
        fields: dict[str, Any] = {}
        self.take("mark", "(")
        while not self.next_is("mark", ")"):
            name = self.take("name")
            if name in fields:
                raise InputError(f"{quote(name)} is given twice; give it once")
            self.take("mark", "=")
            fields[name] = self.value()
            if not self.next_is("mark", ")"):
                self.take("mark", ",")
        self.take("mark", ")")
        return fields

    def value(self) -> Any:
        """A string, a number, or a list of values."""
        if self.next_is("string"):
            return self.take("string")[1:-1]
        if self.next_is("number"):
            return self.number()
        if self.next_is("name", "range"):
            return self.span()
        if self.next_is("mark", "["):
            return self.items("[", "]")[0]
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

    def number(self) -> int:
        """A whole number of at most MAX_DIGITS digits."""
        digits = self.take("number")
        if len(digits) > MAX_DIGITS:
            raise InputError(f"the number {quote(digits)} is too large; nodes are small whole numbers")
        return int(digits)

    def span(self) -> list[int]:
        """range(first, end) written out, at most MAX_RANGE numbers."""
        self.take("name", "range")
        self.take("mark", "(")
        first = self.number()
        self.take("mark", ",")
        end = self.number()
        self.take("mark", ")")
        if end - first > MAX_RANGE:
            raise InputError(f"range({first}, {end}) is too long; give at most {MAX_RANGE} numbers")
        return list(range(first, end))
