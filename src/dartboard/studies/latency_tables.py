"""Builds a table of latencies on this device, and checks it on networks that nothing of it was fitted on.

All layers of a space and two sets of its networks are timed in the same rounds. The first set gives constant and slope
of scoring/latency.py's equation (1), and beside it a line through multiply-adds; both are checked on the second set.
A round is written when it ends, so that a build that was stopped continues.
"""

import fcntl
import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import torch

import dartboard
from dartboard import networks
from dartboard.analysis.statistics import kendall_tau
from dartboard.errors import InputError, InUseError
from dartboard.runs import allocator
from dartboard.runs.atomic_files import make_folders, replace_file, writing
from dartboard.runs.json_files import as_json
from dartboard.runs.pace import seconds_in_words
from dartboard.runs.streams import stream_seed
from dartboard.scoring.cost import count
from dartboard.scoring.latency import Conditions, LatencyTable, Line, as_record, fitted, key_of, timed_of
from dartboard.scoring.runtimes import Call, version
from dartboard.scoring.stopwatch import (
    IMAGES,
    Clock,
    Maps,
    Placing,
    Timed,
    calls_of,
    clock_words,
    medians,
    one_round,
    seconds_of_call,
)
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture, SearchSpace
from dartboard.spaces.timed_layers import Layer
from dartboard.studies.countdown import Countdown
from dartboard.studies.pieces import Pieces

ROUNDS = ".rounds.jsonl"  # behind the table's name: what a build that was stopped has measured
NEAR = 0.1  # relative error up to which a network counts as predicted
DRAWS = 100  # for each network, until it is one that was not drawn before


@dataclass(frozen=True)
class Plan:
    """What is timed. sizes: of the networks; fitted, checked: numbers of networks; seed: which they are."""

    space: SearchSpace
    sizes: Mapping[str, int]
    conditions: Conditions
    rounds: int = 20
    fitted: int = 20
    checked: int = 30
    seed: int = 0

    def words(self) -> str:
        """All that decides what is timed, as one line."""
        return json.dumps(
            [self.space.name, dict(self.sizes), asdict(self.conditions), self.fitted, self.checked, self.seed, IMAGES]
        )


# --- What is timed ---------------------------------------------------------------------------------------------------


def drawn(plan: Plan) -> list[Architecture]:
    """Different networks, those to fit on first: the smallest, the largest, and uniform draws."""
    rng = Random(stream_seed(plan.seed, "latency-networks"))
    found = dict.fromkeys([plan.space.smallest(), plan.space.largest()])
    number = plan.fitted + plan.checked
    for _ in range(DRAWS * number):
        if len(found) == number:
            return list(found)
        found[plan.space.sample(rng)] = None
    raise InputError(f"{plan.space.name} has fewer than {number} networks; give fewer with --fitted and --checked")


def timed(
    plan: Plan, layers: Sequence[Layer], chosen: Sequence[Architecture], check: Callable[[], None]
) -> list[Timed]:
    """The layers, then the networks. Layers with the same weights share a module.

    check: is called before each, and raises to stop. Raises InputError for what the runtime cannot compute.
    """
    file, made, places = networks.module(plan.space.family), dict[Layer, Any](), Placing(plan.conditions)
    found, countdown = list[Timed](), Countdown(len(layers) + len(chosen), "preparations")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(plan.seed, "latency-weights") % 2**63)
        for layer in layers:
            check()
            module = made.setdefault(layer.weights, None) or file.timed_layer(layer)
            made[layer.weights] = module
            found.append(places.placed(key_of(layer, plan.conditions), module, layer.channels, layer.side))
            countdown.advance(f"a {layer.kind}")
        for one in chosen:
            check()
            found.append(timed_network(one, plan.sizes, places))
            countdown.advance("a network")
    return found


def timed_network(architecture: Architecture, sizes: Mapping[str, Any], places: Placing) -> Timed:
    """The network of an architecture with weights as torch draws them: what it computes does not decide its time."""
    name = FAMILIES[architecture.space].usual_network(architecture)
    network = networks.module(architecture.space).reported(architecture, name, **sizes)
    return places.placed(str(architecture), network, sizes["in_channels"], sizes["image_size"])


