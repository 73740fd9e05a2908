"""dartboard latency: tables of what layers take on this device, which serve as limits on the latency of networks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dartboard.commands import work
from dartboard.commands.flags import parse
from dartboard.commands.why import reporting_stops
from dartboard.config import check_ranges
from dartboard.errors import InputError, InterruptedRunError, unknown
from dartboard.formats.files import shown
from dartboard.paths import quoted
from dartboard.runs.json_files import read_json
from dartboard.runs.limits import catching_signals, limits_of
from dartboard.spaces import SPACES

VERBS = ("build", "show")
MISSING = "say what to do: dartboard latency build --space bignas-32, or: dartboard latency show FILE"


@dataclass(frozen=True)
class BuildFlags:
    """Times all layers of a space on this device, and checks their sum on networks that it was not fitted on."""

    space: str = "bignas-32"
    """The space, of `dartboard list spaces`."""
    device: Literal["cpu", "cuda"] = "cpu"
    """The device."""
    threads: int = 1
    """Threads of the CPU."""
    batch_size: int = 1
    """Images at once."""
    channels_last: bool = False
    """Maps with their channels last in memory."""
    runtime: Literal["torch", "onnxruntime"] = "torch"
    """What computes; onnxruntime times exports to ONNX on a CPU: pip install "dartboard[onnxruntime]"."""
    channels: int | None = None
    """Channels of the widest stem, as in a search; by default the space's own."""
    cells: int | None = None
    """Cells, as in a search; by default the space's own number."""
    classes: int | None = None
    """Classes; by default the space's own number."""
    in_channels: int = 3
    """Channels of an image."""
    image_size: int | None = None
    """Height and width of images; by default the space's own."""
    rounds: int = 20
    """How often everything is timed."""
    fitted: int = 20
    """Networks on which constant and slope are fitted."""
    checked: int = 30
    """Other networks on which the table is checked."""
    seed: int = 0
    """Which networks these are."""
    out: str | None = None
    """The table's file; by default latency-SPACE-DEVICE-THREADSt.json, or ...t-onnxruntime.json. The same command
    continues a stopped one."""

    def __post_init__(self) -> None:
        check_ranges(self, threads="[1, 1024]", batch_size="[1, 4096]", channels="[1, 65536]", classes="[1, 1e6]")
        check_ranges(self, in_channels="[1, 4096]", image_size="[1, 4096]", rounds="[3, 10000]", seed="[0, 1e18]")
        check_ranges(self, fitted="[4, 1000]", checked="[20, 1000]", cells="[3, 1000]")
        if self.space not in SPACES:
            raise unknown("space", self.space, SPACES)
        for is_given, name, why in (
            (self.channels_last, "--channels-last", "in ONNX channels are first"),
            (self.device != "cpu", f"--device {self.device}", "exports are timed on a CPU"),
        ):
            if self.runtime == "onnxruntime" and is_given:
                raise InputError(f"--runtime onnxruntime does not go with {name}, {why}; leave one of them out")


@dataclass(frozen=True)
class ShowFlags:
    """What a table of latencies says, and how well it did on networks that it was not fitted on."""

    file: str
    """a file of dartboard latency build"""


def execute(words: list[str]) -> None:
    """Raises InputError (unknown space or verb, a damaged file ...), InterruptedRunError."""
    if words and words[0] in VERBS:
        return build(words[1:]) if words[0] == "build" else show(words[1:])
    if words and not words[0].startswith("-"):
        raise unknown("word after dartboard latency", words[0], VERBS)
    if words and words[0] not in ("--help", "-h"):
        raise InputError(MISSING)
    print("usage: dartboard latency build|show ...     --help behind either lists its flags" if words else MISSING)


def show(words: list[str]) -> None:
    """Prints what a file holds. Raises InputError."""
    from dartboard.scoring.latency import MAX_DAMAGE, OTHERWISE, table_from

    flags = parse(ShowFlags, words, "latency show", "name a table: dartboard latency show FILE")
    record = read_json(Path(flags.file), OTHERWISE)
    table_from(record, flags.file)
    try:
        lines = list(told(record))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(f"{quoted(flags.file)} is damaged: {MAX_DAMAGE}") from error
    print("\n".join(lines))


