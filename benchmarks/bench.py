"""Every figure of docs/performance.md: what the fast forms bring against the plain one, and how the cost grows.

Usage: python benchmarks/bench.py [--out docs/performance] [--quick] [--threads N] [--budget-s 420] [--only PART ...]
Writes OUT.md (between its marks), OUT.json and OUT-growth.svg. Works are interleaved in one process; where the time
does not suffice for more, a figure has fewer repeats, and its n says so. --quick: small sizes, about a minute.
--only: these parts (small growth training memory paths paper), which share the time; give another --out with it.
"""

import argparse
import gc
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import bench_page
import forms
import growth
import path_steps
import peak_memory
import torch
from forms import FORWARD_BACKWARD, PASSES, Form, Size, Work

# Weight of each part: it gets its share of the time that those before it have left.
# The paper's size last: it takes what it takes.
SHARES = {"small": 0.16, "growth": 0.11, "training": 0.10, "memory": 0.08, "paths": 0.15, "paper": 0.40}
PAPER, TRAINED = Size(16, 8, 64, 32), Size(36, 20, 32, 32)
SMALL = (Size(4, 4, 64, 8), Size(8, 5, 64, 16))
QUICK_PAPER, QUICK_TRAINED, QUICK_SMALL = Size(4, 3, 16, 16), Size(4, 3, 16, 16), (Size(2, 3, 16, 8),)
MOST = 7  # repeats
DRAWS = 20  # of paths


@dataclass
class Bench:
    """What is measured so far. rows: one a figure; end: the moment by which all must be done."""

    threads: int
    quick: bool
    end: float
    rows: list[dict[str, Any]] = field(default_factory=list)
    lines: dict[str, growth.Series] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def left_s(self) -> float:
        return self.end - time.perf_counter()

    def add(self, work: str, size: Size, form: Form, seconds: Sequence[float], against: Sequence[float]) -> None:
        """A row of seconds, with its ratio to the seconds of the original form."""
        middle, ratio = statistics.median(seconds), statistics.median(against) / statistics.median(seconds)
        spread = {"lowest": min(seconds), "highest": max(seconds), "n": len(seconds)}
        row = {"work": work, "size": str(size), "form": form.name, "unit": "s", "median": middle, **spread}
        self.rows.append({**row, "times_faster": ratio})
        print(f"{work}, {size}, {form.name}: {middle:.3f} s, n={len(seconds)}, {ratio:.2f} times", flush=True)

    def add_memory(self, work: str, size: Size, form: Form, peak: int | None, original: int | None) -> None:
        """A row of bytes, with its share of those of the original form; none where one of them did not end."""
        if not peak or not original:
            return print(f"{work}, {size}, {form.name}: did not end (too little memory?)")
        row = {"work": work, "size": str(size), "form": form.name, "n": 1, "unit": "bytes"}
        self.rows.append({**row, "median": peak, "share": peak / original})
        print(f"{work}, {size}, {form.name}: {peak / 1e6:.0f} MB, {peak / original:.2f} of plain", flush=True)


def interleaved(
    works: dict[Form, Work], ready: dict[Form, Work], budget_s: float, most: int, warm: bool
) -> dict[Form, list[float]]:
    """Seconds by form: rounds until the budget or `most` is reached, at least one; warm: after a round that is not
    counted, unless that took half of the budget. ready: work done before each that is timed where a form keeps memory,
    as its other steps would.
    """
    seconds: dict[Form, list[float]] = {form: [] for form in works}
    start, rounds = time.perf_counter(), 0
    while rounds < most + warm:
        began = time.perf_counter()
        for form, work in works.items():
            with form.chosen():
                if form.kept:
                    ready[form]()
                before = time.perf_counter()
                work()
                seconds[form].append(time.perf_counter() - before)
            gc.collect()
        rounds += 1
        now = time.perf_counter()
        warm = warm and not (rounds == 1 and now - began > budget_s / 2)
        if rounds > warm and now - start + (now - began) > budget_s:
            break
    return {form: values[int(warm) :] for form, values in seconds.items()}


def compared(
    bench: Bench, name: str, size: Size, works: dict[Form, Work], ready: dict[Form, Work], budget_s: float, warm: bool
) -> float:
    """Rows of one work in all forms. Returns the seconds of the original form."""
    seconds = interleaved(works, ready, budget_s, 2 if bench.quick else MOST, warm)
    for form, values in seconds.items():
        bench.add(name, size, form, values, seconds[forms.ORIGINAL])
    return statistics.median(seconds[forms.ORIGINAL])


