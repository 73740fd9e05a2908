"""`Genotype(normal=..., normal_concat=..., reduce=..., reduce_concat=...)`: the flat and the nested notation.

Flat ("quark0"; quark0/darts, cnn/genotypes.py): normal and reduce are flat lists of (operation, predecessor) pairs,
two for each node. Nested ("nested"; khanrc/pt.darts, genotypes.py): one list of pairs for each node, of any length.
"""

from collections.abc import Iterable
from typing import Any

from dartboard.errors import InputError, unknown
from dartboard.formats.grammar import parse_genotype
from dartboard.search_space import Architecture, as_tuples
from dartboard.spaces import darts

FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat")


def read_genotype(text: str) -> tuple[Architecture, str]:
    """The architecture, and "quark0" or "nested" as its lists tell. Raises InputError."""
    fields = parse_genotype(text)
    for name in fields:
        if name not in FIELDS:
            raise unknown("field of Genotype(...)", name, FIELDS)
    if missing := [name for name in FIELDS if name not in fields]:
        raise InputError(f"Genotype(...) has no {missing[0]!r}; it needs {', '.join(FIELDS)}")
    notation = "quark0" if is_flat(fields["normal"]) else "nested"
    cells = {}
    for kind in darts.CELLS:
        if fields[kind] and is_flat(fields[kind]) != (notation == "quark0"):
            raise InputError("normal and reduce differ in form; give both flat, or both with a list for each node")
        nodes = in_pairs(kind, fields[kind]) if notation == "quark0" else fields[kind]
        cells[kind] = darts.Cell(as_tuples(nodes), as_tuples(fields[f"{kind}_concat"]))
    return darts.architecture(cells), notation


def is_flat(nodes: Any) -> bool:
    """True for [("op", 0), ...], false for [[("op", 0), ...], ...] and for all that is neither."""
    first = nodes[0] if isinstance(nodes, list) and nodes else None
    return isinstance(first, list) and bool(first) and not isinstance(first[0], list)


def in_pairs(kind: str, flat: list[Any]) -> list[list[Any]]:
    """The flat list cut in twos: the inputs of each node."""
    if len(flat) % 2:
        raise InputError(f"{kind} has an odd number of pairs, {len(flat)}; the flat notation has two for each node")
    return [flat[start : start + 2] for start in range(0, len(flat), 2)]


def write_quark0(architecture: Architecture) -> str:
    """One line of the flat notation. Raises InputError for a node that has not two inputs."""
    texts = []
    for kind in darts.CELLS:
        cell = darts.cell(architecture, kind)
        for number, inputs in enumerate(cell.nodes, start=darts.NUM_INPUTS):
            if len(inputs) != 2:
                count = f"{len(inputs)} input{'s' * (len(inputs) != 1)}"
                raise InputError(f"node {number} of the {kind} cell has {count}; quark0 holds two, nested any number")
        texts.append(list_of(pair for inputs in cell.nodes for pair in map(str, inputs)))
    return genotype_text(architecture, texts)


def write_nested(architecture: Architecture) -> str:
    """One line of the nested notation, which holds every architecture of the space's value."""
    cells = [darts.cell(architecture, kind) for kind in darts.CELLS]
    return genotype_text(architecture, [list_of(list_of(map(str, node)) for node in cell.nodes) for cell in cells])


def genotype_text(architecture: Architecture, nodes: list[str]) -> str:
    """Genotype(...) from the texts of the nodes of the two cells."""
    concats = [concat_text(darts.cell(architecture, kind).concat) for kind in darts.CELLS]
    arguments = zip(FIELDS, (nodes[0], concats[0], nodes[1], concats[1]), strict=True)
    return f"Genotype({', '.join(f'{name}={text}' for name, text in arguments)})"


def concat_text(concat: tuple[int, ...]) -> str:
    """range(a, b) where the nodes count up by one, as the authors write it; a list otherwise."""
    if len(concat) > 1 and concat == tuple(range(concat[0], concat[-1] + 1)):
        return f"range({concat[0]}, {concat[-1] + 1})"
    return str(list(concat))


def list_of(texts: Iterable[str]) -> str:
    return f"[{', '.join(texts)}]"
