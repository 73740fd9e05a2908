"""The findings from the pieces of a `why` study: tables with intervals. Needs no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import fmean
from typing import Any

import numpy as np

from dartboard.analysis import motifs, p_values, statistics
from dartboard.spaces.darts import NUM_INPUTS
from dartboard.spaces.search_space import Architecture, as_tuples
from dartboard.studies.headlines import headlines
from dartboard.studies.pieces import Pieces
from dartboard.studies.variants import Variant

GAP = {  # the steps from the relaxed supernet to the trained cell: name of the piece -> what it is
    "soft": "supernet, soft alpha",
    "one-hot": "supernet, one-hot alpha",
    "inherited": "cell, inherited",
    "recalibrated": "cell, recalibrated",
    "retrained": "cell, retrained",
}
Row = dict[str, Any]


def bits(text: str, number: int) -> list[float]:
    """0.0 or 1.0 for each image, from the hexadecimal digits of a piece; number: of images."""
    return [float(bit) for bit in np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8))[:number]]


def gathered(
    pieces: Pieces, found: Architecture, changes: Sequence[Variant], sizes: Mapping[str, int], number: int, seed: int
) -> Row:
    """All tables. found: the cell; changes: its variants; sizes: channels, cells and image_size of the trainings;
    number: of val images; seed: of the resampling."""
    trained = trainings(pieces, number)
    rows = ablation(pieces, changes, number, seed)
    cells = cell_table(pieces, trained, found, sizes)
    content: Row = {
        "images": number,
        "gap": gap(pieces, trained, number, seed),
        "ablation": rows,
        "trained_changes": trained_changes(trained, rows, seed),
        "cells": cells,
        "motifs": correlated(cells, seed),
        "agreement": agreement(cells, seed),
        "convergence": convergence(trained, cells, seed),
        "gradient": gradients(trained),
        "cell_by_batch_statistics": pieces["gap/cell"]["accuracy"],
    }
    return {"headlines": headlines(content), **content}


# --- Ablation --------------------------------------------------------------------------------------------------------


def ablation(pieces: Pieces, changes: Sequence[Variant], number: int, seed: int) -> list[Row]:
    """Every change of the cell, the most harmful first: drop in accuracy by shared weights, recalibrated.

    drop, low, high: paired over the images, by the method that how names (statistics.mean_interval); p: McNemar's exact
    test; p_holm: corrected for the number of changes.
    """
    base = bits(pieces["gap/recalibrated"]["right"], number)
    rows = [change_row(variant, pieces[f"variant/{variant.key}"], base, seed) for variant in changes]
    for row, p in zip(rows, p_values.holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = p
    return sorted(rows, key=lambda row: -row["drop"])


def change_row(variant: Variant, piece: Row, base: list[float], seed: int) -> Row:
    right = bits(piece["right"], len(base))
    interval = statistics.paired_difference(base, right, seed)
    lost = sum(one > other for one, other in zip(base, right, strict=True))
    gained = sum(one < other for one, other in zip(base, right, strict=True))
    return {
        "key": variant.key, "kind": variant.kind, "node": variant.node, "input": variant.input,
        "change": variant.change, "before": list(variant.before), "after": list(variant.after),
        "accuracy": piece["accuracy"], "drop": interval.estimate, **ends(interval),
        "lost": lost, "gained": gained, "p": p_values.mcnemar_p(lost, gained),
    }  # fmt: skip


def ends(interval: statistics.Interval, prefix: str = "") -> Row:
    """Both ends of an interval, null if there is none, and how: its method."""
    return {f"{prefix}low": interval.low, f"{prefix}high": interval.high, f"{prefix}how": interval.how}


def trainings(pieces: Pieces, number: int) -> dict[str, list[Row]]:
    """By name of the cell, its trainings that have ended, in the order of their seeds."""
    found: dict[str, list[Row]] = {}
    for key, start in pieces.under("training/").items():
        name, seed, when = key.split("/")
        if when == "start" and f"training/{name}/{seed}/end" in pieces:
            early, end = pieces[f"training/{name}/{seed}/early"], pieces[f"training/{name}/{seed}/end"]
            right = bits(end["right"], number)
            found.setdefault(name, []).append({"start": start, "early": early, "end": {**end, "bits": right}})
    return found


def accuracies(runs: Sequence[Row]) -> list[float]:
    return [run["end"]["accuracy"] for run in runs]


def trained_changes(trained: Mapping[str, list[Row]], rows: Sequence[Row], seed: int) -> list[Row]:
    """The changes that were trained: drop against the found cell, paired by seed, with the drop by shared weights."""
    found, base = [], accuracies(trained["found"])
    for row in rows:
        if row["key"] in trained:
            own = accuracies(trained[row["key"]])
            interval = statistics.paired_difference(base, own, seed)
            fields = {name: row[name] for name in ("key", "kind", "node", "input", "change", "before", "after")}
            numbers = {"drop": interval.estimate, **ends(interval), "n": interval.n}
            found.append({**fields, **numbers, "shared_drop": row["drop"], "accuracies": own, "found": base})
    return found


# --- The discretisation gap ------------------------------------------------------------------------------------------


def gap(pieces: Pieces, trained: Mapping[str, list[Row]], number: int, seed: int) -> list[Row]:
    """Accuracy at every step from the relaxed supernet to the trained cell, and its change from the step before.

    low, high: the interval of one network's accuracy, Wilson's; step_low, step_high: of its change, paired over the
    images, by the method that step_how names. For the retrained cell an image counts by the share of the trainings that
    classify it correctly.
    """
    right = {name: bits(pieces[f"gap/{name}"]["right"], number) for name in GAP if name != "retrained"}
    runs = [run["end"]["bits"] for run in trained["found"]]
    right["retrained"] = [fmean(column) for column in zip(*runs, strict=True)]
    rows: list[Row] = []
    for name, label in GAP.items():
        row = {"name": name, "label": label, "accuracy": fmean(right[name])}
        if name == "retrained":
            row |= ends(statistics.mean_interval(right[name], seed))
        else:
            low, high = statistics.wilson(round(sum(right[name])), number)
            row |= {"low": low, "high": high, "how": "Wilson"}
        if rows:
            step = statistics.paired_difference(right[name], right[rows[-1]["name"]], seed)
            row |= {"step": step.estimate, **ends(step, "step_")}
        rows.append(row)
    rows[-1]["seeds"] = accuracies(trained["found"])
    return rows


# --- Motifs ----------------------------------------------------------------------------------------------------------


def cell_table(
    pieces: Pieces, trained: Mapping[str, list[Row]], found: Architecture, sizes: Mapping[str, int]
) -> list[Row]:
    """The motifs and accuracies of every cell that was scored or trained, except changes of the found one."""
    rows = [cell_row("found", found, pieces["gap/recalibrated"]["accuracy"], trained.get("found", []), sizes)]
    for number, piece in pieces.under("sample/").items():
        name, architecture = f"random-{number}", read_architecture(piece["architecture"])
        rows.append(cell_row(name, architecture, piece["accuracy"], trained.get(name, []), sizes))
    for number, piece in pieces.under("beside/").items():
        name, architecture = f"beside-{number}", read_architecture(piece["architecture"])
        row = cell_row(name, architecture, piece["accuracy"], trained.get(name, []), sizes)
        rows.append({**row, "label": piece["label"]})
    return rows


def cell_row(
    name: str, architecture: Architecture, shared: float, runs: Sequence[Row], sizes: Mapping[str, int]
) -> Row:
    scored = accuracies(runs)
    return {
        "name": name, "motifs": motifs.of_architecture(architecture, **sizes), "shared": shared,
        "trained": fmean(scored) if scored else None, "seeds": len(scored),
    }  # fmt: skip


def read_architecture(content: Row) -> Architecture:
    choices = content["choices"].items()
    return Architecture(content["space"], tuple((name, as_tuples(value)) for name, value in choices))


def correlated(cells: Sequence[Row], seed: int) -> dict[str, list[Row]]:
    """Motifs against accuracy: `shared` and `trained` over the random cells, since the result of a search is not a
    random draw; `beside`, of trained accuracy, over the found cell and those given with --beside."""
    drawn = [row for row in cells if row["name"].startswith("random-")]
    sets = {"shared": ("shared", drawn), "trained": ("trained", drawn)}
    sets["beside"] = ("trained", [row for row in cells if not row["name"].startswith("random-")])
    found = {}
    for name, (score, rows) in sets.items():
        known = [row for row in rows if row[score] is not None]
        table = motifs.correlations([row["motifs"] for row in known], [row[score] for row in known], seed)
        found[name] = [asdict(one) for one in table]
    return found


def agreement(cells: Sequence[Row], seed: int) -> Row:
    """Kendall's tau between the score by shared weights and the trained accuracy, over all cells with both."""
    known = [row for row in cells if row["trained"] is not None]
    return paired_tau([row["shared"] for row in known], [row["trained"] for row in known], seed)