def searches(bench: Bench, size: Size, budget_s: float, whole: bool) -> None:
    """Forward and backward alone, and full steps of both orders. whole: nothing is left out for time."""
    made = {form: forms.searched(form, size) for form in forms.forms()}
    ready = {form: one.works[FORWARD_BACKWARD] for form, one in made.items()}
    pass_s = 0.0
    for name, passes in PASSES.items():
        works = {form: one.works[name] for form, one in made.items()}
        if name == FORWARD_BACKWARD:
            alone = {form: forms.searched(form, size).works[name] for form in forms.ALONE}
            works, ready = works | alone, ready | alone
        share = budget_s * passes / sum(PASSES.values())
        if not (bench.quick or whole) and 2.0 * passes * pass_s > max(share, bench.left_s()):  # once in all forms
            bench.left_out.append(f"{name}, {size}")
            print(f"{name}, {size}: left out, there is no time")
            continue
        warm = 4.0 * passes * pass_s < share  # where about two rounds are left that count
        pass_s = compared(bench, name, size, works, ready, share, warm) / passes
    one = made[forms.best()]
    with forms.best().chosen():
        data_s, step_s = (fastest(work) for work in (one.batch, one.works[forms.FIRST]))
    share = 2 * data_s / (2 * data_s + step_s)  # a batch of train and one of val
    row = {"work": "data, share of a first-order step", "size": str(size), "form": forms.best().name, "n": 3}
    bench.rows.append({**row, "unit": "share", "median": share})


def shared_out(bench: Bench, sizes: Sequence[Size], budget_s: float) -> None:
    """Searches of several sizes; the larger ones get more of the time."""
    numbers = [(size.channels * size.cells * size.image_size) ** 0.5 for size in sizes]
    for size, share in zip(sizes, numbers, strict=True):
        searches(bench, size, budget_s * share / sum(numbers), whole=False)


def fastest(work: Work, repeats: int = 3) -> float:
    """Seconds of the quickest of a few repeats."""
    times = []
    for _ in range(repeats):
        before = time.perf_counter()
        work()
        times.append(time.perf_counter() - before)
    return min(times)


def memories(bench: Bench, size: Size) -> None:
    """Peak memory of a forward and backward pass, each form in a process of its own."""
    found = {form: peak_memory.measured(form, size, bench.threads) for form in forms.forms()}
    for form, peak in found.items():
        bench.add_memory("peak memory of " + FORWARD_BACKWARD, size, form, peak, found[forms.ORIGINAL])


def trainings(bench: Bench, size: Size, budget_s: float) -> None:
    """A step of training DARTS_V2, and its answers."""
    both = (forms.ORIGINAL, forms.PURE)
    for name, make, compared_forms, share in (
        ("training step", forms.trained, (*both, *forms.ALONE), 0.85 * budget_s),
        ("evaluation of a batch", forms.answered, both, 0.15 * budget_s),
    ):
        works = {form: make(size, form) for form in compared_forms}
        compared(bench, name, size, works, works, share, warm=True)


def path_searches(bench: Bench, size: Size, budget_s: float) -> None:
    """Steps that compute a path, a draw or slices: the same draws in every form, freed memory kept by all."""
    draws, makers = 2 if bench.quick else DRAWS, {**path_steps.OF_PATHS, **path_steps.OF_SLICES}
    for name, seconds in path_steps.ratios(size, draws, 0.9 * budget_s, makers).items():
        for form, values in seconds.items():
            bench.add(name, size, form, values, seconds[path_steps.PLAIN])
    for name in path_steps.MAKERS:
        found = {form: path_steps.peak(name, form, size, bench.threads) for form in path_steps.FORMS}
        for form, peak in found.items():
            bench.add_memory(f"peak memory of forward + backward, {name}", size, form, peak, found[path_steps.PLAIN])


def measure(bench: Bench, budget_s: float, only: Sequence[str]) -> None:
    """These parts, each with its share of the time that is left."""
    paper, trained, small = (QUICK_PAPER, QUICK_TRAINED, QUICK_SMALL) if bench.quick else (PAPER, TRAINED, SMALL)
    parts: dict[str, Callable[[float], None]] = {
        "small": lambda share: shared_out(bench, small, share),
        "growth": lambda share: bench.lines.update(growth.measured(share, bench.quick, bench.threads)),
        "training": partial(trainings, bench, trained),
        "memory": lambda share: memories(bench, paper),
        "paths": partial(path_searches, bench, paper),
        "paper": lambda share: searches(bench, paper, share, whole=True),
    }
    chosen = [name for name in parts if name in only]
    for number, name in enumerate(chosen):
        ahead = sum(SHARES[other] for other in chosen[number:])
        parts[name](max(0.02 * budget_s, SHARES[name] / ahead * bench.left_s()))
        gc.collect()
    bench.rows.sort(key=lambda row: row["size"] != str(paper))  # first what is asked first


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/performance"), help="path without its ending")
    parser.add_argument("--quick", action="store_true", help="small sizes, about a minute")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--budget-s", type=float, default=None, help="seconds in all (420, or 40 where quick)")
    parser.add_argument("--only", nargs="+", choices=list(SHARES), default=list(SHARES), help="parts")
    flags = parser.parse_args(words)
    budget_s, threads_before = flags.budget_s or (40.0 if flags.quick else 420.0), torch.get_num_threads()
    torch.set_num_threads(flags.threads)
    start = time.perf_counter()
    bench = Bench(flags.threads, flags.quick, start + budget_s)
    try:
        measure(bench, budget_s, flags.only)
    finally:
        torch.set_num_threads(threads_before)
    lines = {name: asdict(replace(line)) for name, line in bench.lines.items()}
    record = {"conditions": bench_page.conditions(bench.threads, flags.quick), "rows": bench.rows, "growth": lines}
    record["left_out"] = bench.left_out
    bench_page.write(flags.out, record, time.perf_counter() - start)


if __name__ == "__main__":
    main()
