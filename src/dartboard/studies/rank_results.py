"""How well each judge of a ranking orders its architectures: rank.json and scores.csv. No torch.

The judges are the shared weights in each state of the search, multiply-adds and parameters alone, and the second
measurement of the truth: the ceiling. Every interval is a bootstrap over the architectures that were drawn, in the same
resamples for all judges, so that differences are paired.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from dartboard import formats
from dartboard.analysis import rankings
from dartboard.analysis.rankings import Drawn, Measure
from dartboard.analysis.statistics import Floats, Interval
from dartboard.errors import InputError
from dartboard.runs.atomic_files import replace_file
from dartboard.runs.json_files import as_json, read_json
from dartboard.runs.run import Run
from dartboard.runs.streams import stream_seed
from dartboard.spaces.families import FAMILIES
from dartboard.studies.pieces import Pieces
from dartboard.studies.rank_folder import RESULT, SCORES, Ranking, State, resume_command

SHARED, MACS, PARAMS, CEILING = "shared weights", "multiply-adds", "parameters", "ceiling"
BATCH, RECALIBRATED = "batch", "recalibrated"  # how shared weights are scored: by statistics of each batch, or new ones
NAMES = {BATCH: SHARED, RECALIBRATED: f"{SHARED}, recalibrated"}
TOP, TENTH = 10, 0.1  # the k of the overlaps


@dataclass(frozen=True)
class Judge:
    """A judge's value for each architecture, higher is better. name: its kind; way, state: of shared weights."""

    name: str
    values: tuple[float, ...]
    way: str | None = None
    state: State | None = None


def ways_of(ranking: Ranking) -> tuple[str, ...]:
    """How each architecture is scored by shared weights."""
    return (BATCH,) if ranking.recalibrate is None else (BATCH, RECALIBRATED)


def score_key(state: State, way: str, number: int) -> str:
    """The key of a score among the pieces."""
    return f"{state.name}/{way}/{number}"


def measures_of(n: int) -> dict[str, Measure]:
    """The measures by name; an overlap only if it leaves some architectures out."""
    found: dict[str, Measure] = {"tau": rankings.taus, "spearman": rankings.rhos}
    for k in sizes_of_top(n):
        found[f"top_{k}"] = rankings.overlaps(k)
    return found


def sizes_of_top(n: int) -> list[int]:
    """How many of the best are compared: ten, and a tenth."""
    return sorted({k for k in (TOP, round(TENTH * n)) if 1 <= k < n})


def judges_of(ranking: Ranking, pieces: Pieces) -> list[Judge]:
    """All judges, those of the newest state first."""
    numbers = range(len(ranking.rows))
    found = [
        Judge(NAMES[way], tuple(pieces[score_key(state, way, n)]["score"] for n in numbers), way, state)
        for state in ranking.states
        for way in ways_of(ranking)
    ]
    costs = costs_of(ranking, pieces)
    found.append(Judge(MACS, tuple(float(macs) for _, macs in costs)))
    found.append(Judge(PARAMS, tuple(float(params) for params, _ in costs)))
    second = [row.second for row in ranking.rows if row.second is not None]
    if len(second) == len(ranking.rows):
        found.append(Judge(CEILING, tuple(second)))
    return found


def costs_of(ranking: Ranking, pieces: Pieces) -> list[tuple[int, int]]:
    """Parameters and multiply-adds of each architecture."""
    return [
        (pieces[f"cost/{number}"]["params"], pieces[f"cost/{number}"]["macs"])
        if row.params is None or row.macs is None
        else (row.params, row.macs)
        for number, row in enumerate(ranking.rows)
    ]


# --- What is found ---------------------------------------------------------------------------------------------------


def results_of(ranking: Ranking, run: Run, pieces: Pieces) -> dict[str, Any]:
    """The content of rank.json."""
    truth = [row.truth for row in ranking.rows]
    counts = rankings.resampled_counts(len(truth), stream_seed(ranking.seed, "rank-bootstrap"))
    data = run.environment["data"]
    return {
        "run": str(run.folder), "method": run.method, "space": run.space, "data": data["name"],
        "val_images": data["val"], "seed": ranking.seed, "samples": len(truth), "recalibrate": ranking.recalibrate,
        "source": dict(ranking.source), "draws": len(counts), "device": run.environment.get("device_name"),
        "seconds": seconds_by_way(ranking, pieces), "judges": found_of(judges_of(ranking, pieces), truth, counts),
        "rows": rows_of(ranking, pieces),
    }  # fmt: skip


def seconds_by_way(ranking: Ranking, pieces: Pieces) -> dict[str, float]:
    """Seconds of a score, the mean by way."""
    found = {}
    for way in ways_of(ranking):
        keys = [score_key(state, way, n) for state in ranking.states for n in range(len(ranking.rows))]
        found[way] = sum(pieces[key]["seconds"] for key in keys) / len(keys)
    return found


def found_of(judges: Sequence[Judge], truth: Sequence[float], counts: Floats) -> list[dict[str, Any]]:
    """What each judge is worth: its measures with their intervals, and for shared weights the differences of tau."""
    measures = measures_of(len(truth))
    drawn = [
        {name: rankings.drawn(measure, judge.values, truth, counts) for name, measure in measures.items()}
        for judge in judges
    ]
    taus = {(judge.name, judge.state): one["tau"] for judge, one in zip(judges, drawn, strict=True)}
    found = []
    for judge, one in zip(judges, drawn, strict=True):
        table = {name: as_table(rankings.interval(value)) for name, value in one.items()}
        found.append({"name": judge.name, "way": judge.way, "measures": table, **differences(judge, taus)})
    return found


