"""HTML from Python values. Text is escaped unless it is already Html, so what a person named cannot become markup."""

import json
from collections.abc import Iterable
from html import escape
from typing import Any

VOID = {"br", "col", "hr", "input", "link", "meta"}


class Html(str):
    """Text that is HTML already. Made by `tag` and `join`, and by the modules that draw SVG."""


def text(value: object) -> Html:
    """The value as HTML: unchanged if it is Html, otherwise escaped."""
    return value if isinstance(value, Html) else Html(escape(str(value), quote=True))


def join(children: Iterable[object]) -> Html:
    return Html("".join(text(child) for child in children if child is not None))


def tag(element: str, /, *children: object, **attributes: object) -> Html:
    """One element. `class_` is class, `aria_label` aria-label; None and False leave an attribute out, True is bare."""
    words = [element]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        attribute = key.rstrip("_").replace("_", "-")
        words.append(attribute if value is True else f'{attribute}="{escape(str(value), quote=True)}"')
    opening = f"<{' '.join(words)}>"
    return Html(opening) if element in VOID else Html(f"{opening}{join(children)}</{element}>")


def embedded_json(value: Any, **attributes: object) -> Html:
    """A <script type="application/json"> that no text in the value can close."""
    encoded = json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=True)
    for character in "<>&":
        encoded = encoded.replace(character, f"\\u{ord(character):04x}")
    return tag("script", Html(encoded), type="application/json", **attributes)