def paired_tau(x: Sequence[float], y: Sequence[float], seed: int) -> Row:
    """Kendall's tau-b with its permutation p-value and n; None for fewer than three pairs, which show nothing."""
    if len(x) < 3:
        return {"tau": None, "p": None, "n": len(x)}
    return {"tau": statistics.kendall_tau(x, y), "p": p_values.kendall_p(x, y, seed), "n": len(x)}


# --- Convergence and gradients ---------------------------------------------------------------------------------------


def convergence(trained: Mapping[str, list[Row]], cells: Sequence[Row], seed: int) -> Row:
    """Loss after a few steps and at the end, of the found cell and the random ones; means over the seeds."""
    skips = {row["name"]: row["motifs"]["normal.skips"] + row["motifs"]["reduce.skips"] for row in cells}
    rows = [
        {
            "name": name, "skips": skips[name], "early_loss": fmean(run["early"]["loss"] for run in runs),
            "final_loss": fmean(run["end"]["loss"] for run in runs), "accuracy": fmean(accuracies(runs)),
            "early_accuracy": fmean(run["early"]["accuracy"] for run in runs),
            "losses": [fmean(epoch) for epoch in zip(*(run["end"]["losses"] for run in runs), strict=True)],
        }
        for name, runs in trained.items()
        if name in skips
    ]  # fmt: skip
    early, final = [row["early_loss"] for row in rows], [row["final_loss"] for row in rows]
    counts = [row["skips"] for row in rows]
    return {
        "cells": rows,
        "early_final": paired_tau(early, final, seed),
        "skips_early": paired_tau(counts, early, seed),
        "skips_final": paired_tau(counts, final, seed),
    }


