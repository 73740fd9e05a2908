"""The part of the page of a `why` study about its trainings: how fast they learn, and how gradients flow."""

from collections.abc import Mapping, Sequence

from dartboard.report import why_figures, words
from dartboard.report.blocks import pairs, picture, section, table
from dartboard.report.figures import Series, curves
from dartboard.report.markup import Html, tag
from dartboard.report.why_words import Row, edge_words, row_look, tau_words

COLOURS = "Orange: the found cell. Blue: random cells. Green: cells given with --beside, if any."


def convergence(found: Row) -> Html:
    content = found["convergence"]
    cells, steps = content["cells"], found["config"]["few_steps"]
    losses = ", ".join(f"{row['name']} {row['early_loss']:.3g} then {row['final_loss']:.3g}" for row in cells)
    dots = why_figures.scatter(
        cells,
        "early_loss",
        "final_loss",
        (f"loss after {steps} steps", "loss at the end"),
        f"Early and final loss: {losses}",
    )
    lines_of = {row["name"]: row["losses"] for row in cells}
    series = cell_lines(lines_of)
    lines = curves(series, f"Training loss over epochs of {len(cells)} cells")
    taus = pairs(
        [
            (f"loss after {steps} steps with loss at the end", tau_words(content["early_final"])),
            ("skips with loss after few steps", tau_words(content["skips_early"])),
            ("skips with loss at the end", tau_words(content["skips_final"])),
        ]
    )
    note = f"{COLOURS} The number at a dot counts the skips of both cells."
    return section(
        "convergence",
        "Fast learning against final loss",
        tag(
            "div",
            picture(dots, f"{note} Losses of val images.", "why-early-final", title="Early and final loss"),
            picture(lines, f"Mean over the seeds. {COLOURS}", "why-losses", title="Training loss"),
            class_="duo",
        ),
        tag("div", tag("h4", "Kendall's tau over these cells"), taus, class_="block"),
        lead="Cells with many skip connections are reported to learn fast and end worse, which would mislead a search. "
        "The figures show whether they do so here.",
    )


def cell_lines(values: Mapping[str, Sequence[float]]) -> list[Series]:
    """One line per cell, by its name, the found one on top; the legend names each kind once."""
    series, named = [], {"_"}
    for name in sorted(values, key=lambda name: name == "found"):
        kind, colour = row_look(name)
        series.append(Series("_" if kind in named else kind, list(range(len(values[name]))), values[name], colour))
        named.add(kind)
    return series


def gradient(found: Row) -> Html:
    steps = found["config"]["few_steps"]
    titles = {"start": "Before the first step", "early": f"After {steps} steps"}
    pictures = [gradient_picture(found["gradient"][when]["cells"], title) for when, title in titles.items()]
    return section(
        "gradient",
        "Gradient flow",
        tag("div", *pictures, class_="duo"),
        transmission_table(found["gradient"]),
        tag("details", tag("summary", "Every input of the found cell"), edge_table(found["gradient"])),
        lead="The gradient of one batch of training images, the same batch for all cells and at both times.",
    )


def gradient_picture(cells: Mapping[str, Sequence[Row]], title: str) -> Html:
    series = cell_lines({name: [cell["output"] for cell in row] for name, row in cells.items()})
    svg = curves(series, f"Gradient norm at the output of each cell, {title}", x_label="cell of the network")
    return picture(svg, "Norm of the gradient in each cell's output.", f"why-gradient-{title}", title=title)


def transmission_table(content: Row) -> Html:
    early = {(row["operation"], row["stride"]): row for row in content["early"]["operations"]}
    body = []
    for row in content["start"]["operations"]:
        later = early.get((row["operation"], row["stride"]))
        after = f"{later['transmission']:.2f}" if later else words.UNKNOWN
        body.append((row["operation"], row["stride"], f"{row['transmission']:.2f}", after, row["n"]))
    caption = (
        "The share of the arriving gradient that an operation passes back to its source (1: all of it), the mean over "
        "all inputs of the found and the random cells."
    )
    return table(("operation", "stride", "at the start", "after few steps", "inputs"), body, caption=caption)


def edge_table(content: Row) -> Html:
    body = []
    for start, early in zip(content["start"]["edges"], content["early"]["edges"], strict=True):
        name = f"{start['kind']} {edge_words(start['source'], start['node'])} {start['operation']}"
        numbers = [f"{look[field]:.3g}" for look in (start, early) for field in ("arriving", "passed", "transmission")]
        body.append((name, *numbers))
    head = ("input", "arriving", "passed", "share", "arriving, later", "passed, later", "share, later")
    return table(head, body, caption="Norms, the mean over the cells of the network and the seeds.")