# --- Rounds ----------------------------------------------------------------------------------------------------------


def measurements(plan: Plan, out: Path) -> Pieces:
    """What was measured for a table before. Raises InputError for that of a build with other settings."""
    pieces, digest = Pieces(out.parent, out.name + ROUNDS), hashlib.sha256(plan.words().encode()).hexdigest()
    if pieces.done and pieces.done.get("plan") != {"digest": digest}:
        raise InputError(f"{pieces.path} is of a build with other settings; delete it, or give another --out")
    if not pieces.done:
        pieces.add("plan", digest=digest)
    return pieces


def rounds_of(plan: Plan, things: Sequence[Timed], pieces: Pieces, clock: Clock, check: Callable[[], None]) -> None:
    """Times everything in the rounds that are left. check: is called before each time, and raises to stop."""

    def checked(call: Call, maps: Maps, calls: int) -> float:
        check()
        return clock(call, maps, calls)

    if "calls" not in pieces:
        pieces.add("calls", calls=calls_of(things, checked))
    check_rounds(pieces, len(things))
    calls, left = pieces["calls"]["calls"], [n for n in range(plan.rounds) if f"round/{n}" not in pieces]
    countdown = Countdown(len(left), "rounds")
    for number in left:
        began_s = countdown.now()
        pieces.add(f"round/{number}", ms=one_round(things, calls, number, checked))
        if number == left[0]:
            rest = seconds_in_words((countdown.now() - began_s) * (len(left) - 1))
            print(f"{len(things):,} layers and networks in {len(left)} rounds; about {rest} left", flush=True)
        countdown.advance(f"round {number + 1}")


def check_rounds(pieces: Pieces, number: int) -> None:
    """Raises InputError unless the numbers of calls, and each round, are of so many things and can have been taken."""
    found = [pieces["calls"].get("calls"), *(one.get("ms") for one in pieces.under("round/").values())]
    if not all(isinstance(one, list) and len(one) == number and all(map(is_time, one)) for one in found):
        raise InputError(f"{pieces.path} is damaged; delete it, and the table is built from the start")


def is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


