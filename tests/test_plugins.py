"""Methods and families of people's packages: found by their entry points, each when it is asked for."""

import importlib
import importlib.metadata
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from pathlib import Path

import pytest

import dartboard
import made_up_tables
from dartboard import networks
from dartboard.cli import main
from dartboard.commands import search
from dartboard.errors import InputError
from dartboard.formats import read
from dartboard.methods import METHODS, method_module
from dartboard.spaces import SPACES
from dartboard.spaces.families import FAMILIES
from dartboard.testing import FamilyCase, contracts
from documents import ROOT
from packages import METHOD, TINY, forget, said, unload, write_package

EXAMPLE = ROOT / "examples/plugin/src/dartboard_activations"
AGAIN = {"__init__.py": METHOD.replace("MODULE", "dartboard.methods.random_search")}
FAMILY = {file.name: file.read_text() for file in (EXAMPLE / "__init__.py", EXAMPLE / "networks.py")}
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a package in a folder of this test: (name, {group: {name: value}}, files)."""
    folder = tmp_path / "site"
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.chdir(tmp_path)

    def installed(name: str, groups: Mapping[str, Mapping[str, str]], files: Mapping[str, str]) -> None:
        write_package(folder, name, groups, files)
        forget()

    forget()
    yield installed
    forget()
    unload(folder)


@pytest.fixture
def both(install: Install) -> None:
    """A package with a method, again, and one with a family, activations."""
    install("people", {"methods": {"again": "people:METHOD"}}, AGAIN)
    install("dartboard_activations", {"families": {"activations": "dartboard_activations:FAMILY"}}, FAMILY)


SEARCH = ["search", "again", "--space", "activations", "--data", "digits", "--trials", "2", "--epochs", "1", *TINY]


@pytest.mark.usefixtures("both")
def test_they_are_listed_with_ours(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(["list", "methods"], capsys)
    assert code == 0 and re.search(r"^again +random search again\. Spaces: darts, .*activations\. made up$", out, re.M)
    assert re.search("^darts .*2019", out, re.M) and "Spaces: darts, s1, s2, s3, s4, nasbench201. Liu" in out
    code, out, _ = said(["list", "spaces"], capsys)
    assert code == 0 and re.search("^activations +27 architectures", out, re.M) and re.search("^darts ", out, re.M)
    code, out, _ = said(["list"], capsys)
    assert code == 0 and "\n  again " in out and "\n  activations " in out


@pytest.mark.usefixtures("both", "global_rng")
def test_an_architecture_and_a_name_in_python_load_what_they_name() -> None:
    text = '{"space": "activations", "choices": {"layer.1": "relu", "layer.2": "tanh", "layer.3": "relu"}}'
    architecture, _ = read(text)
    assert architecture in SPACES["activations"] and SPACES["activations"].size == 27
    forget()
    network = networks.module("activations").Network(architecture, channels=2)
    assert networks.family_of(network) == "activations"
    forget()
    assert METHODS["again"].by_trials and method_module("again").__name__ == "dartboard.methods.random_search"
    assert "agaim" not in METHODS and METHODS.get("agaim") is None and None not in SPACES


BROKEN = {"__init__.py": "import a_library_that_is_not_there"}
NO_MODULE = "No module named 'a_library_that_is_not_there'"
MEND = "mend it, or uninstall it"
LINE = f"the package broken 1.0 cannot be imported: ModuleNotFoundError: {NO_MODULE}; {MEND}"


def test_a_package_that_cannot_be_imported_is_one_line(
    install: Install, both: None, capsys: pytest.CaptureFixture[str]
) -> None:
    groups = {"methods": {"worse": "broken:METHOD"}, "families": {"bad": "broken:FAMILY"}}
    install("broken", groups, BROKEN)
    for words in (
        ["search", "worse", "--data", "digits"],
        ["search", "again", "--space", "bad", "--data", "digits"],
        ["search", "again", "--space", "bad-small", "--data", "digits"],
        ["show", '{"space": "bad", "choices": {}}'],
    ):
        code, out, err = said(words, capsys)
        assert (code, out, err.count("\n")) == (2, "", 1) and err.endswith(f": {LINE}\n"), (words, err)
    for kind, name, others in (("methods", "worse", ("darts", "again")), ("spaces", "bad", ("darts", "activations"))):
        code, out, err = said(["list", kind], capsys)
        assert (code, err) == (0, "") and out.splitlines().count(f"{name}: {LINE}") == 1
        assert all(re.search(f"^{other} ", out, re.M) for other in others)


@pytest.mark.parametrize("text", ["raise SystemExit(3)", "1 / 0", "def", "METHOD = 3\nMETHOD.real.imag.no"])
def test_however_it_fails_it_is_one_line(text: str, install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    install("broken", {"methods": {"worse": "broken:METHOD"}}, {"__init__.py": text})
    code, _, err = said(["search", "worse", "--data", "digits"], capsys)
    assert code == 2 and re.fullmatch(
        r"dartboard: the package broken 1\.0 cannot be imported: \w+: .*uninstall it\n", err
    )


def test_a_run_of_a_package_that_is_gone_is_refused_in_one_line(
    install: Install, both: None, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = ["--no-auxiliary", "--drop-path", "0"]
    assert said([*SEARCH, *plain, "--budget", "1steps", "--out", "run"], capsys)[0] == 0
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one != str(tmp_path / "site")])
    code, _, err = said(["resume", "run"], capsys)
    assert code == 2 and "unknown method in run 'again'" in err and err.count("\n") == 1


def test_comparisons_and_selections_of_a_package_that_is_gone_are_refused_in_one_line(
    both: None, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = made_up_tables.write(tmp_path / "accuracies.csv")
    made_up_tables.put_in_place(monkeypatch)
    compare = ["compare", "--methods", "again", "--space", "nasbench201", "--truth", str(truth)]
    assert main([*compare, "--budget", "3trials", "--seeds", "2", "--out", "compared"]) == 0
    small = ["--trials", "1", "--epochs", "1", *TINY, "--no-auxiliary", "--drop-path", "0"]
    select = ["search", "random_search", "--space", "activations", "--data", "digits", *small, "--seeds", "2"]
    assert main([*select, "--select", "1", "--out", "selected"]) == 0
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one != str(tmp_path / "site")])
    for words, expected in (
        (["resume", "compared"], "unknown method in compared 'again'"),
        (["compare", "compared"], "unknown method in compared 'again'"),
        (["resume", "selected"], "unknown space in selected 'activations'"),
    ):
        code, _, err = said(words, capsys)
        assert code == 2 and expected in err and err.count("\n") == 1, err


def test_a_name_that_is_taken_is_refused_with_both(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    install("people", {"methods": {"again": "people:METHOD", "darts": "people:METHOD"}}, AGAIN)
    install("others", {"methods": {"again": "others:METHOD"}}, AGAIN)
    both = "the package others 1.0 and the package people 1.0"
    two = f"'again' of the group dartboard.methods is declared by two packages, {both}"
    code, out, err = said(["search", "again", "--data", "digits"], capsys)
    assert (code, out) == (2, "") and err == f"dartboard: {two}; uninstall one of them\n"
    code, out, _ = said(["list", "methods"], capsys)
    assert code == 0 and f"again: {two}; uninstall one of them" in out.splitlines()
    taken = (
        "the package people 1.0 is refused: the name 'darts' belongs to dartboard; rename it, or uninstall the package"
    )
    assert f"darts: {taken}" in out.splitlines() and METHODS["darts"].spoken == "DARTS"
    assert re.search("^darts +differentiable", out, re.M) and re.search("^random_search ", out, re.M)


RECORD = "dartboard_activations:FAMILY is a dict, not a Family"
RULE = "is called activations, or begins with activations-, and says family='activations'; "
KIND = "the kind of cell 'cell' belongs to the family nasbench201 of dartboard"


@pytest.mark.parametrize(
    ("old", "new", "name", "line"),
    [
        ('SearchSpace("activations"', 'SearchSpace("nasbench201"', "activations", f"{RULE}'nasbench201' does not"),
        ('family="activations"', 'family="other"', "activations", f"{RULE}'activations' does not"),
        ('"activations": "activations"}', '"cell": "cell"}', "activations", KIND),
        ('"activations"', '"s1"', "s1", "the space 's1' belongs to dartboard"),
        ("FAMILY = Family(", "FAMILY = dict(", "activations", RECORD),
    ],
)
def test_a_family_is_a_record_with_names_of_its_own(
    old: str, new: str, name: str, line: str, install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {file: text.replace(old, new) for file, text in FAMILY.items()}
    install("dartboard_activations", {"families": {name: "dartboard_activations:FAMILY"}}, files)
    code, out, err = said(["list", "spaces"], capsys)
    assert (code, err) == (0, "") and re.search(f"^{name}: the package dartboard_activations 1.0 .*{line}", out, re.M)
    assert re.search("^s1 .*architectures", out, re.M) and SPACES["s1"].family == "darts"
    assert name in ("s1", "activations") and name not in FAMILIES.keys()  # noqa: SIM118


def test_what_a_package_declares_must_be_there_when_it_is_used(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install("people", {"methods": {"again": "people:METHOD"}}, {"__init__.py": METHOD.replace("MODULE", "people.gone")})
    files = {"__init__.py": FAMILY["__init__.py"]}
    install("dartboard_activations", {"families": {"activations": "dartboard_activations:FAMILY"}}, files)
    code, _, err = said(["search", "again", "--data", "digits"], capsys)
    assert (
        code == 2
        and "the package people 1.0 cannot be imported: ModuleNotFoundError: No module named 'people.gone'" in err
    )
    words = ["search", "random_search", "--space", "activations", "--data", "digits", "--trials", "1", *TINY]
    code, _, err = said([*words, "--no-auxiliary", "--drop-path", "0", "--out", "run"], capsys)
    assert code == 2 and "the package dartboard_activations 1.0 cannot be imported" in err and not Path("run").exists()


def test_a_table_scores_the_family_of_a_package_that_says_how_it_is_written(
    install: Install, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    layout = """
