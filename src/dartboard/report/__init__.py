"""Pictures of architectures, and one self-contained page over one or several runs. Nothing here imports torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class HasFolder(Protocol):
    """A run, or anything else that has a run folder."""

    @property
    def folder(self) -> Path: ...


def write_report(folders: Sequence[Path | str | HasFolder], out: Path | str | None = None) -> Path:
    """Write one HTML page over the given run folders (or runs) and return its path.

    Without `out` the page of one run is `report.html` in its folder, the page of several `report.html` in the folder
    that contains them all. Raises InputError if a folder is missing or is not a run, or the page cannot be written.
    """
    from dartboard.report.page import write  # draws: loads matplotlib and Graphviz, so only if a page is written

    paths = [Path(item) if isinstance(item, str | Path) else item.folder for item in folders]
    return write(paths, None if out is None else Path(out))


def write_gif(folder: Path | str | HasFolder, out: Path | str | None = None) -> Path:
    """Write the relaxed cells of a search over its epochs as an animated GIF and return its path.

    A search that continues another one shows both, with the swap marked. Without `out` it is `report.gif` in the
    folder. Raises InputError if the folder is not a search with an epoch, or the file cannot be written.
    """
    from dartboard.report import animation
    from dartboard.report.chain import chain_of, joined
    from dartboard.report.facts import read_facts

    path = Path(folder) if isinstance(folder, str | Path) else folder.folder
    place = path / "report.gif" if out is None else Path(out)
    return animation.write_gif(joined(chain_of(read_facts(path))), place, named=out is not None)
