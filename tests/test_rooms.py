"""The house: imports go downwards only, and no room leads back into itself through another."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import dartboard

HOUSE = Path(dartboard.__file__).parent
# A room imports only from those before it, and from the modules that lie in no room.
ROOMS = (
    *("spaces", "data", "formats", "kernels", "runs", "tasks", "networks", "scoring", "training", "search", "methods"),
    *("analysis", "export", "studies", "report", "commands", "testing"),
)
GROUND = ("config", "devices", "errors", "paths", "plugins")  # modules that lie in no room, and that all may import
ENTRANCE = ("__init__", "__main__", "cli")


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name below it; a package is the name of its folder."""
    found = {}
    for path in HOUSE.rglob("*.py"):
        parts = path.relative_to(HOUSE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)] = path
    return found


def imports(path: Path, known: dict[str, Path]) -> Iterator[str]:
    """The modules of the package that a file imports, wherever in it, for types only as well."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "dartboard":
            base = (node.module or "").split(".")[1:]
            for alias in node.names:
                name = ".".join([*base, alias.name])
                yield name if name in known else ".".join(base)
        elif isinstance(node, ast.Import):
            yield from (
                alias.name.removeprefix("dartboard.") for alias in node.names if alias.name.startswith("dartboard.")
            )


def floor(module: str) -> int:
    """How high a module lies: the ground, its room, the entrance."""
    room = module.split(".")[0]
    if room in GROUND:
        return -1
    return len(ROOMS) if room in ENTRANCE else ROOMS.index(room)


def test_imports_go_downwards_only() -> None:
    known = modules()
    upwards = [
        f"{module} imports {other}"
        for module, path in known.items()
        for other in imports(path, known)
        if other and floor(other) > floor(module)
    ]
    assert not upwards


def test_every_module_lies_in_a_room_or_on_the_ground() -> None:
    assert {module.split(".")[0] for module in modules()} <= {*ROOMS, *GROUND, *ENTRANCE}


def test_no_two_modules_import_each_other() -> None:
    known = modules()
    edges = {module: {other for other in imports(path, known) if other in known} for module, path in known.items()}
    around = {module for module in edges if not module.endswith("__init__") and module in reached(module, edges)}
    assert not {module for module in around if (HOUSE / f"{module.replace('.', '/')}.py").is_file()} - {"__init__"}


def reached(start: str, edges: dict[str, set[str]]) -> set[str]:
    """All modules that a module leads to, packages' own files aside."""
    found: set[str] = set()
    waiting = [*edges[start]]
    while waiting:
        if (module := waiting.pop()) not in found and (HOUSE / f"{module.replace('.', '/')}.py").is_file():
            found.add(module)
            waiting += edges[module]
    return found


# What is asked of a network is asked of its family's tables (networks/outputs.py), not of its type or its attributes.
ASKS_TYPE = re.compile(
    r"(isinstance|hasattr)\(([\w.]+\.)?(network|net|supernet|module|model|inference)\b, (?!str\b)"
    r"|isinstance\([^()]*, [\w.|, ]*\b(Network|Supernet)\b"
)


def test_nothing_asks_a_network_for_its_type_or_what_it_has() -> None:
    lines = [
        f"{path.relative_to(HOUSE)}:{number}: {line.strip()}"
        for path in sorted(HOUSE.rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if ASKS_TYPE.search(line)
    ]
    assert not lines


def test_what_asks_a_network_for_its_type_is_found() -> None:
    asking = (
        *("if isinstance(network, Network):", "isinstance(training.network, Cells)", "isinstance(x, darts.Supernet)"),
        *('if hasattr(module, "eval"):', 'hasattr(state.supernet, "form")'),
    )
    assert all(ASKS_TYPE.search(line) for line in asking)
    assert not ASKS_TYPE.search("isinstance(cell, NetworkCell)")
