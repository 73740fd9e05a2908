"""make bench-gpu: runs from the source tree with torch and numpy alone, and says where there is no GPU."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parent.parent
ABSENT = ("tyro", "rich", "matplotlib", "pygraphviz", "tomli_w", "safetensors", "PIL", "scipy")
WITHOUT = f"""
import runpy, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {ABSENT!r}:
            raise ImportError(name)
sys.meta_path.insert(0, Absent())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_the_bench_of_a_gpu_needs_only_torch_and_numpy_and_tells_what_it_could_not_measure(tmp_path: Path) -> None:
    words = [sys.executable, "-c", WITHOUT, str(ROOT / "benchmarks" / "gpu.py"), "--small", "--out", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found, table = json.loads((tmp_path / "gpu.json").read_text()), (tmp_path / "gpu.md").read_text()
    assert "failed" not in table
    assert {one["precision"] for one in found["quality"]} == {"float32", "bf16"}
    if found["conditions"]["cuda"] is None:
        assert found["four_seeds_by_one"] == found["syncs_a_step"] == "no GPU"
        assert table.count("no GPU") >= 7
    trained = found["training_step_s"]
    assert len(trained) == 6 and trained["plain, float32"] > 0 < trained["fast, float32"]
    assert found["step_s"]["plain, float32, first order"] > 0 < found["bytes"]["fast, bf16, graphs"]