@contextmanager
def own_measurements(out: Path) -> Iterator[None]:
    """The file of measurements beside a table, taken for this process; it and its folder stay only where a round was
    measured. Raises InUseError; InputError also where memory does not suffice."""
    path, folders = out.parent / (out.name + ROUNDS), [one for one in out.parents if not one.exists()]
    is_new = not path.exists()
    with writing(out.parent):
        make_folders(out.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InUseError(f"another process builds {out}; stop it first, or give another --out") from error
        try:
            yield
        except (InputError, RuntimeError, MemoryError) as error:
            if is_new and b'"round/' not in path.read_bytes():
                path.unlink()
                for folder in folders:
                    folder.rmdir()
            if isinstance(error, InputError) or not allocator.out_of_memory(error):
                raise
            raise InputError("too little memory for these layers; give fewer --channels, or smaller images") from error
    finally:
        os.close(descriptor)


# --- The table -------------------------------------------------------------------------------------------------------


def build(
    plan: Plan, out: Path, clock: Clock = seconds_of_call, check: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Measures, fits, checks, writes the table, and returns the content of its file.

    Raises InputError for a space that is not timed by layers, for measurements of another build beside the file, or
    damaged ones, and where memory does not suffice; InUseError while another process builds the same table.
    """
    layers, chosen = list(timed_of(plan.space).of_space(plan.space, plan.sizes)), drawn(plan)
    load = [os.getloadavg()[0]]
    with own_measurements(out):
        pieces = measurements(plan, out)
        rounds_of(plan, timed(plan, layers, chosen, check), pieces, clock, check)
        record = written(plan, out, layers, chosen, pieces, load)
        pieces.path.unlink()
    return record


def written(
    plan: Plan, out: Path, layers: Sequence[Layer], chosen: Sequence[Architecture], pieces: Pieces, load: list[float]
) -> dict[str, Any]:
    """Writes the table of all rounds, and returns the content of its file. load: of the machine when they began."""
    rounds = [pieces[f"round/{number}"]["ms"] for number in range(plan.rounds)]
    middle, spread = medians(rounds)
    of_layers = {key_of(layer, plan.conditions): ms for layer, ms in zip(layers, middle, strict=False)}
    number = len(layers)
    measured = [
        {"architecture": architecture.to_json(), "measured_ms": ms, "spread_ms": wide}
        for architecture, ms, wide in zip(chosen, middle[number:], spread[number:], strict=True)
    ]
    table, checked = fit(plan, out, of_layers, chosen, measured)
    record = as_record(table) | {
        "measured": {**surroundings(plan), "rounds": plan.rounds, "load_average": [*load, os.getloadavg()[0]]},
        "checked": checked,
        "networks": {"fitted": measured[: plan.fitted], "checked": measured[plan.fitted :]},
        "layers": {
            key: {"median_ms": ms, "spread_ms": wide}
            for (key, ms), wide in zip(of_layers.items(), spread, strict=False)
        },
    }
    replace_file(out, as_json(record))
    return record


def fit(
    plan: Plan,
    out: Path,
    of_layers: Mapping[str, float],
    chosen: Sequence[Architecture],
    measured: list[dict[str, Any]],
) -> tuple[LatencyTable, dict[str, Any]]:
    """The table with its line, and how it does on the networks to check on, beside a line through multiply-adds.

    Adds to each of the measured networks what both say of it, in milliseconds.
    """
    by_sum = LatencyTable(str(out), plan.space.name, plan.sizes, plan.conditions, of_layers, Line(0.0, 1.0))
    sums = [by_sum.predict_ms(one) for one in chosen]
    timed = timed_of(plan.space)
    millions = [sum(layer.millions for layer in timed.of_network(one, plan.sizes)) for one in chosen]
    sizes: dict[str, Any] = dict(plan.sizes)
    macs = [count(one, **sizes).macs for one in chosen]
    times, first = [one["measured_ms"] for one in measured], plan.fitted
    reordered = None if plan.conditions.runtime == "torch" else millions[:first]
    of_sums, of_macs = fitted(sums[:first], times[:first], reordered), fitted(macs[:first], times[:first])
    for one, total, own, number in zip(measured, sums, millions, macs, strict=True):
        one |= {"predicted_ms": of_sums.at(total, own), "macs": number, "by_macs_ms": of_macs.at(number)}
    table = LatencyTable(str(out), plan.space.name, plan.sizes, plan.conditions, of_layers, of_sums)
    unseen = measured[first:]
    by_macs = {"constant_ms": of_macs.constant_ms, "slope": of_macs.slope}
    checked = {
        "by_layers": agreement([one["predicted_ms"] for one in unseen], times[first:]),
        "by_macs": {**agreement([one["by_macs_ms"] for one in unseen], times[first:]), **by_macs},
        "spread": float(sum(one["spread_ms"] / one["measured_ms"] for one in unseen) / len(unseen)),
    }
    return table, checked


def agreement(predicted_ms: Sequence[float], measured_ms: Sequence[float]) -> dict[str, Any]:
    """Relative errors, the share of them up to a tenth, and Kendall's tau."""
    errors = sorted(abs(one - ms) / ms for one, ms in zip(predicted_ms, measured_ms, strict=True))
    return {
        "n": len(errors),
        "mean_error": sum(errors) / len(errors),
        "largest_error": errors[-1],
        "share_within_10_percent": sum(error <= NEAR for error in errors) / len(errors),
        "kendall_tau": kendall_tau(predicted_ms, measured_ms),
    }


def surroundings(plan: Plan) -> dict[str, Any]:
    """With what a table was measured."""
    versions = {"dartboard": dartboard.__version__, "torch": torch.__version__, "cores": os.cpu_count()}
    if plan.conditions.runtime != "torch":
        versions[plan.conditions.runtime] = version(plan.conditions.runtime)
    clock = clock_words(plan.conditions.device, plan.conditions.threads)
    return {**versions, "clock": clock, "created": datetime.now(UTC).isoformat(timespec="seconds")}
