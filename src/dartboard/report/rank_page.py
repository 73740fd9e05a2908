"""The page of a ranking, and its main table as a sheet: how well shared weights order architectures. No torch."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dartboard.analysis.statistics import ENOUGH
from dartboard.paths import quoted
from dartboard.report import page, words
from dartboard.report.blocks import box, command, pairs, picture, section, tiles
from dartboard.report.figures import DASHED, Series, curves
from dartboard.report.markup import Html, join, tag
from dartboard.report.rank_figures import Estimate, forest, scatter
from dartboard.report.sheets import Column, Sheet, as_html
from dartboard.studies.rank_folder import PAGE, RESULT
from dartboard.studies.rank_results import (
    CEILING,
    MACS,
    NAMES,
    PARAMS,
    RECALIBRATED,
    SCORE_COLUMNS,
    SHARED,
    headline,
    judge_of,
    read_results,
    signed_words,
    value_words,
    verdict,
)

Found = Mapping[str, Any]
PLACES = (
    ("answer", "Answer"),
    ("judges", "Judges"),
    ("scores", "Scores"),
    ("conditions", "Conditions"),
)
COLOURS = {SHARED: "--one", NAMES[RECALIBRATED]: "--five", MACS: "--two", PARAMS: "--three", CEILING: "--four"}
MEASURES = {"tau": "Kendall tau", "spearman": "Spearman"}
OVER = (
    "Every interval is a 95 % percentile bootstrap over the architectures that were drawn: how the number would vary "
    "if others had been. All judges are resampled together, so differences are paired. The weights are those of one "
    "training; another seed trains others, and no interval here says by how much they would differ."
)


def write(folder: Path, out: Path | None = None) -> Path:
    """Writes the page of a finished ranking; returns its path. Raises InputError."""
    place = out or folder / PAGE
    page.put(page_html(read_results(folder)), place, named=out is not None)
    return place


def page_html(found: Found) -> str:
    """The complete file."""
    eyebrow = f"Shared weights as a judge · {found['method']} · {found['space']}"
    top = page.Page(eyebrow, headline(found), lede(found), answer(found), Html(""))
    parts = [judges(found), scores(found), conditions(found)]
    return page.document(top, PLACES, parts, RESULT)


# --- The answer ------------------------------------------------------------------------------------------------------


def lede(found: Found) -> str:
    """What was compared, in two sentences."""
    epoch = newest(found, SHARED)["state"]["epoch"]
    drawn = found["source"]["drawn"] or "drawn at random"
    return (
        f"{words.count(found['samples'])} architectures of {found['space']} ({drawn}), scored by the shared weights of "
        f"{Path(found['run']).name} after {words.plural(epoch, 'epoch')}, on {words.count(found['val_images'])} val "
        f"images of {words.short_data(found['data'])}. The truth is {found['source']['words']}."
    )


def answer(found: Found) -> Html:
    """Key figures, the differences in words, and what so few values cannot show."""
    shown = [one for one in main_judges(found) if one["measures"]["tau"] is not None]
    figures = [(label_of(one, found), tau_words(one), interval_words(one["measures"]["tau"])) for one in shown]
    return join(
        [
            tiles([(name, value, f"Kendall tau; 95 % interval {interval}") for name, value, interval in figures]),
            tag("ul", *(tag("li", one) for one in sentences(found)), class_="findings"),
            few(found),
        ]
    )


def sentences(found: Found) -> Iterator[str]:
    """Each way to score by shared weights against each cost, then what is left to the ceiling."""
    for judge in main_judges(found):
        for name, difference in (judge.get("above") or {}).items():
            yield difference_words(judge["name"], name, difference)
    ceiling = judge_of(found, CEILING)
    if ceiling is None:
        yield "There is no ceiling: the truth has one measurement of each architecture, so its own noise is not known."
    else:
        yield (
            f"The ceiling is the other column of the table, {found['source']['ceiling']}: tau with the truth "
            f"{value_words(ceiling['measures']['tau'])}. No judge can be expected to agree with this truth better than "
            "another measurement of the same architectures does."
        )


def difference_words(name: str, other: str, difference: Mapping[str, Any] | None) -> str:
    """The difference of tau of shared weights to that of a cost, with what it shows."""
    if difference is None:
        return f"{name[:1].upper()}{name[1:]} and {other} cannot be compared: one of them gives all the same value."
    said = {True: "It ranks better.", False: "It ranks worse.", None: "No difference is shown."}
    what = f"{name[:1].upper()}{name[1:]} − {other}"
    return f"{what}: {signed_words(difference)} of tau. {said[verdict(difference)]}"


def few(found: Found) -> Html | None:
    """A box about what makes these numbers weak."""
    notes = []
    if found["samples"] < 3 * ENOUGH:
        notes.append(f"{found['samples']} architectures are few: the bootstrap of so few is too narrow.")
    different = len({row["score"] for row in found["rows"]})
    if different < found["samples"] / 2:
        notes.append(
            f"The shared weights give {different} different scores to {found['samples']} architectures, on "
            f"{words.count(found['val_images'])} val images. Ties count for neither side (tau-b)."
        )
    return box("note", "How far this goes", *notes) if notes else None


# --- Judges ----------------------------------------------------------------------------------------------------------


def newest(found: Found, name: str) -> Found:
    one = judge_of(found, name)
    assert one is not None
    return one


def main_judges(found: Found) -> list[Found]:
    """One of each kind, the shared weights in the newest state."""
    names = dict.fromkeys(one["name"] for one in found["judges"])
    return [newest(found, name) for name in names]


def label_of(judge: Found, found: Found) -> str:
    """What a judge is called; of the ceiling also which column it is."""
    return f"{CEILING}, {found['source']['ceiling']}" if judge["name"] == CEILING else str(judge["name"])


def tau_words(judge: Found) -> str:
    return number(judge["measures"]["tau"]["estimate"])


def number(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def interval_words(table: Mapping[str, Any]) -> str:
    if table["low"] is None:
        return words.UNKNOWN
    return f"{number(table['low'])} to {number(table['high'])}"


def judges(found: Found) -> Html:
    """The pictures and the table of all judges."""
    rows = [
        Estimate(label_of(one, found), tau["estimate"], tau["low"], tau["high"], COLOURS[one["name"]])
        for one in main_judges(found)
        if (tau := one["measures"]["tau"]) is not None
    ]
    said = "; ".join(f"{row.name} {number(row.estimate)}" for row in rows)
    svg = forest(rows, f"Kendall tau with the truth: {said}")
    said = "A dot is tau with the truth, a line its 95 % interval; the shared weights as the search left them."
    drawn = [picture(svg, said, "tau", title="Who ranks how well"), over_training(found)]
    return section("judges", "The judges", tag("div", *drawn, class_="duo"), as_html(sheet_of(found)), lead=OVER)


def sheet_of(found: Found) -> Sheet:
    """A row for each judge: each measure with its interval, and the difference to multiply-adds."""
    names = list(found["judges"][0]["measures"])
    columns = [Column("judge", "judge"), Column("", "epoch")]
    for name in names:
        columns += measure_columns(head_of(name), name)
    columns += measure_columns("tau − that of multiply-adds", "tau_above_macs")
    rows = [(label_of(one, found), epoch_of(one), *values_of(one, names)) for one in main_judges(found)]
    n, k = found["samples"], [int(name.removeprefix("top_")) for name in names if name.startswith("top_")]
    chance = ", ".join(f"{100 * one / n:.3g} % for {one}" for one in k)
    caption = (
        f"Agreement with the truth over {words.count(n)} architectures, 95 % intervals in brackets; top k: the share "
        f"of the k best that are among the k best of the judge (by chance {chance})."
    )
    return Sheet(caption, tuple(columns), tuple(rows))


def head_of(name: str) -> str:
    return MEASURES.get(name) or name.replace("_", " ")


def measure_columns(head: str, key: str) -> list[Column]:
    """On the page one column with brackets, in the CSV three."""
    return [Column(head, "", cell_words), *(Column("", end) for end in (key, f"{key}_95_low", f"{key}_95_high"))]


def cell_words(table: Mapping[str, Any]) -> str:
    return number(table["estimate"]) + ("" if table["low"] is None else f" ({interval_words(table)})")


def values_of(judge: Found, names: Sequence[str]) -> Iterator[object]:
    tables = [*(judge["measures"][name] for name in names), (judge.get("above") or {}).get(MACS)]
    for table in tables:
        yield table
        yield from (None,) * 3 if table is None else (table["estimate"], table["low"], table["high"])


def epoch_of(judge: Found) -> int | None:
    state = judge.get("state")
    return None if state is None else int(state["epoch"])


# --- Pictures --------------------------------------------------------------------------------------------------------


def scores(found: Found) -> Html:
    """Scores by shared weights, and multiply-adds, each against truth."""
    rows = found["rows"]
    drawn = [
        scatter_picture(found, name, [row[column] for row in rows], f"score by {name}")
        for way, column in SCORE_COLUMNS.items()
        if (name := NAMES[way]) and rows[0][column] is not None
    ]
    drawn.append(scatter_picture(found, MACS, [row["macs"] for row in rows], MACS, counts=True))
    return section("scores", "Scores and truth", tag("div", *drawn, class_="duo"))


def scatter_picture(found: Found, name: str, values: Sequence[float], y_name: str, *, counts: bool = False) -> Html:
    truth, tau = [row["truth"] for row in found["rows"]], newest(found, name)["measures"]["tau"]
    title = f"{name[:1].upper()}{name[1:]} against truth"
    label = f"{title}: {len(truth)} architectures, tau {value_words(tau)}"
    svg = scatter(truth, values, "truth", y_name, label, COLOURS[name], counts=counts)
    said = f"A dot is an architecture; above and beside, how often such values come. Tau {value_words(tau)}."
    return picture(svg, said, title.lower().replace(" ", "-").replace(",", ""), title=title)


def over_training(found: Found) -> Html | None:
    """Tau over the states of the search that are there; None if it is defined in none."""
    names = [name for name in NAMES.values() if judge_of(found, name) is not None]
    lines = [line for name in names if (line := line_of(found, name)) is not None]
    if not lines:
        return None
    levels = {name: one["measures"]["tau"] for name in (MACS, CEILING) if (one := judge_of(found, name))}
    marks = [(tau["estimate"], name) for name, tau in levels.items() if tau is not None]
    ends = "; ".join(f"{line.name} {number(line.y[0])} to {number(line.y[-1])}" for line in lines)
    svg = curves(lines, f"Kendall tau over training: {ends}", marks=marks, x_label=unit_of(found))
    return picture(svg, kept_words(found), "tau-over-training", title="Kendall tau over training")


def unit_of(found: Found) -> str:
    """What training is counted in: epochs, or steps if two states are within one epoch, of a search that stopped."""
    epochs = [one["state"]["epoch"] for one in found["judges"] if one["name"] == SHARED]
    return "epoch" if len(set(epochs)) == len(epochs) else "step"


def kept_words(found: Found) -> str:
    """What the picture over training shows, and why of these epochs."""
    unit = unit_of(found)
    places = sorted({one["state"][unit] for one in found["judges"] if one.get("state")})
    return (
        f"Tau with its 95 % interval by the weights that are there, after {unit} {', '.join(map(str, places))}: a "
        "search keeps its last two checkpoints, and with --keep-every N the weights after every N epochs."
    )


def line_of(found: Found, name: str) -> Series | None:
    """Tau of a way to score by shared weights in each state where it is defined, the earliest first."""
    known = [one for one in reversed(found["judges"]) if one["name"] == name and one["measures"]["tau"] is not None]
    if not known:
        return None
    taus = [one["measures"]["tau"] for one in known]
    ends = all(tau["low"] is not None for tau in taus)
    band = ([tau["low"] for tau in taus], [tau["high"] for tau in taus]) if ends else None
    dashes = DASHED if name == NAMES[RECALIBRATED] else ()
    places = [one["state"][unit_of(found)] for one in known]
    return Series(name, places, [tau["estimate"] for tau in taus], COLOURS[name], dashes, band=band)


def conditions(found: Found) -> Html:
    """Under which the numbers hold."""
    source, state = found["source"], newest(found, SHARED)["state"]
    images = "none" if found["recalibrate"] is None else f"{found['recalibrate']} training images for each architecture"
    known = {
        "run": found["run"], "method": found["method"], "space": found["space"], "data": found["data"],
        "weights": f"{state['name']}, step {words.count(state['step'])}", "truth": source["words"],
        "truth from": source.get("truth") or source.get("scores"), "sha256 of the truth": source["sha256"],
        "architectures": f"{found['samples']}, seed {found['seed']}", "recalibration": images,
        "resamples": words.count(found["draws"]), "device": found["device"],
    }  # fmt: skip
    known |= {f"a score, {NAMES[way]}": f"{1000 * took:.1f} ms" for way, took in found["seconds"].items()}
    again = f"dartboard rank {quoted(found['run'])} {flag_words(source)} --samples {found['samples']}"
    again += f" --recalibrate {found['recalibrate']} --seed {found['seed']} --out NEW"
    line = command(again, "Rank again, in another folder:")
    return section("conditions", "Conditions", pairs(known.items()), line)


def flag_words(source: Mapping[str, Any]) -> str:
    """The flag that names the truth."""
    name = "truth" if source.get("truth") is not None else "scores"
    return f"--{name} {quoted(source[name])}"
