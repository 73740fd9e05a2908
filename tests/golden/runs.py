"""Makes runs.json: whole runs by the command line, digests of their metrics (times left out) and of their checkpoints.

What is rebuilt must leave them as they are, bit for bit. Bits are compared where torch, the processor and the kernels
are those of the recording; elsewhere the runs in double are compared by their numbers.
Made anew only where a result is meant to change: python tests/golden/runs.py [NAME ...]
With names only those runs are made anew (and what they start from, for that moment); the others stay as they are.
"""

import hashlib
import json
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RECORD = HERE / "runs.json"
SIZES = "--data digits --max-images 96 --channels 2 --cells 3 --batch-size 16 --threads 1 --device cpu"
TRAIN = f"{SIZES} --epochs 2 --cutout 2 --crop-padding 1 --no-flip"
# run -> its command; each writes into a folder of that name
COMMANDS = {
    "first-order": f"search darts {SIZES} --epochs 2",
    "first-order-in-double": f"search darts {SIZES} --epochs 2 --precision float64",
    "second-order": f"search darts {SIZES} --epochs 1 --second-order --seed 1",
    "second-order-in-double": f"search darts {SIZES} --epochs 1 --second-order --precision float64",
    "plain": f"search darts {SIZES} --epochs 1 --supernet plain --no-channels-last",
    "fewer-operations": f"search darts --space s2 {SIZES} --epochs 2",
    "stopping-rules": f"search darts {SIZES} --epochs 3 --alpha-lr 0.3 --stop skips:2,stable:2,eigenvalue:1.3:1,"
    "held-out:0.1:1 --stop-mode report",
    "from": f"search darts --from first-order {SIZES.replace('digits', 'digits-rotated')} --epochs 1",
    "train": f"train DARTS_V2 {TRAIN} --no-auxiliary",
    "train-in-double": f"train first-order {TRAIN} --precision float64 --no-auxiliary",
    "train-with-auxiliary-head": f"train PDARTS {TRAIN.replace('--epochs 2', '--epochs 1')} --image-size 24",
    "transfer": "transfer --a digits --b digits-rotated --seeds 1 --epochs 1 --random 1 --max-images 96 --channels 2 "
    "--cells 3 --batch-size 16 --train-epochs 1 --train-channels 2 --train-cells 3 --train-batch-size 16 --threads 1 "
    "--device cpu",
}

STARTS_FROM = {"from": ("first-order",), "train-in-double": ("first-order",)}


def make(folder: Path, names: tuple[str, ...] = tuple(COMMANDS)) -> dict[str, Any]:
    """Runs the commands in a folder; run (or study/stage) -> its metrics and the digest of its checkpoint."""
    from dartboard.cli import main

    found: dict[str, Any] = {}
    with chdir(folder):
        for name in names:
            words = [*shlex.split(COMMANDS[name]), "--out", name]
            assert main(words) == 0, words
            stages = sorted(Path(name).glob("stages/*")) or [Path(name)]
            found |= {str(stage): described(stage, in_full="in-double" in name) for stage in stages}
    return found


def described(run: Path, *, in_full: bool) -> dict[str, Any]:
    """What must not change of a run. in_full: with its metrics, to compare numbers where bits differ."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    kept = [without_times(line) for line in lines]
    text = json.dumps(kept, sort_keys=True)
    found = {"metrics_sha256": hashlib.sha256(text.encode()).hexdigest(), "tensors_sha256": digest(run)}
    found["architecture"] = json.loads((run / "architecture.json").read_text())
    return found | ({"metrics": kept} if in_full else {})


def without_times(line: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in line.items() if not name.endswith("_s") and name != "timing"}


def digest(run: Path) -> str:
    """SHA-256 over names, shapes and bytes of the tensors of the run's last checkpoint."""
    from safetensors.numpy import load_file

    last = sorted((run / "checkpoint").glob("step-*"))[-1]
    found = hashlib.sha256()
    for name, array in sorted(load_file(last / "tensors.safetensors").items()):
        found.update(f"{name} {array.dtype} {array.shape}\n".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def surroundings() -> dict[str, str]:
    """What bits depend on, beside the code: torch, the processor with all that it can do, and the compiler."""
    import torch

    from dartboard import kernels
    from dartboard.devices import processor

    compiled = kernels.hindrance() or f"compiled by {kernels.compiler()}"
    cpu = Path("/proc/cpuinfo")
    told = cpu.read_text().split("\n\n")[0] if cpu.exists() else ""
    same = [line for line in told.splitlines() if line.startswith(("cpu family", "model", "flags"))]
    able = hashlib.sha256("\n".join(same).encode()).hexdigest()[:16]
    return {"torch": torch.__version__, "processor": f"{processor()} {able}", "kernels": str(compiled)}


def record(names: Sequence[str]) -> None:
    """Makes the named runs anew, or all where there is no name, and writes runs.json."""
    if unknown := set(names) - set(COMMANDS):
        raise SystemExit(f"no such runs: {', '.join(sorted(unknown))}; there are {', '.join(COMMANDS)}")
    before = json.loads(RECORD.read_text()) if names else {"surroundings": surroundings(), "runs": {}}
    if before["surroundings"] != surroundings():
        raise SystemExit("the others were recorded in other surroundings; make all anew, without names")
    asked = {*(names or COMMANDS), *(start for name in names for start in STARTS_FROM.get(name, ()))}
    with tempfile.TemporaryDirectory() as place:
        found = make(Path(place), tuple(name for name in COMMANDS if name in asked))
    new = {run: one for run, one in found.items() if not names or run.split("/")[0] in names}
    lines = [f"{json.dumps(name)}: {json.dumps(one)}" for name, one in (before["runs"] | new).items()]
    text = ",\n".join(lines)
    RECORD.write_text(f'{{"surroundings": {json.dumps(surroundings())},\n"runs": {{\n{text}}}}}\n')
    print(f"{len(new)} of {len(lines)} runs made anew in {RECORD}", file=sys.stderr)


if __name__ == "__main__":
    record(sys.argv[1:])
