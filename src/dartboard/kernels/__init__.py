"""The mixed cell's compiled kernels: built by the machine's own C++ compiler on first use, kept in the cache folder.

Without a compiler, or with DARTBOARD_KERNELS=0 in the environment, the same function is computed in pure torch.
"""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import torch

from dartboard.data.layouts import cache_folder
from dartboard.durable import replace_file
from dartboard.errors import CannotContinueError, InputError

SOURCE = Path(__file__).with_name("cell.cpp")
SWITCH = "DARTBOARD_KERNELS"
REALS = {torch.float32: "float", torch.float64: "double"}
FLAGS = ("-O3", "-std=c++17", "-shared", "-fPIC", "-fno-math-errno", "-fno-trapping-math")
# The first set of further flags that the compiler takes: for this processor, with OpenMP; then without the one or both.
FURTHER = (("-march=native", "-fopenmp"), ("-march=native",), ("-fopenmp",), ())
COMPILE_LIMIT_S = 300.0


def available(dtype: torch.dtype = torch.float32) -> bool:
    """Whether the compiled kernels can be used for this number format; builds them at the first call."""
    return dtype in REALS and library(dtype) is not None


def library(dtype: torch.dtype) -> ctypes.CDLL | None:
    """The kernels for float32 or float64; None where they are switched off or cannot be built."""
    return None if os.environ.get(SWITCH) == "0" else built(REALS[dtype])


def why_not() -> str | None:
    """In words why the kernels are not used; None where they are."""
    if hindrance() is None and not available():
        return f"{compiler()} could not build them"
    return hindrance()


def hindrance() -> str | None:
    """Why nothing is to be built; None where it can be tried. Builds nothing."""
    if os.environ.get(SWITCH) == "0":
        return f"switched off by {SWITCH}=0"
    return None if compiler() else "no C++ compiler found (g++, clang++, c++ or $CXX)"


@cache
def compiler() -> str | None:
    names = [os.environ.get("CXX", ""), "g++", "clang++", "c++"]
    return next((found for name in names if name and (found := shutil.which(name))), None)


@cache
def built(real: str) -> ctypes.CDLL | None:
    """Compiles, or takes what an earlier process compiled for this source, compiler and processor."""
    program = compiler()
    if program is None:
        return None
    for further in FURTHER:
        flags = (*FLAGS, *further, f"-DREAL={real}")
        try:
            return ctypes.CDLL(str(compiled(program, flags)))
        except (OSError, subprocess.SubprocessError, InputError, CannotContinueError):
            continue
    return None


def compiled(program: str, flags: tuple[str, ...]) -> Path:
    """The shared library, built if it is not whole in the cache. Raises OSError, SubprocessError."""
    facts = (SOURCE.read_bytes(), program, flags, platform.machine(), processor())
    target = folder() / (hashlib.sha256(repr(facts).encode()).hexdigest()[:24] + ".so")
    if not whole(target):
        with tempfile.TemporaryDirectory(dir=target.parent) as beside:
            result = Path(beside) / target.name
            words = [program, *flags, str(SOURCE), "-o", str(result)]
            subprocess.run(words, check=True, capture_output=True, timeout=COMPILE_LIMIT_S)
            replace_file(digest_of(target), hashlib.sha256(result.read_bytes()).hexdigest())
            os.replace(result, target)
    return target


def digest_of(library: Path) -> Path:
    return library.with_suffix(".sha256")


def whole(library: Path) -> bool:
    """Whether the library is there, as it was written (loading a torn one would end the process)."""
    try:
        wanted = digest_of(library).read_text(encoding="ascii").strip()
        return hashlib.sha256(library.read_bytes()).hexdigest() == wanted
    except (OSError, ValueError):
        return False


def folder() -> Path:
    """Where compiled kernels are kept: the cache folder, else a folder of this process's own."""
    place = cache_folder() / "kernels"
    try:
        place.mkdir(parents=True, exist_ok=True)
        return place if os.access(place, os.W_OK) else own_folder()
    except OSError:
        return own_folder()


@cache
def own_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="dartboard-kernels-"))


def processor() -> str:
    """What -march=native depends on, so that a home shared between machines does not mix them up."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return "".join(line for line in lines if line.startswith(("flags", "Features", "model name")))[:8000]
