"""The programs in examples/ run, with small budgets."""

import importlib.util
from pathlib import Path
from types import ModuleType

from documents import ROOT


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", ROOT / "examples" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_on_digits_writes_a_page_over_search_and_training(tmp_path: Path, capsys, global_rng):
    page = example("digits").main(tmp_path, epochs=1, max_images=192)
    assert page == tmp_path / "report.html" and "test accuracy" in capsys.readouterr().out
    assert page.stat().st_size > 10_000


def test_the_example_on_arrays_trains_a_published_cell(tmp_path: Path, capsys, global_rng):
    accuracy = example("own_arrays").main(tmp_path / "run", epochs=1, count=160)
    assert 0 <= accuracy <= 1 and "of 32 images" in capsys.readouterr().out


def test_the_example_on_a_torch_dataset_finds_a_cell_of_its_operations(tmp_path: Path, global_rng):
    text = example("torch_dataset").main(tmp_path / "run", epochs=1)
    assert text.startswith("Genotype(") and "conv_5x5" not in text and "avg_pool" not in text


def test_there_is_a_test_for_every_example_and_each_is_short():
    files = {path.stem: path.read_text() for path in (ROOT / "examples").glob("*.py")}
    tests = Path(__file__).read_text()
    assert files and all(f'example("{name}")' in tests for name in files)
    assert all(len(text.splitlines()) <= 42 for text in files.values())
