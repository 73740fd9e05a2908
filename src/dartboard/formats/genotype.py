"""`Genotype(normal=..., normal_concat=..., reduce=..., reduce_concat=...)`: the flat and the nested notation.

Flat ("quark0"; quark0/darts, cnn/genotypes.py): normal and reduce are flat lists of (operation, predecessor) pairs,
two for each node. Nested ("nested"; khanrc/pt.darts, genotypes.py): one list of pairs for each node, of any length.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from dartboard.errors import InputError, unknown
from dartboard.formats.grammar import Call
from dartboard.spaces import darts
from dartboard.spaces.search_space import Architecture, as_tuples, quote

FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat")
RECURRENT = "this is a recurrent cell of a language model; recurrent cells are not supported yet, only pairs of cells"
ACTIVATIONS = ("tanh", "relu", "sigmoid", "identity")  # the operations of recurrent cells


def read_genotype(call: Call) -> tuple[Architecture, str, str]:
    """The architecture, "quark0" or "nested" by its lists, and a remark on fields left out. Raises InputError."""
    fields = dict(zip(FIELDS, call.positional, strict=False))
    for name, value in call.named.items():
        if name in fields:
            raise InputError(f"{quote(name)} is given twice; give it once")
        fields[name] = value
    check_fields(fields, call)
    notation = "quark0" if is_flat(fields["normal"]) else "nested"
    cells = {}
    for kind in darts.CELLS:
        if fields[kind] and is_flat(fields[kind]) != (notation == "quark0"):
            raise InputError("normal and reduce differ in form; give both flat, or both with a list for each node")
        nodes = in_pairs(kind, fields[kind]) if notation == "quark0" else fields[kind]
        cells[kind] = darts.Cell(as_tuples(without_weights(nodes)), as_tuples(fields[f"{kind}_concat"]))
    others = [name for name, value in fields.items() if name not in FIELDS and value is not None]
    remark = f"fields left out that no pair of cells has: {', '.join(others)[:100]}" if others else ""
    return darts.architecture(cells), notation, remark


def check_fields(fields: dict[str, Any], call: Call) -> None:
    """Raises InputError unless the four are there and nothing beside them is another cell."""
    if "recurrent" in fields or is_recurrent(fields.get("normal")):
        raise InputError(RECURRENT)
    others = [name for name in fields if name not in FIELDS]
    missing = [name for name in FIELDS if name not in fields]
    if missing and (near := [name for name in others if get_close_matches(name, missing, cutoff=0.5)]):
        raise unknown("field of Genotype(...)", near[0], FIELDS)
    if missing:
        raise InputError(f"Genotype(...) has no {missing[0]!r}; it needs {', '.join(FIELDS)}")
    unnamed = call.positional[len(FIELDS) :]
    if any(map(has_edges, [*unnamed, *(fields[name] for name in others)])):
        raise InputError(f"Genotype(...) has a third cell, {', '.join(others)[:60]}; give normal and reduce alone")


def is_recurrent(nodes: Any) -> bool:
    """True where every operation is an activation of recurrent cells."""
    pairs = nodes if isinstance(nodes, list) else []
    return bool(pairs) and all(isinstance(one, list) and one and one[0] in ACTIVATIONS for one in pairs)


def has_edges(value: Any) -> bool:
    """True for a list of (operation, node) pairs, flat or nested."""
    while isinstance(value, list) and value and isinstance(value[0], list):
        value = value[0]
    return isinstance(value, list) and len(value) > 1 and isinstance(value[0], str) and darts.is_int(value[1])


def without_weights(nodes: Any) -> Any:
    """The nodes with ("op", 0, 0.15) made ("op", 0): some tools write the operation's weight as a third item."""
    if not isinstance(nodes, list):
        return nodes
    if len(nodes) == 3 and isinstance(nodes[0], str) and darts.is_int(nodes[1]) and isinstance(nodes[2], float):
        return nodes[:2]
    return [without_weights(node) for node in nodes]


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
    """range(a, b) if the nodes count up by one, as the authors write it; a list otherwise."""
    if len(concat) > 1 and concat == tuple(range(concat[0], concat[-1] + 1)):
        return f"range({concat[0]}, {concat[-1] + 1})"
    return str(list(concat))


def list_of(texts: Iterable[str]) -> str:
    return f"[{', '.join(texts)}]"
