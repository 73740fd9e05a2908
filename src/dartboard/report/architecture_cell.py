"""An architecture in a table: a short text as it is, a long one folded behind its choices in a line."""

import json

from dartboard.report.markup import Html, tag

SHORT = 80  # characters that stand in a table as they are
NARROWEST = 40  # characters of a line, where the page is narrow
CUT = 48  # characters of a text of no known form


def architecture_cell(text: str, opened: str = "") -> Html:
    """text: the architecture; opened: what is shown when a long one is opened, by default itself."""
    if len(text) <= SHORT and not opened:
        return tag("code", text, style=f"min-width:{min(len(text), NARROWEST)}ch")
    return tag("details", tag("summary", in_a_line(text)), tag("code", opened or text), class_="architecture")


def in_a_line(text: str) -> str:
    """The choices, those of a sort together: "resolution 8, depth 2 3 3, kernel 5 5 5"; else the beginning."""
    sorts: dict[str, list[str]] = {}
    for name, value in choices_of(text).items():
        sorts.setdefault(name.rpartition(".")[2], []).append(str(value))
    return ", ".join(f"{name} {' '.join(values)}" for name, values in sorts.items()) or f"{text[:CUT]} …"


def choices_of(text: str) -> dict[str, object]:
    """The choices of an architecture in dartboard's own notation; none in another one."""
    try:
        choices = json.loads(text)["choices"]
        return dict(choices.items()) if all(isinstance(one, str | int | float) for one in choices.values()) else {}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
