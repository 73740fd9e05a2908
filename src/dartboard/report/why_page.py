"""The page of a `why` study: what its numbers say about the found cell, with pictures. Needs no torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dartboard import formats
from dartboard.report import page, why_figures, words
from dartboard.report.blocks import box, legend, pair, pairs, picture, section, sentences, table, tiles
from dartboard.report.conditions import conditions
from dartboard.report.facts import read_facts
from dartboard.report.forms import TITLES
from dartboard.report.markup import Html, join, tag
from dartboard.report.measures import operations_of
from dartboard.report.sheets import Column, Sheet
from dartboard.report.why_training import convergence, gradient
from dartboard.report.why_words import count_words, edge_words, how_words, interval, p_words, points, tau_words
from dartboard.spaces import darts

Row = Mapping[str, Any]
MAX_ROWS = 24
PLACES = (
    ("answer", "Answer"),
    ("ablation", "Ablation"),
    ("gap", "Gap"),
    ("motifs", "Motifs"),
    ("convergence", "Convergence"),
    ("gradient", "Gradient"),
    ("conditions", "Conditions"),
)


def write(found: Row, folder: Path, out: Path) -> Path:
    """Writes the page of the numbers of a study, of the run in `folder`; returns its path. Raises InputError."""
    page.replace_text(out, page_html(found, folder))
    return out


def page_html(found: Row, folder: Path) -> str:
    """The complete file."""
    facts = read_facts(folder)
    name = page.data_name(facts)
    top = page.Page(
        f"Why · {facts.method or ''} · seed {facts.config.get('seed', words.UNKNOWN)}",
        f"Why the cell found on {name} performs as it does",
        lede(found),
        answer(found, facts.chance),
        join([ablation(found), gap(found, facts.chance), motifs(found), convergence(found), gradient(found)]),
    )
    source = "the pieces of the study and the files of the run"
    return page.document(top, PLACES, [protocol(found), conditions([facts])], source)


def lede(found: Row) -> str:
    return (
        f"Every accuracy is measured on the same {words.count(found['images'])} val images of the search; every "
        "network was trained on its train images alone. The test images were not read."
    )


def answer(found: Row, chance: float | None) -> Html:
    """The key figures, and the findings in words."""
    steps = found["gap"]
    removed = [row for row in found["ablation"] if row["change"] == "removed"]
    items: list[tuple[str, str, object]] = [
        (
            "supernet, soft alpha",
            words.percent(steps[0]["accuracy"]),
            f"of {words.count(found['images'])} val images{words.chance_words(chance)}",
        ),
        (
            "cell cut out, recalibrated",
            words.percent(steps[-2]["accuracy"]),
            "shared weights, own BatchNorm statistics",
        ),
        (
            "cell, retrained",
            words.percent(steps[-1]["accuracy"]),
            f"mean of n = {len(steps[-1]['seeds'])}, short protocol",
        ),
        ("largest drop", f"{100 * removed[0]['drop']:.1f} points", f"one input removed; {interval(removed[0])}"),
    ]
    return join([tiles(items), tag("ul", *(tag("li", line) for line in found["headlines"]), class_="findings")])


# --- Ablation --------------------------------------------------------------------------------------------------------


def ablation(found: Row) -> Html:
    rows = found["ablation"]
    lead = (
        "Each input of the cell is removed, given every other operation, and connected to another node with the same "
        "operation. Scores use shared weights and recalibrated BatchNorm statistics."
    )
    ranked = change_table(rows[:MAX_ROWS], f"The {min(MAX_ROWS, len(rows))} most harmful of {len(rows)} changes")
    rest = [tag("summary", "All changes"), change_table(rows, f"All {len(rows)} changes, the most harmful first")]
    return section(
        "ablation",
        "Contribution of each input",
        weighted_cells(found),
        drop_picture(rows),
        ranked,
        tag("details", *rest) if len(rows) > MAX_ROWS else None,
        trained_changes(found),
        lead=lead,
    )


def weighted_cells(found: Row) -> Html:
    """Both cells; the thickness of an input is the accuracy that is lost without it."""
    architecture = formats.read(found["genotype"])[0]
    pictures, used = [], []
    for kind in darts.CELLS:
        cell = darts.cell(architecture, kind)
        used += operations_of(cell)
        weights = {
            (row["node"], row["input"]): row["drop"]
            for row in found["ablation"]
            if row["kind"] == kind and row["change"] == "removed"
        }
        svg = why_figures.weighted_cell(cell, kind, weights)
        caption = "Thickness and number: points of accuracy lost without the input."
        pictures.append(picture(svg, caption, f"why-{kind}", title=TITLES[kind].capitalize(), wide=True))
    return join([pair(*pictures), legend(used), tag("p", darts.NOTE, class_="small")])


def drop_picture(rows: Sequence[Row]) -> Html:
    removed = [row for row in rows if row["change"] == "removed"]
    groups = [
        (input_words(row), row, [one for one in rows if same_input(one, row) and one is not row]) for row in removed
    ]
    values = "; ".join(f"{name} {points(row['drop'])}" for name, row, _ in groups)
    svg = why_figures.drops(groups, f"Drop in accuracy by input: {values}")
    caption = (
        f"Orange: the input is removed, with the 95 % interval (paired over the images, by {how_words(removed)}). "
        "Blue: the operation is replaced, or reads another node. Left of zero the changed cell is better."
    )
    return tag("div", picture(svg, caption, "why-drops", title="Drop by input"), class_="solo")


def same_input(one: Row, other: Row) -> bool:
    return all(one[name] == other[name] for name in ("kind", "node", "input"))


def input_words(row: Row) -> str:
    operation, source = row["before"]
    return f"{row['kind']} {edge_words(source, row['node'])} {operation}"


def change_words(row: Row) -> str:
    operation, source = row["after"]
    if row["change"] == "removed":
        return "removed"
    return f"→ {operation}" if row["change"] == "replaced" else f"from {edge_words(source, row['node'])}"


def change_table(rows: Sequence[Row], caption: str) -> Html:
    head = ("input", "change", "accuracy", "drop", "95 % interval", "lost", "gained", "p, Holm")
    body = [
        (
            input_words(row), Html(change_words(row)), words.percent(row["accuracy"]), points(row["drop"]),
            interval(row), row["lost"], row["gained"], p_words(row["p_holm"]),
        )
        for row in rows
    ]  # fmt: skip
    what = f"{caption}. Drop in points; lost, gained: images that only the found, only the changed cell has right"
    return table(head, body, caption=f"{what}; p of McNemar's exact test, corrected for all changes (Holm).")


def sheet_of(found: Row) -> Sheet:
    """Every change of the cell, the most harmful first."""
    columns = (
        Column("input", "input"), Column("change", "change"), Column("accuracy", "accuracy", words.percent),
        Column("drop", "drop_accuracy", words.percent), Column("lost", "lost_images"),
        Column("gained", "gained_images"), Column("p, Holm", "p_holm", p_words),
    )  # fmt: skip
    rows = [
        (
            str(input_words(row)), str(change_words(row)), row["accuracy"], row["drop"],
            row["lost"], row["gained"], row["p_holm"],
        )
        for row in found["ablation"]
    ]  # fmt: skip
    return Sheet(f"Changes of the cell, scored on {found['images']} val images by shared weights", columns, tuple(rows))


def trained_changes(found: Row) -> Html | None:
    rows = found["trained_changes"]
    if not rows:
        return None
    body = [
        (
            input_words(row),
            Html(change_words(row)),
            points(row["shared_drop"]),
            points(row["drop"]),
            interval(row),
            row["n"],
        )
        for row in rows
    ]
    head = ("input", "change", "drop, shared weights", "drop, trained", "over the seeds", "n")
    how = how_words(rows)
    caption = "The most harmful changes trained from scratch, against the found cell under the same seeds; " + (
        f"95 % interval of the mean over the seeds, by {how}." if how else "one seed has no interval."
    )
    return join([tag("h3", "The changes after training"), table(head, body, caption=caption)])


# --- Discretisation gap ----------------------------------------------------------------------------------------------


def gap(found: Row, chance: float | None) -> Html:
    rows = found["gap"]
    caption = (
        "Soft and one-hot: batch statistics, as the search scores. Inherited: the statistics of the mixture. "
        "Recalibrated: those of the cell itself on training images. Retrained: from scratch, short protocol."
    )
    head = ("step", "accuracy", "95 % interval", "change", "95 % interval of the change")
    body = [
        (
            row["label"], words.percent(row["accuracy"]), interval(row),
            points(row["step"]) if "step" in row else words.UNKNOWN,
            interval(row, "step_") if "step" in row else words.UNKNOWN,
        )
        for row in rows
    ]  # fmt: skip
    note = (
        f"With batch statistics in place of running ones the cell cut out of the supernet has "
        f"{words.percent(found['cell_by_batch_statistics'])}."
    )
    return section(
        "gap",
        "From the supernet to the cell",
        tag(
            "div",
            picture(why_figures.waterfall(rows, chance), caption, "why-gap", title="Discretisation gap"),
            class_="solo",
        ),
        table(head, body, caption=gap_caption(rows)),
        tag("p", note, class_="small"),
        lead="Where accuracy is lost between the relaxed network, which the search trains, and the single cell.",
    )


def gap_caption(rows: Sequence[Row]) -> str:
    retrained = how_words([row for row in rows if row["name"] == "retrained"])
    return (
        f"Intervals: Wilson's of one network, by {retrained} over the images of the retrained cell; of a change, "
        f"paired over the images, by {how_words(rows, 'step_')}."
    )


# --- Motifs ----------------------------------------------------------------------------------------------------------


def motifs(found: Row) -> Html:
    shared, trained = found["motifs"]["shared"], found["motifs"]["trained"]
    own = next(row for row in found["cells"] if row["name"] == "found")
    parts: list[object] = []
    if shared:
        parts.append(motif_table(own, shared, trained))
    else:
        parts.append(box("note", "Too few random cells", "Fewer than three were scored: give --samples 24 or more."))
    if beside := found["motifs"]["beside"]:
        summary = f"Over the found cell and the cells given with --beside (n {beside[0]['n']}), trained"
        parts.append(tag("details", tag("summary", summary), beside_table(beside)))
    lead = "Properties of a cell that can be counted, and their rank correlation with accuracy over random cells."
    return section("motifs", "Motifs", *parts, cells_table(found), lead=lead)


def motif_table(own: Row, shared: Sequence[Row], trained: Sequence[Row]) -> Html:
    by_name = {row["motif"]: row for row in trained}
    n_trained = trained[0]["n"] if trained else 0
    head = ["motif", "found cell", f"rho, shared (n {shared[0]['n']})", "p", "p, Holm"]
    head += [f"rho, trained (n {n_trained})", "p, Holm"] if trained else []
    body = []
    for row in sorted(shared, key=lambda row: (row["p"] is None, row["p"])):
        line: list[object] = [row["motif"], count_words(own["motifs"][row["motif"]]), *rho_words(row)]
        if trained:
            other = by_name[row["motif"]]
            line += [rho_words(other)[0], p_words(other["p_holm"])]
        body.append(line)
    tried = sum(row["p"] is not None for row in shared)
    caption = (
        f"Spearman's rho of {tried} motifs with accuracy over random cells, p by permutation of the accuracies, "
        "corrected for the number of motifs (Holm). Depth and width as in Shu, Wang and Cai (ICLR 2020)."
    )
    return table(head, body, caption=caption)


def beside_table(rows: Sequence[Row]) -> Html:
    body = [(row["motif"], *rho_words(row)) for row in rows]
    return table(("motif", "rho", "p", "p, Holm"), body, caption="Spearman's rho with the trained accuracy.")


def rho_words(row: Row) -> list[str]:
    if row["rho"] is None:
        return [words.UNKNOWN] * 3
    return [f"{row['rho']:+.2f}".replace("-", "−"), p_words(row["p"]), p_words(row["p_holm"])]


def cells_table(found: Row) -> Html:
    head = (
        "cell",
        "shared weights",
        "trained",
        "n",
        "skips",
        "pools",
        "separable",
        "dilated",
        "depth",
        "width",
        "params",
    )
    body = [cell_line(row) for row in sorted(found["cells"], key=lambda row: -row["shared"])]
    caption = (
        "Every cell that was scored, the best first; counts of normal and reduction cell together, depth and width of "
        f"the normal one. Shared and trained accuracies agree by Kendall's tau {tau_words(found['agreement'])}."
    )
    return tag("details", tag("summary", f"All {len(body)} cells"), table(head, body, caption=caption))


def cell_line(row: Row) -> list[object]:
    counts = row["motifs"]
    both = [
        f"{counts[f'normal.{name}'] + counts[f'reduce.{name}']:g}"
        for name in ("skips", "pools", "separable", "dilated")
    ]
    scores = [words.percent(row["shared"]), words.percent(row["trained"]), row["seeds"] or words.UNKNOWN]
    own = [f"{counts['normal.depth']:g}", f"{counts['normal.width']:g}", words.short_count(counts["params"])]
    return [row.get("label", row["name"]), *scores, *both, *own]


# --- How it was measured ---------------------------------------------------------------------------------------------


def protocol(found: Row) -> Html:
    """The settings of the study, and the meaning of its terms."""
    values = {**found["config"], **found["sizes"]}
    sizes = [(name.replace("_", " "), tag("code", setting(name, value))) for name, value in values.items()]
    text = sentences(
        "Recalibrated: BatchNorm's running mean and variance are the plain means, over these training batches, of each "
        "batch's mean and (unbiased) variance, images not augmented.",
        "Removed: the operation is `none`, so its node has only the other input.",
        "A training uses the train images with the search's augmentation, without drop path or auxiliary classifier; "
        "it is scored on the val images after recalibration.",
        "The changes to be trained, and their order, come from the shared weights; the val images are those by which "
        "the search chose its cell, so its own score on them is not that of fresh images.",
    )
    return section("protocol", "How this was measured", pairs(sizes), tag("p", text, class_="prose"))


def setting(name: str, value: object) -> str:
    if value is None:
        return "all" if name == "images" else "the search's"
    return str(value)
