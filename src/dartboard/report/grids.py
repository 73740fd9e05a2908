"""Two pictures that follow the slider: the heat map of alpha, and the history of the derived cell. Plain <svg>."""

from collections.abc import Sequence
from itertools import groupby

from dartboard.report import palette
from dartboard.report.facts import Epoch, Table
from dartboard.report.forms import Form, Input, has_form
from dartboard.report.markup import Html, join, tag, text
from dartboard.report.measures import STRONG, Scale, offered
from dartboard.spaces.graph import Graph, name_and_index

LABEL_WIDTH, GAP = 72, 5  # GAP: between the edges of two target nodes
BOX_WIDTH, BOX_HEIGHT, HEAD_HEIGHT = 38, 22, 78
HISTORY_WIDTH, BAR_HEIGHT, FOOT_HEIGHT = 560, 15, 20


def edge_words(source: str, target: str) -> Html:
    """The edge's name in a sentence or a table: the index of an input is a subscript."""
    return join([node_words(source), " → ", node_words(target)])


def node_words(name: str) -> Html:
    base, index = name_and_index(name)
    return join([base, tag("sub", index.replace("-", "−"))]) if index else text(name)


def edge_name(one: Graph, edge: tuple[int, int]) -> str:
    """The edge's name as plain text."""
    return f"{one.nodes[edge[0]]} → {one.nodes[edge[1]]}"


def typeset_edge(one: Graph, edge: tuple[int, int]) -> Html:
    """The edge's name in a picture: an index is a subscript, and what follows it is on the line again."""
    parts: list[object] = []
    for before, name in zip(("", " → "), (one.nodes[edge[0]], one.nodes[edge[1]]), strict=True):
        base, index = name_and_index(name)
        parts.append(tag("tspan", before + base, dy=-3) if len(parts) > 1 else before + base)
        if index:
            parts.append(tag("tspan", index.replace("-", "−"), dy=3, font_size="75%"))
    return join(parts)


def row_tops(edges: Sequence[tuple[int, int]], height: int) -> list[int]:
    """Upper side of each edge's row: rows of one target node are grouped."""
    return [row * height + (target - edges[0][1]) * GAP for row, (_, target) in enumerate(edges)]


def heat_map(table: Table, one: Graph, operations: Sequence[str], scale: Scale) -> Html:
    """Weights, edges of a relaxed cell x operations, in percent. Boxes have data-edge and data-operation."""
    edges = one.places
    tops, middle = row_tops(edges, BOX_HEIGHT), HEAD_HEIGHT + BOX_HEIGHT / 2
    heads = [head(column, operation) for column, operation in enumerate(operations)]
    rows = [
        join([row_label(typeset_edge(one, edge), middle + top), *boxes(row, table[row], top, scale)])
        for row, (edge, top) in enumerate(zip(edges, tops, strict=True))
    ]
    width, height = LABEL_WIDTH + BOX_WIDTH * len(operations) + 36, HEAD_HEIGHT + tops[-1] + BOX_HEIGHT + 2
    label = f"Heat map of the {one.title}: weight of each of {len(operations)} operations on {len(edges)} edges"
    return frame(width, height, label, "heat", *heads, *rows)


def head(column: int, operation: str) -> Html:
    x, y = LABEL_WIDTH + BOX_WIDTH * (column + 0.42), HEAD_HEIGHT - 10
    dot = tag("circle", cx=f"{x + 1:.1f}", cy=y + 3, r=3.2, fill=palette.colour(operation))
    word = tag("text", operation, transform=f"translate({x + 5:.1f} {y - 4}) rotate(-40)", class_="head")
    return join([dot, word])


def row_label(name: Html, middle: float) -> Html:
    return tag("text", name, x=LABEL_WIDTH - 8, y=f"{middle + 3.5:g}", class_="row")


def boxes(row: int, weights: Sequence[float], top: int, scale: Scale) -> list[Html]:
    found = []
    for column, weight in enumerate(weights):
        x, y = LABEL_WIDTH + BOX_WIDTH * column, HEAD_HEIGHT + top
        share = scale.share(weight) if offered(weight) else 0.0
        box = tag(
            "rect",
            x=x + 1,
            y=y + 1,
            width=BOX_WIDTH - 2,
            height=BOX_HEIGHT - 2,
            rx=3,
            style=f"fill-opacity:{share:.3f}",
        )
        word = tag("text", f"{100 * weight:.0f}" if offered(weight) else "–", x=x + BOX_WIDTH / 2, y=y + 14.5)
        strong = " strong" if share > STRONG else ""
        found.append(tag("g", box, word, class_=f"box{strong}", data_edge=row, data_operation=column))
    return found


