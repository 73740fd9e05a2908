"""Building blocks of the page: pictures with captions, key figures, tables, boxes."""

import re
from collections.abc import Iterable, Sequence

from dartboard.report import palette
from dartboard.report.markup import Html, join, tag


def section(identity: str, title: str, *children: object, lead: object = None) -> Html:
    opening = tag("p", lead, class_="lead") if lead is not None else None
    return tag("section", tag("h2", title), opening, *children, id=identity, class_="part")


def pair(*pictures: Html) -> Html:
    """Pictures of cells side by side if they fit at a readable size, otherwise one below the other."""
    naturals = [float(found) for one in pictures for found in re.findall(r"--natural:([\d.]+)pt", one)]
    need = 1.05 * max(naturals, default=300) + 42
    return tag("div", *pictures, class_="cells", style=f"--need:{need:.0f}px")


def picture(svg: Html, caption: object, file_name: str, *, title: str, wide: bool = False) -> Html:
    """A picture with a title, which can be saved. A wide one scrolls inside its box if the screen is narrow."""
    box = tag("div", svg, class_="scroll", tabindex=0, role="group", aria_label=title) if wide else svg
    save = tag("button", "Save SVG", type="button", class_="save", data_name=f"{file_name}.svg")
    heading = tag("div", tag("h3", title), save, class_="picture-head")
    return tag("figure", heading, box, tag("figcaption", caption), class_="picture")


def tiles(items: Iterable[tuple[str, str, object]]) -> Html:
    """Key figures: (what, number, remark)."""
    found = [
        tag("div", tag("dt", what), tag("dd", number), tag("dd", remark, class_="remark"))
        for what, number, remark in items
    ]
    return tag("dl", *found, class_="tiles")


def command(line: str, purpose: str) -> Html:
    copy = tag("button", "Copy", type="button", class_="copy")
    typed = tag("pre", tag("code", unbroken(line)), tabindex=0)
    return tag("div", tag("p", purpose), tag("div", typed, copy), class_="command")


def unbroken(words: str) -> Html:
    """The text of a command; no line break divides a flag at a hyphen."""
    parts = re.split(r"(?<!\S)(--[a-z][a-z-]*)", words)
    return join(tag("span", part, class_="flag") if number % 2 else part for number, part in enumerate(parts))


def box(kind: str, title: str, *children: object) -> Html:
    """A remark that stands out: "warning", "note" or "good"."""
    return tag("aside", tag("h3", title), *(tag("p", child) for child in children), class_=f"box-{kind}")


def legend(operations: Iterable[str]) -> Html:
    used = sorted(
        set(operations), key=lambda name: list(palette.COLOURS).index(name) if name in palette.COLOURS else 99
    )
    items = [tag("li", swatch(name), name) for name in used]
    return tag("ul", *items, class_="legend", aria_label="Operations and their colours")


def swatch(operation: str) -> Html:
    dash = {"dashed": "6 3", "dotted": "1.5 3"}.get(palette.style(operation))
    line = tag(
        "line", x1=1, y1=4, x2=23, y2=4, stroke=palette.colour(operation), stroke_width=3.4, stroke_dasharray=dash
    )
    return tag("svg", line, viewBox="0 0 24 8", class_="swatch", aria_hidden="true")


def table(
    head: Sequence[object], rows: Iterable[Sequence[object]], *, caption: str, foot: Iterable[Sequence[object]] = ()
) -> Html:
    """A table that scrolls inside its box; the first column names the row."""
    body = list(rows)
    first = body[0] if body else head
    top = tag(
        "thead",
        tag(
            "tr", *(tag("th", cell, scope="col", class_=align(under)) for cell, under in zip(head, first, strict=True))
        ),
    )
    bottom = [row_of(row) for row in foot]
    low = tag("tfoot", *bottom) if bottom else None
    complete = tag("table", tag("caption", caption), top, tag("tbody", *map(row_of, body)), low)
    return tag("div", complete, class_="scroll table", tabindex=0, role="group", aria_label=caption)


def row_of(cells: Sequence[object]) -> Html:
    return tag("tr", tag("th", cells[0], scope="row"), *(tag("td", cell, class_=align(cell)) for cell in cells[1:]))


def align(cell: object) -> str | None:
    """Words are aligned left, numbers right."""
    return "word" if isinstance(cell, Html) or str(cell)[:1].isalpha() else None


def pairs(items: Iterable[tuple[str, object]]) -> Html:
    return tag("dl", *(tag("div", tag("dt", key), tag("dd", value)) for key, value in items), class_="pairs")


def sentences(*parts: object) -> Html:
    """Parts joined by spaces; None and empty ones are left out."""
    return join(item for part in parts if part for item in (part, " "))
