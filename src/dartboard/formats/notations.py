"""The notations, recognised by content: a plain table, and the verbs `read` and `write`."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dartboard.errors import InputError, unknown
from dartboard.formats import mobile
from dartboard.formats.arcs import arc_within, is_arc, is_pair, read_arc, read_pair
from dartboard.formats.choices import read_choices, write_choices
from dartboard.formats.genotype import FIELDS, read_genotype, write_nested, write_quark0
from dartboard.formats.grammar import Call, FormError, parse_genotype
from dartboard.formats.json_text import parse_object
from dartboard.formats.limits import MAX_BYTES, MAX_TEXT
from dartboard.formats.nasbench201 import is_cell_string, read_cell_string
from dartboard.formats.nasbenchmacro import is_code, read_code
from dartboard.formats.nnabla import KEYS, read_nnabla, write_nnabla
from dartboard.formats.nni import is_nni, read_nni
from dartboard.formats.other_tools import what_else
from dartboard.formats.places import Place, chosen, line_of, places
from dartboard.formats.shufflenetv2 import is_object, read_object, write_blocks
from dartboard.formats.surroundings import as_utf8, plain
from dartboard.spaces import enas_macro, enas_micro, nas_rl, nasbench201, nasbenchmacro, nasnet
from dartboard.spaces.search_space import Architecture

# name -> (one line, writer)
NOTATIONS: dict[str, tuple[str, Callable[[Architecture], str]]] = {
    "quark0": ("Genotype(...) of quark0/darts: two inputs a node, in one flat list", write_quark0),
    "nested": ("Genotype(...) of khanrc/pt.darts: a list of inputs for each node", write_nested),
    "nnabla": ("JSON of the NNabla DARTS example: operation ids, arch_normal and arch_reduction", write_nnabla),
    "nasbench201": ("the string of NAS-Bench-201: |op~0|+|op~0|op~1|+|op~0|op~1|op~2|", nasbench201.to_string),
    "nasbenchmacro": ("the code of NAS-Bench-Macro: eight digits of 0, 1 and 2, one a layer", nasbenchmacro.to_code),
    "enas_micro": ("the arc of ENAS micro: 40 integers, 20 for each cell", enas_micro.to_text),
    "enas_macro": ("the arc of ENAS macro: a layer's operation, then a bit for each earlier layer", enas_macro.to_text),
    "nasnet": ("the cells of NASNet: 50 integers, five a block, 25 for each cell", nasnet.to_text),
    "nas_rl": ("the layers of NAS with RL: 3x5x36:1,2, height, width, filters and inputs; out", nas_rl.to_text),
    "ofa": ("JSON of Once-for-All: ks, e, d, r: kernels, expansions, depths, resolution", mobile.write_ofa),
    "attentivenas": ("JSON of AttentiveNAS: resolution, width, depth, kernel_size and so on", mobile.write_attentive),
    "spos": ("the list of SPOS: of each block a number, 0 to 3; with factors or bits, an object", write_blocks),
    "json": ("dartboard's own JSON: space and choices; for every architecture", write_choices),
}
# The family whose architectures a notation holds; json holds those of all.
HOLDS = {
    **dict.fromkeys(("quark0", "nested", "nnabla"), "darts"),
    "nasbench201": "nasbench201",
    "nasbenchmacro": "nasbenchmacro",
    "enas_micro": "enas_micro",
    "enas_macro": "enas_macro",
    "nasnet": "nasnet",
    "nas_rl": "nas_rl",
    "ofa": "mobilenet",
    "attentivenas": "mobilenet",
    "spos": "shufflenetv2",
}
EXPECTED = (
    'give Genotype(...), JSON with "space" and "choices" or with "arch_normal" and "arch_reduction", '
    "a string of NAS-Bench-201, a code of NAS-Bench-Macro, an arc of ENAS, integers of NASNet, layers of NAS with RL, "
    "a list of SPOS, or JSON of Once-for-All, of AttentiveNAS or of a list of blocks"
)


@dataclass(frozen=True)
class Reading:
    """An architecture as it stood in a text; remarks: what a person should know, such as that it is the last of 50."""

    architecture: Architecture
    notation: str
    remarks: tuple[str, ...] = ()


def read(text: str) -> tuple[Architecture, str]:
    """The architecture in the text, and the notation it is in (a key of NOTATIONS, or "nni"), recognised by content.

    Of several without names, as in the log of a search, it is the last. Raises InputError, in one line, for everything
    else; nothing in the text is ever executed.
    """
    found = find(text.encode("utf-8", "surrogatepass"))
    return found.architecture, found.notation


def find(data: bytes, name: str | None = None) -> Reading:
    """The architecture in a text of any encoding, wherever it stands in it.

    name: which one, of several with names. Raises InputError.
    """
    if len(data) > MAX_TEXT:
        raise InputError(f"the text is longer than {MAX_TEXT // 2**20} MB; give the part that holds the architecture")
    data = as_utf8(data)
    if not data[:MAX_BYTES].strip() and not data.strip():
        raise InputError("the text is empty; give an architecture, for example what `dartboard export` prints")
    failure: InputError | None = None
    if name is None and len(data) <= MAX_BYTES and data.lstrip(b" \t\r\n").startswith(b"{"):
        try:
            if (whole := from_object(parse_object(plain(data).strip(" \t\n")))) is not None:
                return whole
            failure = InputError(f"the JSON is not an architecture; {EXPECTED}")
        except InputError as error:
            failure = error
    return searched(data, name, failure)


def searched(data: bytes, name: str | None, failure: InputError | None) -> Reading:
    """The architecture that stands somewhere in the text. failure: what is wrong with it as JSON."""
    found = places(data)
    if failure is not None:  # of at most MAX_BYTES
        start = len(data) - len(data.lstrip(b" \t\r\n"))
        if not found and re.match(rb"\{\s*'", data[start:]):
            found = [Place(start, None, is_comment=False)]  # a dict as Python writes it, of whatever keys
        elif found and found[0].start == start and not re.match(rb"\{\s*'", data[start:]):
            raise failure
    end = "" if found else plain(data[-MAX_BYTES:])
    if is_cell_string(end):
        return Reading(read_cell_string(end), "nasbench201")
    if nas_rl.is_text(end):
        return Reading(nas_rl.from_text(end), "nas_rl")
    if is_arc(end):
        return Reading(*read_arc(end))
    if is_code(end):
        return Reading(read_code(end), "nasbenchmacro")
    if not found and (arc := arc_within(end)):
        return Reading(*read_arc(arc))
    if not found:
        kind = what_else(data)
        raise (InputError(kind) if kind else failure or InputError(f"no architecture found; {EXPECTED}"))
    where, remark = chosen(found, name, data)
    try:
        reading = at(data, where)
    except InputError as error:
        raise (InputError(f"{remark}: {error}") if remark else error) from error
    return Reading(reading.architecture, reading.notation, (*filter(None, [remark]), *reading.remarks))


def at(data: bytes, where: Place) -> Reading:
    """The architecture that begins there. Raises InputError."""
    piece = data[where.start : where.start + MAX_BYTES]
    text = plain(piece)
    line = line_of(data, where.start)
    column = where.start - data.rfind(b"\n", 0, where.start)
    try:
        call = parse_genotype(text, line, column)
    except FormError as error:
        if "found the end" in str(error) and len(piece) == MAX_BYTES:
            raise InputError(f"line {line}: the genotype is longer than {MAX_BYTES // 1024} kB") from error
        try:
            call = parse_genotype(text.replace("\n", ""), line, column)  # lines that were cut in the middle of a word
        except InputError:
            raise error from None
    if not call.positional and (found := from_object(call.named)) is not None:
        return found
    if text.startswith("{"):
        raise InputError(f"the dict is not an architecture; {EXPECTED}")
    return of_genotype(call)


def from_object(record: dict[str, Any]) -> Reading | None:
    """The architecture of an object of any notation; None if its keys are those of none. Raises InputError."""
    if record.keys() & set(KEYS.values()):
        return Reading(read_nnabla(record), "nnabla")
    if record.keys() & {"space", "choices"}:
        return Reading(read_choices(record), "json")
    if is_pair(record):
        return Reading(read_pair(record), "enas_micro")
    if (found := mobile.read(record)) is not None:
        return Reading(*found)
    if is_nni(record):
        return Reading(read_nni(record), "nni")
    if is_object(record):
        return Reading(read_object(record), "spos")
    return of_genotype(Call((), record)) if record.keys() & set(FIELDS) else None


def of_genotype(call: Call) -> Reading:
    architecture, notation, remark = read_genotype(call)
    return Reading(architecture, notation, (remark,) if remark else ())


def write(architecture: Architecture, notation: str) -> str:
    """The architecture as one line in the notation (a key of NOTATIONS), without a line end.

    Raises InputError for an unknown notation, and if the notation cannot hold the architecture, saying why.
    """
    if notation not in NOTATIONS:
        raise unknown("notation", notation, NOTATIONS)
    family = HOLDS.get(notation, architecture.space)
    if architecture.space != family:
        others = " or ".join([*(name for name, held in HOLDS.items() if held == architecture.space), "json"])
        held = f"holds architectures of the space {family!r}, not of {architecture.space!r}"
        raise InputError(f"the notation {notation!r} {held}; give {others}")
    return NOTATIONS[notation][1](architecture)