from dataclasses import replace
from dartboard.scoring.tables import Layout
columns = {"digits": ("digits-val", "digits-test")}
names = {"-".join(name for _, name in one.choices): one for one in SPACE.enumerate()}
LAYOUT = Layout(SPACE, "arch", names.__getitem__, lambda one: "-".join(name for _, name in one.choices), columns)
FAMILY = replace(FAMILY, layout=LAYOUT)
"""
    files = {**FAMILY, "__init__.py": FAMILY["__init__.py"] + layout}
    install("dartboard_activations", {"families": {"activations": "dartboard_activations:FAMILY"}}, files)
    names = ["-".join(one) for one in product(("relu", "tanh", "sigmoid"), repeat=3)]
    rows = [f"{name},{50 + number},{40 + number}" for number, name in enumerate(names)]
    (tmp_path / "table.csv").write_text("\n".join(["arch,digits-val,digits-test", *rows]) + "\n")
    words = ["search", "random_search", "--space", "activations", "--truth", "table.csv", "--trials", "200"]
    code, out, err = said([*words, "--out", "run"], capsys)
    assert code == 0 and "score 76.00 % (table, digits-val)" in out and "shown by digits-test: 66.00 %" in out, err


def test_nothing_is_looked_for_while_only_ours_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def entry_points(**_: object) -> None:
        raise AssertionError("entry points were looked for")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    words = ["search", "random_search", "--space", "nasbench201", "--data", "digits", "--trials", "1", "--epochs", "1"]
    words += [*TINY, "--out", "run"]
    for given in (
        ["--help"],
        ["search", "darts", "--help"],
        words,
        ["show", "run"],
        ["report", "run"],
        ["list", "data"],
    ):
        code, _, err = said(given, capsys)
        assert code == 0, (given, err)


def test_only_one_place_knows_where_the_file_of_a_method_lies() -> None:
    house = Path(dartboard.__file__).parent
    found = [
        path.relative_to(house).as_posix() for path in house.rglob("*.py") if "dartboard.methods.{" in path.read_text()
    ]
    assert sorted(found) == ["methods/__init__.py", "search/on_tables.py"]  # the second takes a module as well
    assert search.method_module is method_module


def test_a_misspelt_name_is_told_with_the_nearest_of_packages_too_and_loads_none(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    groups = {"methods": {"again": "broken:METHOD"}, "families": {"activations": "broken:FAMILY"}}
    install("broken", groups, BROKEN)
    for words, expected in (
        (["search", "dart"], "unknown method 'dart'; did you mean 'darts'?"),
        (["search", "agian"], "unknown method 'agian'; did you mean 'again'?"),
        (["compare", "--budget", "2trials", "--methods", "agian"], "unknown method 'agian'; did you mean 'again'?"),
        (["search", "darts", "--space", "activation"], "unknown space 'activation'; did you mean 'activations'?"),
    ):
        code, _, err = said([*words, "--data", "digits"], capsys)
        assert code == 2 and expected in err, err


def test_the_contracts_ask_for_pytest_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("dartboard.testing")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pytest", None)
    with pytest.raises(InputError, match=r"^dartboard\.testing needs pytest; install it with: pip install pytest$"):
        importlib.import_module("dartboard.testing")


def test_a_case_of_what_is_not_installed_is_refused_in_one_line() -> None:
    case = FamilyCase(sizes={}, small=SPACES["darts"], drawn=SPACES["darts"], searched=SPACES["darts"])
    with pytest.raises(InputError, match=r"unknown family \(is its package installed\?\) 'chains'; "):
        contracts(families={"chains": case})
