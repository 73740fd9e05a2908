"""Where in a text architectures stand, and which of them is meant. Searched as bytes, in time linear in them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import accumulate

from dartboard.errors import InputError
from dartboard.formats.genotype import ACTIVATIONS
from dartboard.formats.limits import MAX_PLACES
from dartboard.formats.surroundings import COLOUR

MAX_LISTED = 400  # letters of names that a message lists
LOOK_BACK = 300  # bytes before an architecture in which its name is looked for
GAP = rb"(?:[ \t\r\n]|\xc2\xa0|\xe2\x80\x8b|" + COLOUR + rb"){0,50}"
GENOTYPE = rb"(?:\r?\n)?".join(re.findall(rb".", b"Genotype"))  # a line of 80 columns may end inside it
QUOTE = rb"""(?:\\{0,4}["'`]|\xe2\x80[\x98-\x9f]|&quot;|&#39;|&#x27;)"""
KEY = rb"(?:space|choices|arch_normal|arch_reduction|(?:normal|reduce)(?:_concat|_n\d\w{0,20}|/\w{1,30})?)"
START = re.compile(
    rb"%s%s(?:\(|\xef\xbc\x88)|dict\((?=%s(?:normal|reduce)(?:_concat)?\s{0,9}=)|\{(?=%s%s%s%s%s:)"
    % (GENOTYPE, GAP, GAP, GAP, QUOTE, KEY, QUOTE, GAP)
)
VALUE_WORDS = rb"None|True|False|np|numpy|torch|array|tensor|list|tuple|range|normal|reduce|recurrent|concat"
# After "Genotype(": words about it, or code that would make one: Genotype(...), Genotype(), Genotype(normal=gene(x)).
NO_VALUE = re.compile(
    rb"\s*(?:\.\.\.|\xe2\x80\xa6|\)|\*\*|(?:\w+\s*=\s*)?(?!(?:%s)\b)[A-Za-z_]\w*\s*[.,()\[])" % VALUE_WORDS
)
DEFINED = re.compile(rb"\b(?:class|def)\s+\w*$")
MODULE = re.compile(r"(?:\w{1,80}\.){1,5}$")
PROMPT = r"(?:>>>|>|\$|\+|\.\.\.|In \[\d+\]:|[# \t])*"
TYPE = r"""(?::[ \t]*["'\w.\[\]]*(?:Genotype|Final|Any)["'\]]*[ \t]*)?"""
ASSIGNED = re.compile(PROMPT + r"([A-Za-z_]\w*)[ \t]*" + TYPE + r"=$")
ALIAS = re.compile(rb"(?m)^[ \t]*([^\s=#]{1,80})[ \t]*=[ \t]*(\w{1,80})[ \t\r]*(?:#.*)?$")
# Genotype(recurrent=..., or a first operation that is an activation.
RECURRENT = re.compile(
    rb"[^(]*\(\s*(?:recurrent\s*=|(?:normal\s*=\s*)?[\[(][\[(\s]*['\"](?:%s)['\"])" % "|".join(ACTIVATIONS).encode()
)
KEYED = re.compile(r"""["']([^"'\\]{1,80})["'][ \t]*:$""")


@dataclass(frozen=True)
class Place:
    """start: of the architecture, in bytes; name: what the text calls it; is_comment: it is commented out."""

    start: int
    name: str | None
    is_comment: bool


def places(data: bytes) -> list[Place]:
    """All places, in the order of the text. Raises InputError for more than MAX_PLACES."""
    found: list[Place] = []
    for number, match in enumerate(START.finditer(data)):
        if number >= MAX_PLACES:
            raise InputError(f"the text has more than {MAX_PLACES:,} genotypes; give its last part alone")
        before = data[max(0, match.start() - LOOK_BACK) : match.start()]
        is_call = not match.group().startswith(b"{")
        if is_call and (DEFINED.search(before) or NO_VALUE.match(data, match.end(), match.end() + 200)):
            continue
        found.append(place(match.start(), before))
    return found


def place(start: int, before: bytes) -> Place:
    """The place whose architecture begins there, with the name that the text before it gives it."""
    before = re.sub(COLOUR, b"", before) if b"\x1b" in before or b"\\" in before else before
    text = before.decode("utf-8", "replace").replace("\r", "\n")
    is_comment = ("\n" in text or len(before) < LOOK_BACK) and text.rpartition("\n")[2].lstrip().startswith("#")
    if text.endswith("."):
        text = MODULE.sub("", text)
    text = text.rstrip(" \t\n([\"'\\")
    if not text.endswith(("=", ":")):
        return Place(start, None, is_comment)
    is_complete = "\n" in text or len(before) < LOOK_BACK
    line = text.rpartition("\n")[2]
    match = (ASSIGNED.match(line) if is_complete else None) or KEYED.search(line)
    return Place(start, match[1] if match else None, is_comment)


def chosen(found: Sequence[Place], name: str | None, data: bytes) -> tuple[Place, str]:
    """The place that is meant, and a remark if it is one of several. Raises InputError.

    name: as FILE:NAME gives it, or None: the only one, or the last of several that have no names or all the same (a
    log). Several with names are refused: only the person knows which.
    """
    alive = [one for one in found if not one.is_comment] or list(found)
    if name is not None:
        alive = named(found, name, data)
    elif len(names := names_of(alive)) > 1:
        usable = names_of([one for one in alive if not is_recurrent(one, data)])
        shown = [name if name in usable else f"{name} (recurrent)" for name in names]
        raise SeveralError(f"several genotypes are here: {listed(shown)}; say which", (usable or names)[-1])
    last = alive[-1]
    of = "" if name is None else f" named {name}"
    remark = f"the last of {len(alive)} genotypes{of} (line {line_of(data, last.start)})" if len(alive) > 1 else ""
    return last, remark


class SeveralError(InputError):
    """Several named architectures, and none was asked for; example: the last name."""

    def __init__(self, message: str, example: str) -> None:
        super().__init__(message)
        self.example = example


def names_of(found: Sequence[Place]) -> list[str]:
    """The different names, in the order of the text."""
    return list(dict.fromkeys(one.name for one in found if one.name is not None))


def named(found: Sequence[Place], name: str, data: bytes) -> list[Place]:
    """The places of that name, or of the one that it stands for (`DARTS = DARTS_V2`). Raises InputError."""
    by_name: dict[str, list[Place]] = {}
    for one in found:
        if one.name is not None:
            by_name.setdefault(one.name, []).append(one)
    if not by_name:
        raise InputError(f"no genotype here has a name, so none is {name[:80]!r}; leave out the name")
    if name not in by_name:
        by_name |= aliased(by_name, data)
    if name not in by_name:
        raise no_such_name(name, by_name, data)
    return by_name[name]


def aliased(by_name: Mapping[str, list[Place]], data: bytes) -> dict[str, list[Place]]:
    """The places of names that stand for others, in up to ten steps; what a name is set to last counts."""
    stands_for = {alias.decode("utf-8", "replace"): other.decode() for alias, other in ALIAS.findall(data)}
    found = {}
    for alias in stands_for:
        other = alias
        for _ in range(10):
            if other in by_name:
                found[alias] = by_name[other]
                break
            other = stands_for.get(other, "")
    return found


def no_such_name(name: str, by_name: Mapping[str, list[Place]], data: bytes) -> InputError:
    """An InputError with the names that would do, the nearest one first, and those of recurrent cells apart."""
    recurrent = [known for known, hits in by_name.items() if is_recurrent(hits[-1], data)]
    usable = [known for known in by_name if known not in recurrent]
    near = get_close_matches(name, usable, n=1, cutoff=0.5)
    parts = [f"did you mean {near[0]!r}?"] if near else []
    parts += [f"the names here: {listed(usable)}"] if usable else ["there is no other cell here"]
    parts += [f"recurrent cells, which are not supported yet: {listed(recurrent)}"] if recurrent else []
    return InputError(f"unknown genotype {name[:80]!r}; {'; '.join(parts)}")


def listed(names: Sequence[str]) -> str:
    """As many of the names as a line holds."""
    number = sum(length <= MAX_LISTED for length in accumulate(len(name) + 2 for name in names))
    return ", ".join(names[:number]) + (f" and {len(names) - number} more" if number < len(names) else "")


def is_recurrent(one: Place, data: bytes) -> bool:
    """Whether a cell of a language model begins there."""
    return RECURRENT.match(data, one.start, one.start + LOOK_BACK) is not None


def line_of(data: bytes, position: int) -> int:
    """The number of the line, counted from 1."""
    return data.count(b"\n", 0, position) + 1
