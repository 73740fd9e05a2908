"""The findings of a `why` study in words, each with its interval, n or p. Needs no torch."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

Row = Mapping[str, Any]
SIGNIFICANT = 0.05
NODES = {0: "c[k-2]", 1: "c[k-1]"}


def headlines(content: Row) -> list[str]:
    """One line per finding; content: as of findings.gathered."""
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
        return (
            f"No single input is certain to matter: without {edge_words(row)} accuracy falls by {drop} ({span(row)})."
        )
    return f"The most important input is {edge_words(row)}: without it accuracy falls by {drop} ({span(row)})."


def changes_line(rows: Sequence[Row]) -> str:
    certain = [row for row in rows if row["p_holm"] <= SIGNIFICANT]
    worse, better = sum(row["drop"] > 0 for row in certain), sum(row["drop"] < 0 for row in certain)
    return (
        f"Of {len(rows)} single changes, scored by shared weights, {worse} make the cell worse and {better} better, "
        f"each significant at the {100 * SIGNIFICANT:.0f} % level for all together (McNemar's test, Holm's correction)."
    )


def gap_line(rows: Sequence[Row]) -> str:
    steps = [row for row in rows if "step" in row and row["name"] != "retrained"]
    deepest = min(steps, key=lambda row: row["step"])
    change = f"'{deepest['label']}', {points(deepest['step'])} points ({span(deepest, 'step_')})"
    fall = f"the largest loss is at {change}" if deepest["step"] < 0 else "no step loses accuracy"
    return (
        f"From {points(rows[0]['accuracy'])} % with soft alpha {fall}. The recalibrated cell has "
        f"{points(rows[-2]['accuracy'])} %, the retrained one {points(rows[-1]['accuracy'])} %."
    )


def trained_line(cells: Sequence[Row]) -> str:
    random = [row["trained"] for row in cells if row["name"].startswith("random-") and row["trained"] is not None]
    own = next(row["trained"] for row in cells if row["name"] == "found")
    if not random:
        return ""
    return (
        f"Trained with the same protocol, the found cell ({points(own)} %) is better than "
        f"{sum(value < own for value in random)} of {len(random)} random cells (their mean {points(fmean(random))} %)."
    )


def agreement_line(found: Row) -> str:
    if found["tau"] is None:
        return ""
    return f"Rank correlation of the scores by shared weights with the trained accuracies: {tau_words(found)}."


def tau_words(found: Row) -> str:
    return f"Kendall's tau {signed(found['tau'])} (n {found['n']}, p {found['p']:.2g})"


def motif_line(table: Sequence[Row]) -> str:
    known = [row for row in table if row["p_holm"] is not None]
    if not known:
        return ""
    best = min(known, key=lambda row: row["p"])
    verdict = (
        "A motif correlates with accuracy by shared weights"
        if best["p_holm"] <= SIGNIFICANT
        else "No motif correlates significantly with accuracy by shared weights; the strongest correlation"
    )
    rho = f"Spearman's rho {signed(best['rho'])} over {best['n']} random cells, p {best['p']:.2g}"
    return f"{verdict}: {best['motif']}, {rho}, corrected for {len(known)} motifs {best['p_holm']:.2g}."


def convergence_line(found: Row) -> str:
    if found["early_final"]["tau"] is None:
        return ""
    return f"Rank correlation of the loss after few steps with the loss at the end: {tau_words(found['early_final'])}."
