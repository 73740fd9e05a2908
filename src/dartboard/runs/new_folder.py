"""The folder of a new run: one that is not there, an empty one, or what a beginning that was killed has left."""

from collections.abc import Container
from pathlib import Path

from dartboard.errors import TakenError
from dartboard.runs.atomic_files import PART, sync_new, writing
from dartboard.runs.locks import LOCK


def make_folder(folder: Path, beginning: Container[str], exist_ok: bool) -> list[Path]:
    """Makes it; returns which folders were not there, the innermost first. Raises as `check_empty`.

    exist_ok: whether it may be there, empty. If not, one of several that try at once gets it.
    """
    with writing(folder):
        check_empty(folder, beginning)
        made = [path for path in (folder, *folder.parents) if not path.exists()]
        try:
            folder.mkdir(parents=True, exist_ok=exist_ok)
            sync_new(made)
        except FileExistsError as error:
            what = "a link that leads nowhere" if not folder.exists() else "there already"
            raise TakenError(f"{folder} is {what}; give another folder with --out") from error
    return made


def check_empty(folder: Path, beginning: Container[str]) -> None:
    """Raises TakenError unless a run can begin there. beginning: names that a killed beginning leaves."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise TakenError(f"{folder} is a file; give another folder with --out")
    names = {path.name for path in folder.iterdir()}
    left = all(name == LOCK or name in beginning or name.endswith(PART) for name in names)
    if names and not (LOCK in names and left):
        raise TakenError(
            f"{folder} is not empty; give another folder with --out, or resume with: dartboard resume {folder}"
        )
