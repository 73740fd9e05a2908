"""The notations, told by content: a plain table, and the two verbs `read` and `write`."""

from collections.abc import Callable

from dartboard.errors import InputError, unknown
from dartboard.formats.choices import read_choices, write_choices
from dartboard.formats.genotype import read_genotype, write_nested, write_quark0
from dartboard.formats.json_text import parse_object
from dartboard.formats.limits import check_text
from dartboard.formats.nasbench201 import is_cell_string, read_cell_string
from dartboard.formats.nnabla import KEYS, read_nnabla, write_nnabla
from dartboard.search_space import Architecture
from dartboard.spaces import nasbench201

# name -> (one line, writer)
NOTATIONS: dict[str, tuple[str, Callable[[Architecture], str]]] = {
    "quark0": ("Genotype(...) of quark0/darts: two inputs a node, in one flat list", write_quark0),
    "nested": ("Genotype(...) of khanrc/pt.darts: a list of inputs for each node", write_nested),
    "nnabla": ("JSON of the NNabla DARTS example: operation ids, arch_normal and arch_reduction", write_nnabla),
    "nasbench201": ("the string of NAS-Bench-201: |op~0|+|op~0|op~1|+|op~0|op~1|op~2|", nasbench201.to_string),
    "json": ("our own JSON: space and choices; holds every architecture", write_choices),
}
# The family whose architectures a notation holds; json holds those of all.
HOLDS = {**dict.fromkeys(("quark0", "nested", "nnabla"), "darts"), "nasbench201": "nasbench201"}
EXPECTED = (
    'give Genotype(...), JSON with "space" and "choices" or with "arch_normal" and "arch_reduction", '
    "or a string of NAS-Bench-201"
)


def read(text: str) -> tuple[Architecture, str]:
    """The architecture in the text, and the notation it is in (a key of NOTATIONS), told by content.

    Raises InputError, in one line, for everything else; nothing in the text is ever executed.
    """
    check_text(text)
    text = text.strip("\ufeff \t\r\n")
    if not text.startswith("{"):
        if is_cell_string(text):
            return read_cell_string(text), "nasbench201"
        if "Genotype" not in text:
            raise InputError(f"no architecture found; {EXPECTED}")
        return read_genotype(text)
    record = parse_object(text)
    if record.keys() & set(KEYS.values()):
        return read_nnabla(record), "nnabla"
    if record.keys() & {"space", "choices"}:
        return read_choices(record), "json"
    raise InputError(f"the JSON is no architecture; {EXPECTED}")


def write(architecture: Architecture, notation: str) -> str:
    """The architecture as one line in the notation (a key of NOTATIONS), without a line end.

    Raises InputError for an unknown notation, and where the notation cannot hold the architecture, saying why.
    """
    if notation not in NOTATIONS:
        raise unknown("notation", notation, NOTATIONS)
    family = HOLDS.get(notation, architecture.space)
    if architecture.space != family:
        others = " or ".join([*(name for name, held in HOLDS.items() if held == architecture.space), "json"])
        held = f"holds cells of the space {family!r}, not of {architecture.space!r}"
        raise InputError(f"the notation {notation!r} {held}; give {others}")
    return NOTATIONS[notation][1](architecture)
