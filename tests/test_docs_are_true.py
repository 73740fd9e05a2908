"""What README and docs say is so: links lead somewhere, named functions, lines of code, flags and figures exist."""

import ast
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

import dartboard
from dartboard import formats
from dartboard.report.drawing import draw
from documents import LINK, PAGES, ROOT, blocks, prose

OUTSIDE = ("http://", "https://", "mailto:", "#")


def links(page: Path) -> list[tuple[str, Path]]:
    """(words, file) of every link of a page into the repository."""
    found = [(words, target.split("#")[0]) for words, target in LINK.findall(prose(page))]
    return [(words, (page.parent / target).resolve()) for words, target in found if not target.startswith(OUTSIDE)]


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_to_a_file(name):
    assert [str(target) for _, target in links(PAGES[name]) if not target.exists()] == []


def defined(path: Path) -> set[str]:
    """Functions and classes of a file, methods as Class.method."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{item.name}" for item in node.body if isinstance(item, ast.FunctionDef)}
    return names


@pytest.mark.parametrize("name", PAGES)
def test_every_function_that_is_linked_is_in_its_file(name):
    code = [(words, target) for words, target in links(PAGES[name]) if target.suffix == ".py" and words[:1] == "`"]
    missing = [words for words, target in code if words.strip("`") not in defined(target)]
    assert missing == [] and (name != "darts.md" or len(code) > 20)


def test_every_line_of_code_beside_an_equation_is_a_line_of_the_linked_files():
    page = PAGES["darts.md"]
    sources = {target for _, target in links(page) if target.suffix == ".py"}
    lines = {line.strip() for path in sources for line in path.read_text().splitlines()}
    excerpts = [line.strip() for kind, text in blocks(page) if kind == "py" for line in text.splitlines()]
    assert len(excerpts) >= 10 and [line for line in excerpts if line not in lines] == []
    assert {str(number) for number in range(1, 9)} <= set(re.findall(r"\d", " ".join(bold(page))))


def bold(page: Path) -> list[str]:
    """The equations that a page announces: **Eq. 7.**, **Eqs. 3 and 4.**"""
    return re.findall(r"^\*\*(Eqs?\..*?)\*\*", page.read_text(), re.MULTILINE)


def test_the_readme_opens_with_its_sentence_and_two_commands():
    lines = [line for line in PAGES["README.md"].read_text().splitlines() if line]
    sentence = (dartboard.__doc__ or "").splitlines()[0].removeprefix("dartboard: n")
    assert lines[:6] == ["# dartboard", f"N{sentence}", "```sh", "make demo", "make test", "```"]
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"\bmake (?!it\b)([a-z-]+)(?=[`\s])", " ".join(page.read_text() for page in PAGES.values())))
    assert {"demo", "test", "test-slow", "setup", "check"} <= {name for name in named if f"\n{name}:" in makefile}


def test_the_pictures_of_a_report_are_there_and_small():
    for name in ("report.png", "report-slider.png"):
        picture = ROOT / "docs" / name
        assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size < 300_000
        assert f"](docs/{name})" in PAGES["README.md"].read_text()


# --- Tables ----------------------------------------------------------------------------------------------------------


def rows(page: Path) -> list[list[str]]:
    """The cells of all tables of a page, a row each, headings left out."""
    lines = [line for line in page.read_text().splitlines() if line.startswith("|")]
    split = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [cells for cells, after in zip(split, [*split[1:], [""]], strict=True) if not dashes(cells + after)]


def dashes(cells: list[str]) -> bool:
    return any(re.fullmatch(r":?-{3,}:?", cell) for cell in cells)


def known_flags() -> set[str]:
    """Every flag of search and train."""
    from dartboard import Setup, darts, train
    from dartboard.commands.work import NewRun

    names = [
        field.name.replace("_", "-") for part in (Setup, NewRun, darts.Config, train.Config) for field in fields(part)
    ]
    return {f"--{name}" for name in names} | {f"--no-{name}" for name in names}


def test_the_flags_that_other_peoples_flags_are_compared_with_exist():
    ours = [
        flag for row in rows(PAGES["coming-from.md"]) for cell in row[1:] for flag in re.findall(r"--[a-z0-9-]+", cell)
    ]
    theirs = {"--to", "--parallel", "--model", "--image", "--arch"}
    assert len(ours) > 50 and set(ours) - known_flags() <= theirs


@pytest.mark.parametrize("name", PAGES)
def test_every_command_named_in_a_sentence_exists_with_its_flags(name):
    from dartboard.cli import COMMANDS
    from dartboard.commands import (
        compare,
        evaluate,
        explain,
        export,
        front,
        latency,
        listing,
        rank,
        report,
        resume,
        search,
        show,
        specialise,
        transfer,
    )
    from dartboard.commands.flags import flags_of
    from dartboard.methods import METHODS

    own = [search.flags_class(search.method_module(method).Config) for method in METHODS] + [transfer.TransferFlags]
    own += (evaluate.EvaluateFlags, export.ExportFlags, listing.ListFlags, report.ReportFlags, resume.ResumeFlags)
    own += (explain.ExplainFlags, specialise.SpecialiseFlags, front.FrontFlags, latency.BuildFlags)
    flags = known_flags().union(*map(flags_of, (*own, show.ShowFlags, compare.CompareFlags, rank.RankFlags)))
    for span in re.findall(r"`dartboard ([^`]+)`", prose(PAGES[name])):
        assert span.split()[0] in (*COMMANDS, "COMMAND", "...", "--version"), span
        assert set(re.findall(r"--[a-z0-9-]+", span)) <= flags | {"--version"}, span


def test_the_defaults_of_quark0_darts_are_ours():
    from dartboard import darts, train

    configs = {"search": darts.Config(), "train": train.Config()}
    text = PAGES["coming-from.md"].read_text()
    compared = 0
    for command, title in (("search", "## Flags of train_search.py"), ("train", "## Flags of train.py")):
        table = text.split(title)[1].split("\n## ")[0]
        for value, flag in re.findall(r"^\| `--\w+ ([\d.e-]+)` \| `--([a-z-]+)` \|", table, re.MULTILINE):
            if flag != "seed":
                assert float(value) == getattr(configs[command], flag.replace("-", "_")), flag
                compared += 1
    assert compared >= 15


def test_the_python_of_the_readme_has_the_settings_of_the_digits_preset():
    from dartboard import darts, train
    from dartboard.training import presets

    text = PAGES["README.md"].read_text()
    for name, module, table in (("darts", darts, darts.PRESETS), ("train", train, presets.PRESETS)):
        call = re.search(rf"= {name}\.(Config\(.*\))", text)
        assert call is not None
        assert eval(call[1], {"Config": module.Config}) == module.Config(**table["digits"])


def test_the_ledger_has_the_counts_that_ship_with_the_package():
    from dartboard.formats import published

    keys = [
        "cifar10_params",
        "cifar10_params_with_aux",
        "cifar10_macs",
        "cifar100_params",
        "imagenet_params",
        "imagenet_macs",
    ]
    found = {row[0]: row[1:] for row in rows(PAGES["reproduction.md"]) if row[0] in published()}
    counted = {name: entry.counts for name, entry in published().items() if entry.counts}
    assert found == {name: [f"{counts[k]:,}" if k in counts else "-" for k in keys] for name, counts in counted.items()}
    for page in ("README.md", "CHANGELOG.md", "reproduction.md"):
        assert f"{len(published())} published architectures" in PAGES[page].read_text()


def test_the_change_that_adds_an_operation_fits_the_file_it_changes():
    path = ROOT / "src" / "dartboard" / "spaces" / "darts.py"
    diff = next(text for kind, text in blocks(PAGES["CONTRIBUTING.md"]) if kind == "diff").splitlines()
    kept = [line[1:] for line in diff if line[0] in " -"]
    lines = path.read_text().splitlines()
    assert len(kept) == 4 and all(line in lines for line in kept) and sum(line[0] == "+" for line in diff) <= 15


def test_the_newest_change_is_of_the_present_version():
    assert f"\n## {dartboard.__version__}, 2" in PAGES["CHANGELOG.md"].read_text()


# --- What no committed text may name ---------------------------------------------------------------------------------

HOSTS = ("py" + "pi.org", "python" + "hosted", "download.py" + "torch", "ana" + "conda.org", "mirror" + "s.")
PLACES = re.compile(r"(?<![\w.])/(?:" + "wo" + r"rk|ro" + r"ot|ho" + r"me)/\w")
TEXT = (".md", ".py", ".sh", ".toml", ".txt", ".yml", ".json", ".js", ".css", ".html", "")


def committed() -> list[Path]:
    """The files under version control; all files of the source folders where git does not answer."""
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode == 0 and done.stdout:
        return [ROOT / name for name in done.stdout.splitlines()]
    folders = ("src", "tests", "docs", "examples", "benchmarks", ".github", ".ci")
    return [*ROOT.glob("*.*"), ROOT / "Makefile", *(path for name in folders for path in (ROOT / name).rglob("*"))]


def test_no_text_names_a_machine_or_a_registry():
    found = []
    for path in committed():
        if path.suffix in TEXT and path.is_file() and "__pycache__" not in path.parts:
            text = path.read_text(errors="ignore")
            found += [f"{path.name}: {host}" for host in HOSTS if host in text]
            found += [f"{path.name}: {match[0]}" for match in PLACES.finditer(text)]
    assert len(committed()) > 100 and found == []


# --- The public names ------------------------------------------------------------------------------------------------


def test_the_public_names_are_sorted_and_all_there():
    names = dartboard.__all__
    assert names == sorted(names) and len(set(names)) == len(names)
    assert [name for name in names if getattr(dartboard, name) is None] == []
    assert set(names) <= set(dir(dartboard))
    with pytest.raises(AttributeError, match="no attribute 'dart'"):
        dartboard.dart  # noqa: B018


def test_importing_dartboard_imports_neither_torch_nor_numpy():
    code = "import sys, dartboard; print([name for name in ('torch', 'numpy', 'tyro') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_networks_of_a_space_are_there_without_importing_their_file_first():
    code = "from dartboard import networks; print(networks.darts.Network.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "Network"


@pytest.mark.parametrize(
    ("name", "file"), [("ENAS_micro", "enas-micro-released.svg"), ("ENAS_micro_rerun_2023", "enas-micro-rerun.svg")]
)
def test_the_cells_of_the_re_run_and_the_released_ones_are_drawn_as_they_are(
    name: str, file: str, tmp_path: Path
) -> None:
    def titles(picture: str) -> list[str]:
        return sorted(re.findall(r"<title>(.*?)</title>", picture))

    drawn = draw(formats.published()[name].architecture, tmp_path / file, title=name).read_text(encoding="utf-8")
    kept = (ROOT / "docs" / file).read_text(encoding="utf-8")
    assert titles(kept) == titles(drawn) and len(titles(kept)) > 60
    assert f"({file})" in (ROOT / "docs" / "enas-micro.md").read_text(encoding="utf-8")