def build(words: list[str]) -> None:
    """Raises as `execute`."""
    flags = parse(BuildFlags, words, "latency build", MISSING)
    runtime = "" if flags.runtime == "torch" else f"-{flags.runtime}"
    out = Path(flags.out or f"latency-{flags.space}-{flags.device}-{flags.threads}t{runtime}.json")
    if out.exists():
        raise InputError(
            f"{shown(out)} exists; give another file with --out, or: dartboard latency show {quoted(str(out))}"
        )
    from dartboard.studies import latency_tables

    work.use_threads(flags.threads)
    plan, stops = plan_of(flags), limits_of(None, None)

    def check() -> None:
        if reason := stops.reason():
            raise InterruptedRunError(f"stopped by {reason[0]}; whole rounds stay", reason[1])

    with reporting_stops("the same command: dartboard latency build ..."), catching_signals(stops):
        print("\n".join(told(latency_tables.build(plan, out, check=check))))
    print(f"table: {shown(out)}; use it with --latency {quoted(str(out))} --limit latency_ms<=...")


def plan_of(flags: BuildFlags) -> Any:  # a latency_tables.Plan, whose file imports torch
    """What is to be timed. Raises InputError."""
    from dartboard.devices import device_name, pick_device
    from dartboard.networks import check_layers
    from dartboard.scoring.latency import Conditions, own_sizes, timed_of
    from dartboard.scoring.runtimes import check_installed
    from dartboard.studies.latency_tables import Plan

    check_installed(flags.runtime)
    space = SPACES[flags.space]
    timed_of(space)
    given = {"channels": flags.channels, "cells": flags.cells, "num_classes": flags.classes}
    given["image_size"] = flags.image_size
    sizes = {**own_sizes(space), **{name: size for name, size in given.items() if size is not None}}
    check_layers(space, sizes["cells"])
    sizes["in_channels"] = flags.in_channels
    name = device_name(pick_device(flags.device))
    layout: Literal["channels_first", "channels_last"] = "channels_last" if flags.channels_last else "channels_first"
    conditions = Conditions(flags.device, name, flags.threads, flags.batch_size, layout, runtime=flags.runtime)
    return Plan(space, sizes, conditions, flags.rounds, flags.fitted, flags.checked, flags.seed)


def told(record: Mapping[str, Any]) -> Iterator[str]:
    """What a table's file says, line by line."""
    one, made, checked = record["conditions"], record["measured"], record["checked"]
    threads = f"{one['threads']} thread" + ("s" if one["threads"] > 1 else "")
    yield f"{record['space']}: {len(record['layers']):,} layers on {one['device_name']} ({one['device']}), {threads}"
    load = " to ".join(f"{value:.1f}" for value in made["load_average"])
    by = f"onnxruntime {made['onnxruntime']}, exported by " if "onnxruntime" in made else ""
    yield f"batch {one['batch_size']}, {one['memory_format']}, {one['number_format']}, {by}torch {made['torch']}"
    yield f"{made['clock']}, {made['rounds']} rounds, load average {load} on {made['cores']} cores, {made['created']}"
    line = f"{record['constant_ms']:.4g} ms + {record['slope']:.4g} x the sum of its layers"
    if reordering := record.get("reordering_ms", 0.0):
        line += f" {'-' if reordering < 0 else '+'} {abs(reordering):.4g} ms a million numbers that enter them"
    yield f"latency = {line}"
    yield f"on {checked['by_layers']['n']} networks that nothing was fitted on:"
    for name, word in (("by_layers", "layers"), ("by_macs", "multiply-adds")):
        found = checked[name]
        tau = "none" if found["kendall_tau"] is None else f"{found['kendall_tau']:.3f}"
        errors = f"mean error {100 * found['mean_error']:5.1f} %, largest {100 * found['largest_error']:5.1f} %"
        within = f"within 10 % {100 * found['share_within_10_percent']:4.0f} %"
        yield f"  by {word:16} {errors}, {within}, Kendall's tau {tau}"
    if checked["by_layers"]["share_within_10_percent"] < 0.5:
        yield "  this table predicts badly; build another one when the machine is idle, or with more --rounds"
    yield f"  measurements  spread between quartiles {100 * checked['spread']:.1f} % of the median"