def differences(judge: Judge, taus: Mapping[tuple[str, State | None], Drawn]) -> dict[str, Any]:
    """By how much shared weights have a larger tau than the costs, and than the same weights not recalibrated."""
    if judge.state is None:
        return {}
    others = {MACS: taus[MACS, None], PARAMS: taus[PARAMS, None]}
    others |= {SHARED: taus[SHARED, judge.state]} if judge.way == RECALIBRATED else {}
    own = taus[judge.name, judge.state]
    above = {name: as_table(rankings.difference(own, other)) for name, other in others.items()}
    return {"state": asdict(judge.state), "above": above}


def as_table(interval: Interval | None) -> dict[str, Any] | None:
    return None if interval is None else {name: getattr(interval, name) for name in ("estimate", "low", "high")}


def rows_of(ranking: Ranking, pieces: Pieces) -> list[dict[str, Any]]:
    """A row for each architecture, with its scores by the newest state."""
    state, found = ranking.states[0], []
    for number, (row, (params, macs)) in enumerate(zip(ranking.rows, costs_of(ranking, pieces), strict=True)):
        text = formats.write(row.architecture, FAMILIES[row.architecture.space].notation)
        scores: dict[str, float | None] = dict.fromkeys(SCORE_COLUMNS.values())
        scores |= {SCORE_COLUMNS[way]: pieces[score_key(state, way, number)]["score"] for way in ways_of(ranking)}
        found.append(
            {"architecture": text, "macs": macs, "params": params, **scores, "truth": row.truth, "second": row.second}
        )
    return found


SCORE_COLUMNS = {BATCH: "score", RECALIBRATED: "score_recalibrated"}


# --- Files -----------------------------------------------------------------------------------------------------------


def write_results(found: dict[str, Any], folder: Path) -> None:
    """Writes rank.json and scores.csv. Raises InputError (not allowed) or CannotContinueError (no room)."""
    replace_file(folder / RESULT, as_json(found))
    replace_file(folder / SCORES, scores_text(found))


def scores_text(found: dict[str, Any]) -> str:
    """scores.csv: a row for each architecture; no column that is empty throughout."""
    rows = found["rows"]
    names = [name for name in rows[0] if any(row[name] is not None for row in rows)]
    file = StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(names)
    writer.writerows([row[name] for name in names] for row in rows)
    return file.getvalue()


def read_results(folder: Path) -> dict[str, Any]:
    """The content of rank.json. Raises InputError if it is not there yet, or damaged."""
    if not (folder / RESULT).is_file():
        raise InputError(f"{folder} has no {RESULT} yet; finish it with: {resume_command(folder)}")
    return checked(read_json(folder / RESULT), folder)


def checked(found: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Raises InputError unless it holds what `results_of` gives."""
    try:
        names = [judge["name"] for judge in found["judges"] if "tau" in judge["measures"]]
        complete = {SHARED, MACS, PARAMS} <= set(names) and len(found["rows"]) == found["samples"]
    except (KeyError, TypeError):
        complete = False
    if not complete:
        raise InputError(f"{folder / RESULT} is damaged; write it again with: {resume_command(folder)}")
    return found


# --- In words --------------------------------------------------------------------------------------------------------


def judge_of(found: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """The judge of a name; of shared weights, in the newest state. None if there is none."""
    return next((one for one in found["judges"] if one["name"] == name), None)


def value_words(table: Mapping[str, Any] | None) -> str:
    """0.61 (0.52 to 0.69)."""
    if table is None:
        return "not defined"
    ends = "" if table["low"] is None else f" ({table['low']:.2f} to {table['high']:.2f})"
    return f"{table['estimate']:.2f}{ends}".replace("-", "−")


def headline(found: Mapping[str, Any]) -> str:
    """Whether the shared weights rank better than multiply-adds alone."""
    shared, macs = judge_of(found, SHARED), judge_of(found, MACS)
    assert shared is not None and macs is not None  # every ranking has both
    difference = shared["above"][MACS]
    if difference is None:
        return "The shared weights cannot be compared with multiply-adds: one of them gives all the same value"
    return {
        True: "The shared weights rank better than multiply-adds alone",
        False: "The shared weights rank worse than multiply-adds alone",
        None: "The shared weights are not shown to rank better than multiply-adds alone",
    }[verdict(difference)]


def verdict(difference: Mapping[str, Any]) -> bool | None:
    """Whether a difference is above zero; None if its interval does not say."""
    low, high = difference["low"], difference["high"]
    if low is None or low <= 0 <= high:
        return None
    return bool(low > 0)


def summary(found: Mapping[str, Any]) -> list[str]:
    """The headline and a line for each judge, the shared weights in the newest state."""
    shared, n = judge_of(found, SHARED), found["samples"]
    assert shared is not None
    lines = [f"{headline(found)}: difference of tau {signed_words(shared['above'][MACS])}, n = {n}"]
    seen = list(dict.fromkeys(one["name"] for one in found["judges"]))
    width = max(map(len, seen))
    for name in seen:
        judge = judge_of(found, name)
        assert judge is not None
        lines.append(f"  {name:{width}}  tau {value_words(judge['measures']['tau'])}")
    return lines


def signed_words(table: Mapping[str, Any] | None) -> str:
    """+0.20 (0.05 to 0.35)."""
    sign = "+" if table is not None and table["estimate"] > 0 else ""
    return sign + value_words(table)
