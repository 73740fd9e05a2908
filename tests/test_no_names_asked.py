"""Nobody asks which method or family there is by name: what differs between them, each says of itself in a table."""

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import dartboard
from dartboard.methods import METHODS, missing
from dartboard.spaces import SPACES

HOUSE = Path(dartboard.__file__).parent
ASKED = ("method", "family")  # what a name is not compared with


def comparisons(source: str) -> Iterator[str]:
    """Comparisons of a method or a family with a name, or with one of several, and cases of a match on one."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(names_one(side) for side in sides) and any(is_name(side) for side in sides):
                yield f"line {node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.Match) and names_one(node.subject):
            yield f"line {node.lineno}: match {ast.unparse(node.subject)}"


def names_one(node: ast.expr) -> bool:
    """Whether an expression is a method's or a family's name, by what it is called: `family`, `run.method`."""
    called = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        called = str(node.slice.value)
    return called in ASKED


def is_name(node: ast.expr) -> bool:
    """Whether an expression is a text, or a collection of texts."""
    parts = node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]
    return any(isinstance(part, ast.Constant) and isinstance(part.value, str) for part in parts)


def test_no_file_compares_a_method_or_a_family_with_a_name() -> None:
    files = {path.relative_to(HOUSE): path.read_text() for path in HOUSE.rglob("*.py")}
    found = [f"{place}, {one}" for place, text in files.items() for one in comparisons(text)]
    assert not found


@pytest.mark.parametrize(
    "source",
    [
        "if family == 'darts': pass",
        "x = 1 if facts.method != 'darts' else 2",
        "if 'darts' == header['method']: pass",
        "if run.method in ('darts', 'enas'): pass",
        "match space.family:\n    case 'darts': pass",
    ],
)
def test_each_way_to_ask_for_a_name_is_seen(source: str) -> None:
    assert len(list(comparisons(source))) == 1


def test_a_method_is_not_asked_for_what_it_is_by_a_table_of_another() -> None:
    assert not list(comparisons("if method in BY_TRIALS or family == other.family or kind == 'normal': pass"))


@pytest.mark.parametrize("name", METHODS)
def test_every_method_names_a_space_that_it_can_search(name: str) -> None:
    assert METHODS[name].space in SPACES and not missing(name, METHODS[name].space)


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if not method.by_trials])
def test_a_search_with_shared_weights_is_one_file_of_at_most_250_lines_that_says_what_others_ask(name: str) -> None:
    module = import_module(f"dartboard.methods.{name}")
    assert module.__file__ is not None
    assert len(Path(module.__file__).read_text().splitlines()) <= 250
    assert module.WORK.learn_on and module.PRESETS and all(names for names in module.CARRIED.values())


def test_a_dry_run_asks_neither_for_a_command_nor_for_what_a_config_has() -> None:
    for name in ("training/dry_run.py", "commands/dryrun.py"):
        source = (HOUSE / name).read_text()
        assert not [word for word in ("hasattr", "is_training", "getattr", '"command"] ==', '"stop"') if word in source]
