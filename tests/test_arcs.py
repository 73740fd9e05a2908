"""Arcs of ENAS as people have them: in scripts, in logs, in the words of Python; and those that are none."""

import time

import pytest

from dartboard import formats
from dartboard.errors import InputError
from dartboard.formats.files import is_text
from dartboard.spaces import enas_macro, enas_micro
from dartboard.spaces.search_space import Architecture

NORMAL, REDUCE = "0 2 0 0 0 4 0 1 0 4 1 1 1 0 0 1 0 2 1 1", "1 0 1 0 0 3 0 2 1 1 3 1 1 0 0 4 0 3 1 1"
OTHER = "0 0 0 0 0 4 0 1 0 4 1 1 1 0 0 1 0 2 1 1"
MICRO = enas_micro.from_arc([int(one) for one in f"{NORMAL} {REDUCE}".split()])


def listed(cell: str) -> str:
    return f"[{cell.replace(' ', ', ')}]"


def chain(layers: int) -> tuple[Architecture, list[str]]:
    """A chain, and its arc a layer at a time: layer k is skipped to from every third state."""
    rows = [[layer % 6, *(int(earlier % 3 == 0) for earlier in range(layer))] for layer in range(layers)]
    return enas_macro.from_arc([one for row in rows for one in row]), [" ".join(map(str, row)) for row in rows]


@pytest.mark.parametrize(
    "text",
    [
        f"normal: {listed(NORMAL)} reduce: {listed(REDUCE)}",
        f"(array({listed(NORMAL)}), array({listed(REDUCE)}))",
        f"Here are 2 architectures\n[{OTHER}]\n[{REDUCE}]\nval_acc=0.5\n----\n[{NORMAL}]\n[{REDUCE}]\nval_acc=0.61\n",
        f'#!/bin/bash\nfixed_arc="{NORMAL}"\nfixed_arc="$fixed_arc {REDUCE}"\npython main.py --child_num_layers=15\n',
    ],
)
def test_the_last_arc_of_cells_in_other_text_is_read(text: str) -> None:
    assert formats.read(text) == (MICRO, "enas_micro") and is_text(text)


@pytest.mark.parametrize("layers", [12, 24])  # of 24, one layer has as many integers as a cell
def test_chains_are_read_from_logs_and_scripts(layers: int) -> None:
    expected, rows = chain(layers)
    log = "\n".join(f"[{row}]" for row in ["3", "0 1", *rows]) + "\nval_acc=0.8\n----\n"
    script = 'python -c "0"\nfixed_arc="0"\n' + "".join(f'fixed_arc="$fixed_arc {row}"\n' for row in rows[1:])
    assert formats.read(log) == formats.read(f"#!/bin/bash\n{script}") == (expected, "enas_macro")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"[{NORMAL}]\n[{REDUCE}]\nval_acc=0.61\n[{NORMAL}]\n", "one list of 20 integers; give those of both cells"),
        ("log\n" + "\n".join(f"[{row}]" for row in chain(12)[1][:9]), "45 integers are no arc"),
        (f"0.0 {NORMAL[2:]} {REDUCE}", "an arc has integers, and 0.0 is none"),
        (f'{{"normal": {listed(NORMAL[:31])}, "reduce": {listed(REDUCE)}}}', "the arc 'normal' has 16 integers"),
        (f'{{"normal": {listed(NORMAL)}, "reduce": [1, 0, 1, 0]}}', "the arc 'reduce' has 4 integers"),
        ("loss [1, 2, 3] and [4, 5]", "no architecture found"),
    ],
)
def test_an_incomplete_arc_and_other_lists_are_refused(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        formats.read(text)


def test_a_long_list_that_never_ends_takes_no_time() -> None:
    began = time.perf_counter()
    with pytest.raises(InputError, match="no architecture found"):
        formats.read("a " + "[1 " * 10_000 + "[" + "1 " * 15_000)
    assert time.perf_counter() - began < 2
