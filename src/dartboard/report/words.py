"""Numbers as people read them: percent, durations, counts, spreads."""

from pathlib import Path

from dartboard.paths import quoted
from dartboard.report.measures import Spread

UNKNOWN = "–"
CUT_OUT = "cell cut out, not trained"


def short_data(name: object) -> str:
    """The name of a data set; of a folder of images its own name, without the path."""
    path = Path(str(name).removeprefix("images:"))
    return path.name or str(name) if str(name).startswith("images:") else str(name)


def chance_words(chance: float | None) -> str:
    """ "; chance 10 %", to append to a remark; empty if the number of classes is not known."""
    return f"; chance {100 * chance:.3g} %" if chance is not None else ""


def percent(share: float | None, images: object = None) -> str:
    """0.9312 as "93.1 %"; two decimals if at least 5000 images justify them."""
    if share is None:
        return UNKNOWN
    return f"{100 * share:.{decimals(images)}f} %"


def decimals(images: object = None) -> int:
    """Of an accuracy in percent."""
    return 2 if isinstance(images, int) and images >= 5000 else 1


def duration(seconds: float | None) -> str:
    """ "41 s", "3 min 12 s", "2 h 05 min", "1 d 3 h"."""
    if seconds is None:
        return UNKNOWN
    if seconds < 10:
        return f"{seconds:.1f} s"
    total_s = round(seconds)
    if total_s < 60:
        return f"{total_s} s"
    if total_s < 3600:
        return f"{total_s // 60} min {total_s % 60:02d} s"
    if total_s < 86400:
        return f"{total_s // 3600} h {total_s % 3600 // 60:02d} min"
    return f"{total_s // 86400} d {total_s % 86400 // 3600} h"


def count(value: object) -> str:
    return f"{value:,.0f}" if isinstance(value, int | float) and not isinstance(value, bool) else UNKNOWN


def short_count(value: object) -> str:
    """3349342 as "3.35 M"."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return UNKNOWN
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {letter}"
    return f"{value:.0f}"


def spread_words(spread: Spread | None) -> str:
    """ "93.1 ± 0.4 %" of shares; one value stands alone."""
    if spread is None:
        return UNKNOWN
    return percent(spread.mean) if spread.std is None else f"{100 * spread.mean:.1f} ± {100 * spread.std:.1f} %"


def plural(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def command_words(command: object) -> str:
    if isinstance(command, list):
        return " ".join(quoted(str(word)) for word in command)
    return str(command) if command else UNKNOWN


def evaluate_command(folder: Path) -> str:
    """The command that scores a run again; the run knows its data."""
    return f"dartboard evaluate {quoted(folder)}"


def capital(text: str) -> str:
    """The text with a capital letter first, and the others as they are."""
    return text[:1].upper() + text[1:]
