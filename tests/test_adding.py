"""A family of spaces and a method are added as CONTRIBUTING.md says: the files of examples/adding, and a line a table.

They are copied into a copy of the tree, where everything must know them.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from documents import PAGES, ROOT, blocks, commands, cut

EXAMPLE = ROOT / "examples" / "adding"
PAGE = PAGES["CONTRIBUTING.md"]
SPACES, FAMILIES, METHODS = "spaces/__init__.py", "spaces/families.py", "methods/__init__.py"
NEW = [
    "src/dartboard/methods/explained/hill_climbing.py",
    *("src/dartboard/methods/hill_climbing.py", "src/dartboard/networks/toy.py", "src/dartboard/spaces/toy.py"),
    *("tests/cases/families/toy.py", "tests/cases/methods/hill_climbing.py"),
]
PROGRAM = """
import json, sys
from pathlib import Path
import dartboard
from dartboard.cli import main
assert Path(dartboard.__file__).is_relative_to(sys.argv[1]), dartboard.__file__
for words in json.loads(sys.argv[2]):
    print(f"$ {words[0]} {words[1]}: {main(words)}", flush=True)
"""


def files_of(folder: Path) -> dict[str, str]:
    """The Python files of a tree, as text."""
    found = sorted(path for name in ("src", "tests") for path in (folder / name).rglob("*.py"))
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in found}


def documented_changes() -> list[tuple[str, str, str]]:
    """(file, old, new) of each hunk of the diffs that begin with a file's name."""
    hunks = []
    for kind, text in blocks(PAGE):
        for part in re.split(r"^--- ", text, flags=re.MULTILINE)[1:] if kind == "diff" else ():
            file, _, body = part.partition("\n")
            for hunk in body.split("...\n"):
                lines = hunk.splitlines(keepends=True)
                old = "".join(line[1:] for line in lines if line[0] in " -")
                hunks.append((file, old, "".join(line[1:] for line in lines if line[0] in " +")))
    return hunks


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree with the example added, as CONTRIBUTING.md says."""
    folder, aside = tmp_path_factory.mktemp("tree"), shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src/dartboard", folder / "src/dartboard", ignore=aside)
    (folder / "tests").mkdir()
    for path in (ROOT / "tests").glob("*.py"):
        shutil.copy(path, folder / "tests")
    shutil.copytree(ROOT / "tests/cases", folder / "tests/cases", ignore=aside)
    shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True, ignore=aside)
    for file, old, new in documented_changes():
        text = (folder / file).read_text(encoding="utf-8")
        assert text.count(old) == 1, f"CONTRIBUTING.md shows lines that are not in {file}:\n{old}"
        (folder / file).write_text(text.replace(old, new), encoding="utf-8")
    return folder


def in_tree(tree: Path, *words: str) -> str:
    """What a Python process prints whose dartboard is that of the tree."""
    environment = {**os.environ, "PYTHONPATH": str(tree / "src")}
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, env=environment, cwd=tree, timeout=900
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def test_a_family_and_a_method_are_six_new_files_and_a_line_in_each_of_three_tables(tree: Path) -> None:
    before, after = files_of(ROOT), files_of(tree)
    assert sorted(after.keys() - before.keys()) == NEW == sorted(files_of(EXAMPLE))
    changed = {name for name in before if after.get(name, before[name]) != before[name]}
    assert changed == {f"src/dartboard/{name}" for name in (SPACES, FAMILIES, METHODS)}
    added = [line for name in changed for line in after[name].splitlines() if line not in before[name].splitlines()]
    entries = [line for line in added if not line.startswith("from ") and line != "    toy,"]  # imports aside
    assert len(entries) == len(changed) and all("toy" in line or "hill_climbing" in line for line in added)
    assert all(f"](examples/adding/{name})" in PAGE.read_text() for name in NEW)


def test_the_code_that_is_shown_is_that_of_the_example() -> None:
    method = (EXAMPLE / "src/dartboard/methods/hill_climbing.py").read_text()
    shown = [text.strip().splitlines() for kind, text in blocks(PAGE) if kind == "py"]
    assert len(shown) == 1
    assert "\n".join(f"{' ' * 8}{line}" for line in shown[0]) in method
    choices = next(text for kind, text in blocks(PAGE) if kind == "python" and "Choice(" in text)
    begin, end = choices.index("OPERATIONS ="), choices.index("\n\nassert")
    lines = (EXAMPLE / "src/dartboard/spaces/toy.py").read_text().splitlines()
    assert [line for line in choices[begin:end].splitlines() if line not in lines] == []


def test_the_example_is_short() -> None:
    lengths = {name: len(text.splitlines()) for name, text in files_of(EXAMPLE).items()}
    assert all(length <= 170 for length in lengths.values()), lengths


@pytest.mark.slow
def test_every_command_knows_them(tree: Path) -> None:
    (text,) = (text for kind, text in blocks(PAGE) if kind == "text" and "hill_climbing" in text)
    given = [cut(words[1:], tree) for words in commands(text)]
    given += [["search", "darts", "--space", "toy", "--data", "digits"]]
    said = in_tree(tree, "-c", PROGRAM, str(tree), json.dumps(given))
    assert re.findall(r"^\$ (\w+) .*: (\d)$", said, re.MULTILINE) == [
        ("list", "0"), ("list", "0"), ("search", "0"), ("show", "0"), ("train", "0"), ("report", "0"), ("search", "2")
    ]  # fmt: skip
    assert re.search(r"^toy +36 architectures", said, re.MULTILINE)
    assert re.search(r"^hill_climbing .* Spaces: darts, .*toy\.", said, re.MULTILINE)
    assert "train it: dartboard train runs/climb --data digits" in said and "->" in said
    assert "conv" in (tree / "chain.svg").read_text()
    page = (tree / "runs/climb/report.html").read_text()
    assert "The best of 3 architectures" in page and "The chain: " in page
    assert all(name in (tree / "runs/report.html").read_text() for name in ("climb", "chain"))


def contracts(tree: Path, names: str) -> str:
    words = ("-m", "pytest", "tests/test_contracts.py", "-q", "-p", "no:cacheprovider", "-k", names)
    return in_tree(tree, *words)


def num_passed(said: str) -> int:
    found = re.search(r"(\d+) passed", said)
    return int(found[1]) if found else 0


@pytest.mark.slow
def test_without_their_cases_one_message_says_what_to_write(tree: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(tree, bare)
    for name in NEW[4:]:
        (bare / name).unlink()
    with pytest.raises(AssertionError, match="1 failed") as caught:
        contracts(bare, "has_a_case or fits")
    for what, folder, name in (("family", "families", "toy"), ("method", "methods", "hill_climbing")):
        assert f"the {what} {name} has no case: write tests/cases/{folder}/{name}.py with CASE = " in str(caught.value)


@pytest.mark.slow
def test_the_contracts_of_families_hold_of_the_new_one_and_some_of_the_methods(tree: Path) -> None:
    family, method = "(toy and not search and not climbing)", "(hill_climbing and (planted or fits or five_steps))"
    said = contracts(tree, f"{family} or {method} or has_a_case")
    assert num_passed(said) >= 16


@pytest.mark.slow
def test_the_contracts_of_methods_hold_of_the_new_one_on_every_family_and_on_the_new_family(tree: Path) -> None:
    said = contracts(tree, "hill_climbing or (random_search and toy)")
    assert num_passed(said) >= 70
