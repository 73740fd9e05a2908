"""The mixed cell's compiled kernels: built by the machine's own C++ compiler on first use, stored in the cache folder.

Without a compiler, or with DARTBOARD_KERNELS=0 in the environment, the same function is computed in pure torch.
"""

import ctypes
import os
import shutil
import sys
from functools import cache
from typing import Any

import torch

from dartboard.kernels import building
from dartboard.kernels.building import BuildError, Library

SWITCH = "DARTBOARD_KERNELS"
REALS = {torch.float32: "float", torch.float64: "double"}
IN_USE: dict[str, Library | str] = {}  # by number format, what this process computes with: a library, or why none


def available(dtype: torch.dtype = torch.float32) -> bool:
    """Whether the compiled kernels can be used for this number format; builds them at the first call."""
    return dtype in REALS and library(dtype) is not None


def library(dtype: torch.dtype) -> ctypes.CDLL | None:
    """The kernels for float32 or float64; None if they are switched off or cannot be built."""
    found = IN_USE[REALS[dtype]] = switched_off() or built(REALS[dtype])
    return None if isinstance(found, str) else found.handle


def why_not() -> str | None:
    """In words why the kernels are not used; None if they are."""
    return None if available() else str(IN_USE["float"])


def hindrance() -> str | None:
    """Why nothing is to be built; None if it can be tried. Builds nothing."""
    return switched_off() or (None if compiler() else "no C++ compiler found (g++, clang++, c++ or $CXX)")


def switched_off() -> str | None:
    return f"switched off by {SWITCH}=0" if os.environ.get(SWITCH) == "0" else None


@cache
def compiler() -> str | None:
    names = [os.environ.get("CXX", ""), "g++", "clang++", "c++"]
    return next((found for name in names if name and (found := shutil.which(name))), None)


@cache
def built(real: str) -> Library | str:
    """Compiles, or takes what an earlier process compiled for this source, compiler and processor; or says why not."""
    program = compiler()
    if program is None:
        return str(hindrance())
    try:
        return building.load(program, real)
    except BuildError as error:
        print(f"mixed cells are computed in pure torch, no compiled kernels: {error}", file=sys.stderr, flush=True)
        return str(error)


def described(precision: str) -> dict[str, Any] | None:
    """The library that this process computes mixed cells of a precision with, or why with none; None: it never did."""
    found = IN_USE.get({"float32": "float", "float64": "double"}.get(precision, ""))  # with bf16 pure torch computes
    if isinstance(found, Library):
        return {"sha256": found.sha256, "compiler": found.compiler, "flags": list(found.flags)}
    return None if found is None else {"sha256": None, "reason": found}
