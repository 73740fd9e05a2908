"""The settings a run started with. A digest covers those that decide its result; the others may change, and are noted.

environment.json has all settings of config.toml as they were, and the digest of the fixed ones. What later versions
add to the settings is in neither, and the run continues with its default.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dartboard.data.names import FOLDER_PREFIX
from dartboard.errors import EditedSettingsError, InputError
from dartboard.paths import quoted
from dartboard.spaces import SPACES

SETTINGS, DIGEST = "settings", "settings_digest"  # keys of environment.json
# What may change between two processes of a run: none of it decides what the run computes. `supernet` is one function
# in two forms; `stream` is where the images wait; `budget` and `until` bound the first process alone.
FREE = ("supernet", "data_dir", "download", "save_every", "device", "stream", "budget", "until")
MOST_NAMED = 4  # edits that a refusal names


def record(table: Mapping[str, Any]) -> dict[str, Any]:
    """What environment.json records of the settings."""
    settings = canonical(table)
    return {SETTINGS: settings, DIGEST: digest(settings)}


def canonical(value: Any) -> Any:
    """The value as JSON holds it, equal if it means the same: 1.0 is 1, a tuple is a list."""
    if isinstance(value, Mapping):
        return {str(name): canonical(value[name]) for name in sorted(value)}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def digest(settings: Mapping[str, Any]) -> str:
    """SHA-256 of the settings that are not free."""
    return hashlib.sha256(json.dumps(held(settings), sort_keys=True).encode()).hexdigest()


def held(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: held(value) if isinstance(value, Mapping) else canonical(value)
            for name, value in settings.items() if name not in FREE}  # fmt: skip


def check(known: Mapping[str, Any], table: Mapping[str, Any], place: Path, new: str) -> bool:
    """Raises EditedSettingsError if a setting under the digest has changed since the start.

    known: the content of environment.json; table: the settings now, in the file `place`; new: the command that starts
    new work with them. A folder of images may have moved: their fingerprint identifies them. Returns False if an older
    version recorded no settings.
    """
    if DIGEST not in known:
        return False
    before = known.get(SETTINGS)
    if not isinstance(before, dict) or digest(before) != known[DIGEST]:
        kept = place.with_name("environment.json")
        raise EditedSettingsError(f"the settings in {kept} do not match their digest; restore it, or {new}")
    found = edits(held(before), held(table))
    if found:
        more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
        listed = "; ".join(found[:MOST_NAMED]) + more
        remedy = undoing(before, table) or f"undo that, or {new}"
        raise EditedSettingsError(f"{place} was edited since the work started: {listed}; {remedy}")
    return True


def undoing(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What to do if no new work can begin with the settings as they are now: they name other work. Else empty."""
    names = [name for name in ("command", "method") if before.get(name) != now.get(name)]
    if now.get("space") != before.get("space") and now.get("space") not in SPACES:
        names.append("space")
    if not names:
        return ""
    lines = [f"set {name} = {shown(before[name])}" if name in before else f"take {name} out" for name in names]
    return f"{' and '.join(lines)} again, then give the same command once more"


def check_own(known: Mapping[str, Any], mark: str | None, place: Path) -> None:
    """Raises InputError for a checkpoint of a run with other settings. known: as for `check`; mark: its own digest."""
    if mark is not None and known.get(DIGEST, mark) != mark:
        raise InputError(
            f"checkpoint {place} is of another run, with other settings; restore this run's own, or start a new run"
        )


def edits(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Each setting that differs, in words."""
    found: list[str] = []
    for name in sorted({*before, *now}):
        old, new = before.get(name), now.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += edits(old, new, f"{prefix}{name}.")
        elif old != new and not (name == "data" and both_folders(old, new)):
            found.append(f"{prefix}{name}: {shown(old)} at the start, {shown(new)} now")
    return found


def both_folders(old: Any, new: Any) -> bool:
    return all(isinstance(one, str) and one.startswith(FOLDER_PREFIX) for one in (old, new))


def shown(value: Any) -> str:
    return "not set" if value is None else json.dumps(value, ensure_ascii=False)[:60]


def last_known(known: Mapping[str, Any], lines: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The settings as they were when the work began, with what lines of the metrics have noted since.

    known: the content of environment.json. `computed_on` is the device that was there for --device.
    """
    noted = {str(line.get("setting")): line.get("now") for line in lines if line.get("event") == "setting"}
    return {**known[SETTINGS], "computed_on": known.get("device"), **noted}


def changes(known: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """{name: (before, now)} of the settings that may change, and did. known: the last ones noted."""
    now = canonical(table)
    names = [name for name in (*FREE, "data", "computed_on") if known.get(name) != now.get(name)]
    return {name: (known.get(name), now.get(name)) for name in names}


def new_run_command(config: Path, table: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    """What starts a new run with the settings in a run's file. table: what is in it; known: as `check` takes it."""
    before = known.get(SETTINGS)
    before = before if isinstance(before, dict) else {}
    settings = {**before, **table}
    if before.get("command", table.get("command")) == "train":
        architecture = quoted(config.with_name("architecture.json"))
        return f"dartboard train {architecture} --config {quoted(config)} --out NEW"
    words = ["dartboard", "search", quoted(str(settings.get("method"))), "--config", quoted(config)]
    if settings.get("space") is not None:
        words += ["--space", quoted(str(settings["space"]))]
    if "from" in table:
        words += ["--from", quoted(str(table["from"]))]
        words += ["--carry", quoted(str(table["carry"]))] if "carry" in table else []
        words += [] if table.get("restart_schedule", True) else ["--no-restart-schedule"]
    return " ".join([*words, "--out", "NEW"])
