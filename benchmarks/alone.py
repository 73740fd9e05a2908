"""What channels_last alone and kept memory alone bring: CPU seconds of the plain forms, with each, both and neither.

Usage: python benchmarks/alone.py [--rounds 3] [--work supernet training]
Prints Markdown. One thread, and seconds of the processor, so that a busy machine tells the same but for its caches; all
forms in turn in one process, after a round that is not counted.
"""

import argparse
import gc
import statistics
import time
from collections.abc import Sequence

import forms
import torch
from forms import FORWARD_BACKWARD, Form, Size, Work

BOTH = Form("plain, channels-last, memory kept", "plain", True, False, True)
FORMS = (forms.ORIGINAL, *forms.ALONE, BOTH)
SIZES = {"supernet": Size(8, 5, 64, 16), "training": Size(36, 20, 16, 32)}


def work_of(name: str, form: Form) -> Work:
    size = SIZES[name]
    return forms.searched(form, size).works[FORWARD_BACKWARD] if name == "supernet" else forms.trained(size, form)


def cpu_seconds(works: dict[Form, Work], rounds: int) -> dict[Form, list[float]]:
    """By form, all in turn. Where memory is kept, work that is not timed comes first, as other steps would."""
    seconds: dict[Form, list[float]] = {form: [] for form in works}
    for _ in range(rounds + 1):
        for form, work in works.items():
            with form.chosen():
                if form.kept:
                    work()
                before = time.process_time()
                work()
                seconds[form].append(time.process_time() - before)
            gc.collect()
    return {form: values[1:] for form, values in seconds.items()}


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", nargs="+", choices=list(SIZES), default=list(SIZES))
    flags = parser.parse_args(words)
    torch.set_num_threads(1)
    print("| work | form | CPU s | lowest | highest | n | times faster |\n|---|---|---|---|---|---|---|")
    for name in flags.work:
        seconds = cpu_seconds({form: work_of(name, form) for form in FORMS}, flags.rounds)
        plain = statistics.median(seconds[forms.ORIGINAL])
        for form, values in seconds.items():
            middle = statistics.median(values)
            told = f"{middle:.3g} | {min(values):.3g} | {max(values):.3g} | {len(values)} | {plain / middle:.2f}"
            print(f"| {name}: {SIZES[name]} | {form.name} | {told} |", flush=True)


if __name__ == "__main__":
    main()
