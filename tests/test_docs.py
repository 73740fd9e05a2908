"""README, docs and the other pages: their commands and their Python are run, with small budgets on small data."""

from pathlib import Path

import pytest

from dartboard.cli import main
from documents import PAGES, blocks, commands, cut, cut_python, prepare

# Their Python is run by tests of their own, which compare what it prints.
ELSEWHERE = ("data.md",)
WITH_CODE = [name for name, page in PAGES.items() if {"sh", "python"} & {kind for kind, _ in blocks(page)}]

SLOW = ("coming-from.md", "enas.md", "evolution.md", "random-search-ws.md", "reproduction.md")  # they take longest
EACH = [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in WITH_CODE]


@pytest.mark.parametrize("name", EACH)
def test_the_commands_and_the_python_of_each_page_run_in_their_order(name, tmp_path, monkeypatch, capsys, global_rng):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dartboard.training.dry_run.ENOUGH_S", 0.0)
    names: dict[str, object] = {}
    for language, text in blocks(PAGES[name]):
        if language == "sh":
            for words in commands(text):
                run(words, tmp_path, capsys)
        elif language == "python" and name not in ELSEWHERE:
            exec(compile(cut_python(text), name, "exec"), names)


def run(words: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Runs the words of one line of a shell block in this process."""
    assert words[0] == "dartboard", f"the documentation has a command that no test can run: {words}"
    if len(words) > 1:
        words = cut(words[1:], folder)
        prepare(words, folder)
    else:
        words = []
    capsys.readouterr()
    code = main(words)
    assert code == 0, f"dartboard {' '.join(words)} gave {code}: {capsys.readouterr().err}"