def gradients(trained: Mapping[str, list[Row]]) -> Row:
    """Gradients of the found cell and the random ones, at the start and after few steps.

    cells: norm at the output of each cell of the network, means over the seeds; operations: how much of the gradient
    that arrives an operation passes back, the mean over all edges of all these networks; edges: of the found cell.
    """
    names = [name for name in trained if name == "found" or name.startswith(("random-", "beside-"))]
    return {
        when: {
            "cells": {name: mean_cells([run[when] for run in trained[name]]) for name in names},
            "operations": by_operation([run[when] for name in names for run in trained[name]]),
            "edges": mean_edges([run[when] for run in trained["found"]]),
        }
        for when in ("start", "early")
    }


def mean_cells(looks: Sequence[Row]) -> list[Row]:
    return [
        {
            "kind": same[0]["kind"],
            "output": fmean(one["output"] for one in same),
            "weights": fmean(one["weights"] for one in same),
        }
        for same in zip(*(look["cells"] for look in looks), strict=True)
    ]


def by_operation(looks: Sequence[Row]) -> list[Row]:
    """Transmission by operation and stride, the greatest first."""
    found: dict[tuple[str, int], list[float]] = {}
    for look in looks:
        for edge in look["edges"]:
            stride = 2 if edge["kind"] == "reduce" and edge["source"] < NUM_INPUTS else 1
            if edge["arriving"] > 0:
                found.setdefault((edge["operation"], stride), []).append(edge["transmission"])
    rows = [
        {"operation": name, "stride": stride, "n": len(values), "transmission": fmean(values)}
        for (name, stride), values in found.items()
    ]
    return sorted(rows, key=lambda row: -row["transmission"])


def mean_edges(looks: Sequence[Row]) -> list[Row]:
    """Each input of the cell, its numbers averaged over the cells of its kind in the network, and the seeds."""
    found: dict[tuple[str, int, int], list[Row]] = {}
    for look in looks:
        for edge in look["edges"]:
            found.setdefault((edge["kind"], edge["node"], edge["input"]), []).append(edge)
    return [
        {**{name: same[0][name] for name in ("kind", "node", "input", "operation", "source")},
         **{name: fmean(one[name] for one in same) for name in ("arriving", "passed", "transmission")}}
        for same in found.values()
    ]  # fmt: skip
