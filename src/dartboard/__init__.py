"""dartboard: neural architecture search that a person can run, trust, watch and ship.

The public names are in `__all__`, each imported when first asked for: `import dartboard` alone imports no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from dartboard import formats, networks, spaces
    from dartboard.config import Setup
    from dartboard.data import Data, load_data
    from dartboard.errors import CannotContinueError, InputError, InterruptedRunError
    from dartboard.export.weights import load_foreign, load_network, write_torch
    from dartboard.methods import darts
    from dartboard.report import write_report
    from dartboard.report.drawing import draw
    from dartboard.runs.run import Run
    from dartboard.scoring.cost import count
    from dartboard.scoring.evaluate import accuracy
    from dartboard.spaces.search_space import Architecture, SearchSpace
    from dartboard.training import from_scratch as train
    from dartboard.training.from_scratch import fit

__all__ = [
    "Architecture",
    "CannotContinueError",
    "Data",
    "InputError",
    "InterruptedRunError",
    "Run",
    "SearchSpace",
    "Setup",
    "accuracy",
    "count",
    "darts",
    "draw",
    "fit",
    "formats",
    "load_data",
    "load_foreign",
    "load_network",
    "networks",
    "spaces",
    "train",
    "write_report",
    "write_torch",
]

_MODULES = {
    "darts": "dartboard.methods.darts",
    "formats": "dartboard.formats",
    "networks": "dartboard.networks",
    "spaces": "dartboard.spaces",
    "train": "dartboard.training.from_scratch",
}
_ROOMS = {
    "Architecture": "spaces.search_space",
    "CannotContinueError": "errors",
    "Data": "data",
    "InputError": "errors",
    "InterruptedRunError": "errors",
    "Run": "runs.run",
    "SearchSpace": "spaces.search_space",
    "Setup": "config",
    "accuracy": "scoring.evaluate",
    "count": "scoring.cost",
    "draw": "report.drawing",
    "fit": "training.from_scratch",
    "load_data": "data",
    "load_foreign": "export.weights",
    "load_network": "export.weights",
    "write_report": "report",
    "write_torch": "export.weights",
}

if not TYPE_CHECKING:  # so that a type checker still refuses names that are not there

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return import_module(_MODULES[name])
        if name in _ROOMS:
            return getattr(import_module(f"dartboard.{_ROOMS[name]}"), name)
        raise AttributeError(f"module 'dartboard' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
