"""The findings of a `why` study in words, each with its interval, n or p. Needs no torch."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

Row = Mapping[str, Any]
SIGNIFICANT = 0.05
NODES = {0: "c[k-2]", 1: "c[k-1]"}


def headlines(content: Row) -> list[str]:
    """One line a finding; content: what findings.gathered puts together."""
    lines = [edge_line(content["ablation"]), changes_line(content["ablation"]), gap_line(content["gap"])]
    lines += [trained_line(content["cells"]), agreement_line(content["agreement"])]
    lines += [motif_line(content["motifs"]["shared"]), convergence_line(content["convergence"])]
    return [line for line in lines if line]


def points(value: float) -> str:
    return f"{100 * value:.1f}".replace("-", "−")


def signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def span(row: Row, prefix: str = "") -> str:
    low, high = row[f"{prefix}low"], row[f"{prefix}high"]
    if low is None:
        return "no interval"
    return f"95 % interval {points(low)} to {points(high)}, {row[f'{prefix}how']}"


def edge_words(row: Row) -> str:
    operation, pred = row["before"]
    source = NODES.get(pred, f"node {pred}")
    return f"{operation} from {source} into node {row['node']} of the {row['kind']} cell"


def edge_line(rows: Sequence[Row]) -> str:
    row = next(row for row in rows if row["change"] == "removed")  # rows: the most harmful change first
    drop = f"{points(row['drop'])} points"
    if row["low"] is None or row["low"] <= 0:
        return f"No single input is surely missed: without {edge_words(row)} accuracy falls by {drop} ({span(row)})."
    return f"The input that is missed most is {edge_words(row)}: without it accuracy falls by {drop} ({span(row)})."


def changes_line(rows: Sequence[Row]) -> str:
    certain = [row for row in rows if row["p_holm"] <= SIGNIFICANT]
    worse, better = sum(row["drop"] > 0 for row in certain), sum(row["drop"] < 0 for row in certain)
    return (
        f"Of {len(rows)} single changes, scored by shared weights, {worse} make the cell worse and {better} better, "
        f"each at the {100 * SIGNIFICANT:.0f} % level for all of them together (McNemar's test, Holm's correction)."
    )


def gap_line(rows: Sequence[Row]) -> str:
    steps = [row for row in rows if "step" in row and row["name"] != "retrained"]
    deepest = min(steps, key=lambda row: row["step"])
    change = f"'{deepest['label']}', {points(deepest['step'])} points ({span(deepest, 'step_')})"
    fall = f"the greatest fall is at {change}" if deepest["step"] < 0 else "no step is a fall"
    return (
        f"From {points(rows[0]['accuracy'])} % with soft alpha {fall}. Recalibrated the cell has "
        f"{points(rows[-2]['accuracy'])} %, retrained {points(rows[-1]['accuracy'])} %."
    )


def trained_line(cells: Sequence[Row]) -> str:
    random = [row["trained"] for row in cells if row["name"].startswith("random-") and row["trained"] is not None]
    own = next(row["trained"] for row in cells if row["name"] == "found")
    if not random:
        return ""
    return (
        f"Trained alike, the found cell ({points(own)} %) is better than {sum(value < own for value in random)} of "
        f"{len(random)} random cells (their mean {points(fmean(random))} %)."
    )


def agreement_line(found: Row) -> str:
    if found["tau"] is None:
        return ""
    return f"Scores by shared weights and trained accuracies order the cells alike by {tau_words(found)}."


def tau_words(found: Row) -> str:
    return f"Kendall's tau {signed(found['tau'])} (n {found['n']}, p {found['p']:.2g})"


def motif_line(table: Sequence[Row]) -> str:
    known = [row for row in table if row["p_holm"] is not None]
    if not known:
        return ""
    best = min(known, key=lambda row: row["p"])
    verdict = (
        "A motif goes with accuracy by shared weights"
        if best["p_holm"] <= SIGNIFICANT
        else "No motif surely goes with accuracy by shared weights; the nearest"
    )
    rho = f"Spearman's rho {signed(best['rho'])} over {best['n']} random cells, p {best['p']:.2g}"
    return f"{verdict}: {best['motif']}, {rho}, corrected for {len(known)} motifs {best['p_holm']:.2g}."


def convergence_line(found: Row) -> str:
    if found["early_final"]["tau"] is None:
        return ""
    return (
        f"The loss after few steps orders the cells as the loss at the end does by {tau_words(found['early_final'])}."
    )
