"""One GPU in at most eight minutes: python benchmarks/gpu.py, from the source tree, with torch, triton and numpy alone.

Writes gpu.md and gpu.json into --out: seconds a search step in four forms, the share of the copy bandwidth, the time of
a whole search, four seeds at once against one, host syncs in a step, a quality check in float32 and bf16, and seconds a
step of training DARTS_V2 (drop path left out): as it is, fast, recorded, and by torch.compile. Each part stands alone:
one that fails tells why in its row. --small: the same at toy sizes, also without a GPU.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from dartboard import formats, spaces, train
from dartboard.config import Setup
from dartboard.data.digits import load_digits
from dartboard.data.splits import Data, Split, divide
from dartboard.methods import darts
from dartboard.networks.darts import Network, sized
from dartboard.runs.limits import Limits
from dartboard.runs.run import Run
from dartboard.tasks import task_of
from dartboard.tasks.task import pair
from dartboard.training import cuda_graphs

SPACE = spaces.SPACES["darts"]
IMAGES = 50_000  # of CIFAR-10: half of them train the weights
NO_GPU, LATE = "no GPU", "left out: no time left to compile"
COMPILE_UNTIL_S = 300.0  # two networks of twenty cells take torch.compile a minute or two
WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")


class Unwritten(Run):
    """A run that keeps its lines in memory and saves nothing: no folder, and none of the packages that write one."""

    def __init__(self, setup: Setup) -> None:
        self.setup, self.limits, self.label, self.folder = setup, Limits(), f"seed {setup.seed}", Path("nowhere")
        self.lines: list[dict[str, Any]] = []
        self.resumed_by, self.settings, self.length_announced = self.folder, {}, True
        self._worked_s, self._started, self.warm_start, self.space = 0.0, time.monotonic(), None, "darts"

    def check_data(self, data: Any) -> None: ...

    def log(self, **fields: Any) -> None:
        self.lines.append(fields)

    def metrics(self) -> list[dict[str, Any]]:
        return self.lines

    def load(self) -> None:
        return None

    def save(self, state: Any, **place: Any) -> None:
        self._saved = time.monotonic()

    def pulse(self, save: Callable[[], None], step: int) -> None: ...

    def finish(self, architecture: Any = None, **result: Any) -> None: ...

    @contextmanager
    def guarded(self) -> Iterator[None]:
        yield


@dataclass(frozen=True)
class Form:
    """supernet, precision: as in the settings of a search; recorded: by CUDA graphs."""

    name: str
    supernet: str
    precision: str
    recorded: bool


FORMS = (
    Form("plain, float32", "plain", "float32", False),
    Form("fast, float32", "fast", "float32", False),
    Form("fast, float32, graphs", "fast", "float32", True),
    Form("fast, bf16, graphs", "fast", "bf16", True),
)
BEST = FORMS[-1]
TRAININGS = (  # name, form, whether torch.compile makes the network
    ("plain, float32", FORMS[0], False),
    ("fast, float32", FORMS[1], False),
    ("fast, float32, graphs", FORMS[2], False),
    ("fast, bf16, graphs", FORMS[3], False),
    ("plain by torch.compile, float32", FORMS[0], True),
    ("plain by torch.compile, bf16", Form("plain, bf16", "plain", "bf16", False), True),
)


@dataclass(frozen=True)
class Bench:
    """What is measured and where. steps: timed ones a form."""

    device: str
    config: darts.Config
    image_size: int
    steps: int
    quality_epochs: int
    quality_config: darts.Config
    training: train.Config

    @property
    def on_gpu(self) -> bool:
        return self.device == "cuda"


def bench_of(small: bool) -> Bench:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if small:
        tiny = darts.Config(channels=2, cells=3, batch_size=8, epochs=1)
        training = train.Config(channels=2, cells=3, batch_size=8, crop_padding=1)
        return Bench(device, tiny, 8, 1, 1, replace(tiny, batch_size=64, crop_padding=1), training)
    quality = darts.Config(channels=16, cells=8, epochs=15, crop_padding=1)
    return Bench(device, darts.Config(), 32, 30, 15, quality, train.Config())


@contextmanager
def switched(form: Form) -> Iterator[None]:
    """DARTBOARD_GRAPHS as the form wants it."""
    before = os.environ.get("DARTBOARD_GRAPHS")
    os.environ["DARTBOARD_GRAPHS"] = "1" if form.recorded else "0"
    try:
        yield
    finally:
        del os.environ["DARTBOARD_GRAPHS"]
        if before is not None:
            os.environ["DARTBOARD_GRAPHS"] = before


def noise_data(bench: Bench, batch_size: int = 0) -> Data:
    """Images of noise in ten classes, enough for some batches."""
    noise = torch.Generator().manual_seed(0)
    count, side = 8 * (batch_size or bench.config.batch_size), bench.image_size
    images = torch.randint(256, (count, 3, side, side), generator=noise, dtype=torch.int64).to(torch.uint8)
    split = Split(images, torch.randint(10, (count,), generator=noise))
    names = tuple(str(number) for number in range(10))
    return Data("noise", split, split, split, names, (0.5,) * 3, (0.25,) * 3, "noise").to(bench.device)


def stepper(bench: Bench, form: Form, second_order: bool, seed: int = 0) -> Callable[[], object]:
    """One whole step of a search, batches included, as often as it is called."""
    setup = Setup(seed=seed, device=bench.device, precision=form.precision)  # type: ignore[arg-type]
    config = replace(bench.config, supernet=form.supernet, second_order=second_order)  # type: ignore[arg-type]
    run, data = Unwritten(setup), noise_data(bench)
    state = darts.begin(config, SPACE, data, run, None)
    task = task_of(config, data)
    alpha_step, weight_step = darts.steps(config, state, task, run)
    orders = task.order("train", run, 0)

    def step() -> object:
        index = orders[state.place.step % (len(orders) - 1)]
        train_batch, val_batch = pair(task, index, run, state.place.step, state.supernet)
        val_loss = alpha_step(*train_batch[:2], *val_batch[:2], config.lr)
        sums = weight_step(*train_batch[:2], config.lr)
        state.place.advance(len(index), sums, config.lr, val_loss=val_loss)
        state.place.unread.clear()
        return sums

    return step


def synchronize(bench: Bench) -> None:
    if bench.on_gpu:
        torch.cuda.synchronize()


def training_stepper(bench: Bench, form: Form, compiled: bool) -> Callable[[], object]:
    """One whole step of training DARTS_V2 without drop path, batches included, as often as it is called."""
    setup = Setup(device=bench.device, precision=form.precision)  # type: ignore[arg-type]
    config = replace(bench.training, network=form.supernet)  # type: ignore[arg-type]
    run, data = Unwritten(setup), noise_data(bench, config.batch_size)
    task, network = task_of(config, data, "train"), sized(formats.published()["DARTS_V2"].architecture, config, data)
    training = train.begin(config, network, run, torch.device(bench.device), torch.float32)
    if compiled:
        whole = torch.compile(lambda x: Network.output(network, x))
        network.output = lambda x, **_: whole(x)  # type: ignore[method-assign]
    make_step = train.stepper(config, training, task, run)
    index = torch.arange(config.batch_size)

    def step() -> object:
        batch = task.batch("training", index, run, training.place.step, network)
        sums = make_step(batch.x, batch.y, config.lr)
        training.place.advance(len(index), sums, config.lr)
        training.place.unread.clear()
        return sums

    return step


def seconds_a_step(bench: Bench, form: Form, make: Callable[[], Callable[[], object]]) -> float:
    """Median over three rounds of the mean of a round's steps, after warming up and recording."""
    with switched(form), cuda_graphs.own_stream(torch.device(bench.device)):
        step = make()
        for _ in range(cuda_graphs.WARM_UP + 2 if bench.on_gpu else 1):
            step()
        rounds, steps = [], bench.steps if form.recorded else -(-bench.steps // 3)
        for _ in range(3 if bench.on_gpu else 1):
            synchronize(bench)
            start = time.perf_counter()
            for _ in range(steps):
                step()
            synchronize(bench)
            rounds.append((time.perf_counter() - start) / steps)
    return statistics.median(rounds)


class Traffic(TorchDispatchMode):
    """Bytes of the arguments and results of every operation that is no view."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            leaves, _ = torch.utils._pytree.tree_flatten((args, kwargs, result))
            self.bytes += sum(leaf.nbytes for leaf in leaves if isinstance(leaf, torch.Tensor))
        return result


def step_bytes(bench: Bench, form: Form) -> int:
    """Bytes that the operations of a first-order step read and write, counted while it runs eagerly."""
    with switched(replace(form, recorded=False)):
        step = stepper(bench, form, second_order=False)
        step()
        with Traffic() as traffic:
            step()
    return traffic.bytes


def copy_bandwidth(bench: Bench) -> float:
    """Bytes a second, read and written, of copies of 1 GiB."""
    source = torch.empty(2**30, dtype=torch.uint8, device=bench.device)
    target = torch.empty_like(source)
    target.copy_(source)
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(20):
        target.copy_(source)
    torch.cuda.synchronize()
    return 20 * 2 * 2**30 / (time.perf_counter() - start)


def together_ratio(bench: Bench, seeds: int = 4) -> float:
    """Time of so many seeds at once, in threads with streams of their own, by that of one."""

    def work(seed: int, barrier: threading.Barrier, found: dict[int, tuple[float, float]]) -> None:
        with cuda_graphs.own_stream(torch.device(bench.device)):
            step = stepper(bench, BEST, second_order=False, seed=seed)
            try:
                for _ in range(cuda_graphs.WARM_UP + 2):
                    step()
                synchronize(bench)
            except BaseException:
                barrier.abort()  # the others do not wait for this one
                raise
            barrier.wait()
            start = time.perf_counter()
            for _ in range(4 * bench.steps):
                step()
            if bench.on_gpu:
                torch.cuda.current_stream().synchronize()
            found[seed] = start, time.perf_counter()

    spans: list[float] = []
    for count in (1, seeds):
        barrier, found = threading.Barrier(count), dict[int, tuple[float, float]]()
        threads = [threading.Thread(target=work, args=(seed, barrier, found)) for seed in range(count)]
        with switched(BEST):
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        if len(found) < count:
            raise RuntimeError("a thread failed; its error is above")
        spans.append(max(end for _, end in found.values()) - min(start for start, _ in found.values()))
    return spans[1] / spans[0]


def syncs_a_step(bench: Bench) -> float:
    """Waits of the host for the GPU in a step, by the profiler."""
    from torch.profiler import ProfilerActivity, profile

    with switched(BEST), cuda_graphs.own_stream(torch.device(bench.device)):
        step = stepper(bench, BEST, second_order=True)
        for _ in range(cuda_graphs.WARM_UP + 2):
            step()
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiled:
            for _ in range(10):
                step()
    return sum(event.count for event in profiled.key_averages() if event.key in WAITS) / 10


def quality(bench: Bench) -> list[dict[str, Any]]:
    """Searches on the digits that ship with the package: 3 seeds in float32 and in bf16."""
    found = []
    for seed in range(3 if bench.on_gpu else 1):
        split = divide(load_digits(), seed=seed, val_fraction=0.5, official_split=False, max_images=None)
        for precision in ("float32", "bf16"):
            run = Unwritten(Setup(seed=seed, device=bench.device, precision=precision))  # type: ignore[arg-type]
            config = replace(bench.quality_config, epochs=bench.quality_epochs)
            data = split if bench.on_gpu else few(split)
            result = darts.search(config, SPACE, data, run)
            cell = formats.write(result.architecture, "quark0")
            scores = {"val_accuracy": result.val_accuracy, "derived_val_accuracy": result.derived_val_accuracy}
            found.append({"seed": seed, "precision": precision, **scores, "architecture": cell})
    return found


def few(data: Data) -> Data:
    """The first images of each split: enough for a smoke test."""
    return replace(
        data,
        train=Split(data.train.images[:64], data.train.labels[:64]),
        val=Split(data.val.images[:64], data.val.labels[:64]),
    )


def tried(work: Callable[[], Any]) -> Any:
    """The result, or what went wrong in one line: a part that fails does not take the others with it."""
    try:
        return work()
    except Exception as error:
        return f"failed: {type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"[:200]


def measured(bench: Bench) -> dict[str, Any]:
    """All parts, by name."""
    began = time.monotonic()
    found: dict[str, Any] = {"conditions": conditions(bench), "step_s": {}, "bytes": {}}
    for order, second in (("first order", False), ("second order", True)):
        for form in FORMS:
            skip = form.recorded and not bench.on_gpu
            make = partial(stepper, bench, form, second)
            one = NO_GPU if skip else tried(partial(seconds_a_step, bench, form, make))
            found["step_s"][f"{form.name}, {order}"] = one
            print(f"{form.name}, {order}: {one}", flush=True)
    found["bytes"] = {form.name: tried(lambda form=form: step_bytes(bench, form)) for form in FORMS if form != FORMS[2]}  # type: ignore[misc]
    parts: dict[str, Callable[[], Any]] = {
        "copy_bytes_per_s": lambda: copy_bandwidth(bench),
        "four_seeds_by_one": lambda: together_ratio(bench),
        "syncs_a_step": lambda: syncs_a_step(bench),
    }
    for name, work in parts.items():
        found[name] = tried(work) if bench.on_gpu else NO_GPU
        print(f"{name}: {found[name]}", flush=True)
    found["quality"] = tried(lambda: quality(bench))
    found["training_step_s"], early = {}, time.monotonic() - began < COMPILE_UNTIL_S
    for name, form, compiled in TRAININGS:
        skip = (form.recorded or compiled) and not bench.on_gpu
        make = partial(training_stepper, bench, form, compiled)
        one = NO_GPU if skip else LATE if compiled and not early else tried(partial(seconds_a_step, bench, form, make))
        found["training_step_s"][name] = one
        print(f"training, {name}: {one}", flush=True)
    return found


def conditions(bench: Bench) -> dict[str, Any]:
    name = torch.cuda.get_device_name() if bench.on_gpu else platform.processor() or platform.machine()
    sizes = {"channels": bench.config.channels, "cells": bench.config.cells, "batch_size": bench.config.batch_size}
    versions = {"torch": torch.__version__, "cuda": torch.version.cuda, "python": platform.python_version()}
    return {"device": name, **versions, **sizes, "image_size": bench.image_size, "steps": bench.steps}


def table(found: Mapping[str, Any]) -> str:
    """The findings as Markdown."""
    told = ", ".join(f"{name} {value}" for name, value in found["conditions"].items())
    lines = [
        f"Conditions: {told}.",
        "",
        "| step | ms | by plain | 50 epochs, min | of copy bandwidth |",
        "|---|---|---|---|---|",
    ]
    for order in ("first order", "second order"):
        plain = found["step_s"][f"{FORMS[0].name}, {order}"]
        for form in FORMS:
            lines.append(step_row(found, form, order, plain))
    lines += ["", "| what | found | goal |", "|---|---|---|"]
    goals = {"four_seeds_by_one": "at most 2", "syncs_a_step": "0", "copy_bytes_per_s": ""}
    lines += [f"| {name.replace('_', ' ')} | {number(found[name])} | {goal} |" for name, goal in goals.items()]
    lines += ["", "| training step | ms | by plain |", "|---|---|---|"]
    plain = found["training_step_s"][TRAININGS[0][0]]
    for name, seconds in found["training_step_s"].items():
        known = isinstance(seconds, float) and isinstance(plain, float)
        ratio = f"{1000 * seconds:.2f} | {plain / seconds:.2f}" if known else f"{seconds} | "
        lines.append(f"| {name} | {ratio} |")
    lines += ["", "| seed | precision | supernet accuracy | cell cut out | derived |", "|---|---|---|---|---|"]
    if isinstance(found["quality"], str):
        return "\n".join([*lines, f"| {found['quality']} | | | | |", ""])
    for one in found["quality"]:
        scores = f"{one['val_accuracy']:.4f} | {one['derived_val_accuracy']:.4f}"
        lines.append(f"| {one['seed']} | {one['precision']} | {scores} | {one['architecture']} |")
    return "\n".join([*lines, ""])


def step_row(found: Mapping[str, Any], form: Form, order: str, plain: Any) -> str:
    seconds = found["step_s"][f"{form.name}, {order}"]
    if isinstance(seconds, str):
        return f"| {form.name}, {order} | {seconds} | | | |"
    ratio = f"{plain / seconds:.2f}" if isinstance(plain, float) else ""
    batch = found["conditions"]["batch_size"]
    minutes = (
        f"{50 * -(-IMAGES // 2 // batch) * seconds / 60:.1f}" if found["conditions"]["image_size"] == 32 else "toy size"
    )
    counted, bandwidth = found["bytes"].get(form.name.replace("float32, graphs", "float32")), found["copy_bytes_per_s"]
    known = order == "first order" and isinstance(counted, int) and isinstance(bandwidth, float)
    share = f"{counted / seconds / bandwidth:.2f}" if known else NO_GPU if bandwidth == NO_GPU else ""
    return f"| {form.name}, {order} | {1000 * seconds:.2f} | {ratio} | {minutes} | {share} |"


def number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float | int) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="toy sizes: a smoke test, also without a GPU")
    parser.add_argument("--out", default="runs/bench-gpu", help="folder of gpu.md and gpu.json")
    words = parser.parse_args()
    bench, out = bench_of(words.small), Path(words.out)
    if not bench.on_gpu and not words.small:
        raise SystemExit("no GPU that torch can use; --small tries the program without one")
    found = measured(bench)
    out.mkdir(parents=True, exist_ok=True)
    (out / "gpu.json").write_text(json.dumps(found, indent=1) + "\n")
    (out / "gpu.md").write_text(table(found))
    print(table(found))


if __name__ == "__main__":
    main()
