"""What a folder holds that is no single run. Importing this imports no torch."""

from pathlib import Path

from dartboard.runs.run import CONFIG
from dartboard.studies.comparison_folder import is_comparison
from dartboard.studies.rank_folder import is_ranking
from dartboard.studies.selection import is_selection
from dartboard.studies.study import is_study

WHY_SETTINGS = "settings.json"  # of a study by `dartboard why`


def is_why(folder: Path) -> bool:
    """Whether a folder holds the study of a search by `dartboard why`."""
    try:
        return (folder / WHY_SETTINGS).is_file() and not (folder / CONFIG).exists()
    except (OSError, ValueError):
        return False


def is_several(folder: Path) -> bool:
    """Whether a folder holds a study, a selection, a comparison or a ranking, which are no single run."""
    return any(is_one(folder) for is_one in (is_study, is_selection, is_why, is_comparison, is_ranking))
