"""What was measured of a network's latency, in words."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dartboard.formats.files import LATENCY, MEASURED, WITHIN_LIMIT
from dartboard.paths import quoted
from dartboard.report.markup import Html, join, tag
from dartboard.runs.json_files import read_json


def of_run(folder: Path) -> list[str]:
    """What a finished search has measured of its result; nothing if it has not. Raises InputError."""
    path, within = folder / MEASURED / LATENCY, folder / MEASURED / WITHIN_LIMIT
    if not path.is_file():
        return []
    found = read_json(path)
    train = f"dartboard train {quoted(str(within))}"
    if "channels" in found:
        train += f" --channels {found['channels']} --cells {found['cells']}"
    more = [f"the network within the limit: {within}; with other sizes it takes another time; train it: {train}"]
    again = f"when it is idle, delete {path.parent} and type: dartboard resume {quoted(str(folder))}"
    return [*lines(found, again), *(more if within.is_file() else [])]


def block(folder: Path) -> Html | None:
    """The same for the page."""
    found = of_run(folder)
    return tag("div", join([tag("p", line, class_="small") for line in found])) if found else None


def lines(found: Mapping[str, Any], again: str) -> Iterator[str]:
    """What the network takes, and which better ones missed the limit. again: how to measure on an idle machine."""
    for one in found["missed"]:
        times = f"measured {one['measured_ms']:.4g} ms, by the table {one['predicted_ms']:.4g}"
        then = "; the next best was taken" if found["is_met"] else ""
        of = "" if one["score"] is None else f" of {100 * one['score']:.2f} %"
        yield f"limit missed: a network{of}, {times}{then}"
    word = "" if found["limit_ms"] is None else f"; limit of {found['limit_ms']:g} ms"
    word += "" if not word else " met" if found["is_met"] else " missed"
    images = f", batches of {found['batch_size']} images" if found.get("batch_size", 1) > 1 else ""
    layout = ", channels last" if found.get("memory_format") == "channels_last" else ""
    load = f"load average {found['load_average']:.1f} on {found['cores']} cores"
    yield (
        f"latency measured {found['measured_ms']:.4g} ms (quartiles {found['spread_ms']:.2g} apart), by the table "
        f"{found['predicted_ms']:.4g}{word}; {found.get('runtime', 'torch')}{images}{layout}, {found['clock']}, {load}"
    )
    if found["load_average"] > found["cores"]:
        yield f"the machine is busy, and networks take longer than alone; {again}"