def history(epochs: Sequence[Epoch], one: Graph, form: Form, swaps: Sequence[int] = ()) -> Html:
    """The derived cells: one row per edge, one column per epoch, coloured if the edge is in the cell.

    one: the cell with the most nodes, which has a row for every pair of them; swaps: indices of the epochs before which
    the data change; a dotted line marks them.
    """
    columns = [set(in_cell(epoch, one.kind, form)) for epoch in epochs]
    edges = every_pair(one)
    step = HISTORY_WIDTH / len(epochs)
    tops = row_tops(edges, BAR_HEIGHT)
    bottom = tops[-1] + BAR_HEIGHT
    rows = [
        join(
            [
                tag("text", typeset_edge(one, edge), x=LABEL_WIDTH - 8, y=top + 11, class_="row"),
                tag("rect", x=LABEL_WIDTH, y=top + 1, width=HISTORY_WIDTH, height=BAR_HEIGHT - 2, rx=2, class_="empty"),
                *bars(edge, edge_name(one, edge), columns, epochs, step, top),
            ]
        )
        for edge, top in zip(edges, tops, strict=True)
    ]
    cursor = tag(
        "rect",
        x=f"{LABEL_WIDTH + step * (len(epochs) - 1):.2f}",
        y=0,
        width=f"{step:.2f}",
        height=bottom,
        rx=2,
        class_="cursor",
        data_left=LABEL_WIDTH,
        data_step=f"{step:.4f}",
    )
    label = f"The derived {one.title} at every epoch: its edges, coloured by their operation"
    width, height = LABEL_WIDTH + HISTORY_WIDTH + 4, bottom + FOOT_HEIGHT
    marks = [swap_line(LABEL_WIDTH + step * index, bottom) for index in swaps if index < len(epochs)]
    return frame(width, height, label, "history", *rows, *ticks(epochs, step, bottom), *marks, cursor)


def every_pair(one: Graph) -> list[tuple[int, int]]:
    """(source, target) of all that could add up, by target, then source; an output that joins nodes adds nothing."""
    last = len(one.nodes) - 1 if one.joined else len(one.nodes)
    return [(source, target) for target in range(one.num_inputs, last) for source in range(target)]


def in_cell(epoch: Epoch, kind: str, form: Form) -> list[Input]:
    """The inputs of the epoch's cell, without `none`."""
    if not has_form(epoch.architecture) or epoch.architecture is None:
        return []
    return [one for one in form.inputs(epoch.architecture, kind) if one[2] != "none"]


def swap_line(x: float, bottom: int) -> Html:
    return tag("line", x1=f"{x:.2f}", x2=f"{x:.2f}", y1=-2, y2=bottom + 2, class_="swap")


def bars(
    edge: tuple[int, int],
    name: str,
    columns: Sequence[set[tuple[int, int, str]]],
    epochs: Sequence[Epoch],
    step: float,
    top: int,
) -> list[Html]:
    """One rectangle for each run of epochs in which the edge has the same operation."""
    chosen = ["+".join(sorted(op for source, target, op in column if (source, target) == edge)) for column in columns]
    found, start = [], 0
    for operation, run in groupby(chosen):
        length = len(list(run))
        if operation:
            first, last = epoch_word(epochs[start]), epoch_word(epochs[start + length - 1])
            during = first if length == 1 else f"{first} to {last}"
            found.append(
                tag(
                    "rect",
                    tag("title", f"{name}: {operation}, {during}"),
                    x=f"{LABEL_WIDTH + start * step + 0.5:.2f}",
                    y=top + 1,
                    width=f"{max(length * step - 1, 1):.2f}",
                    height=BAR_HEIGHT - 2,
                    rx=2,
                    fill=palette.colour(operation.split("+")[0]),
                )
            )
        start += length
    return found


def epoch_word(epoch: Epoch) -> str:
    return "start" if epoch.epoch < 0 else f"epoch {epoch.epoch}"


def ticks(epochs: Sequence[Epoch], step: float, bottom: int) -> list[Html]:
    stride = next(size for size in (1, 2, 5, 10, 20, 50, 100, 200, 500, 10**9) if len(epochs) <= 14 * size)
    return [
        tag(
            "text",
            "start" if epoch.epoch < 0 else epoch.epoch,
            x=f"{LABEL_WIDTH + (index + 0.5) * step:.2f}",
            y=bottom + 14,
            class_="tick",
        )
        for index, epoch in enumerate(epochs)
        if (epoch.epoch < 0 and stride == 1) or (epoch.epoch >= 0 and epoch.epoch % stride == 0)
    ]


def frame(width: float, height: float, label: str, name: str, *children: Html) -> Html:
    return tag(
        "svg",
        *children,
        class_=f"grid {name}",
        role="img",
        aria_label=label,
        viewBox=f"0 0 {width:g} {height:g}",
        xmlns="http://www.w3.org/2000/svg",
        style=f"--natural:{width:g}px",
    )
