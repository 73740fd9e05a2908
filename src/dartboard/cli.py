"""The command line: which command, and errors as one line on stderr with an exit code (docs/commands.md)."""

import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from types import FrameType

from dartboard import __version__
from dartboard.errors import CannotContinueError, InputError, InterruptedRunError, unknown
from dartboard.runs.atomic_files import FULL, failing
from dartboard.runs.limits import Terminated

# command -> (its file in commands/, what it does)
COMMANDS = {
    "search": ("search", "search an architecture:  dartboard search darts --data digits"),
    "resume": ("resume", "resume a stopped run:  dartboard resume RUN"),
    "train": ("train", "train an architecture from scratch:  dartboard train RUN_OR_FILE_OR_NAME --data digits"),
    "evaluate": ("evaluate", "score trained weights on the test images:  dartboard evaluate RUN_OR_WEIGHTS"),
    "transfer": ("transfer", "does a cell found on A work on B:  dartboard transfer --a digits --b digits-rotated"),
    "compare": ("compare", "methods at equal cost:  dartboard compare --methods random_search --truth FILE ..."),
    "show": ("show", "a cell as text, picture and counts:  dartboard show DARTS_V2 --image cell.svg"),
    "why": ("why", "why a search's cell performs as it does:  dartboard why RUN"),
    "rank": ("rank", "how well a search's shared weights rank:  dartboard rank RUN --truth FILE"),
    "specialise": ("specialise", 'the best network under limits:  dartboard specialise RUN --limit "macs<=40M"'),
    "front": ("front", "accuracy against cost of a supernet's networks:  dartboard front RUN"),
    "latency": ("latency", "what networks take on this device:  dartboard latency build --space bignas-32"),
    "explain": ("explain", "how a method works, in steps, equations and cost:  dartboard explain darts"),
    "report": ("report", "write the page over one run or several:  dartboard report RUN..."),
    "export": ("export", "an architecture in another notation:  dartboard export RUN_OR_NAME --to quark0"),
    "list": ("listing", "what there is:  dartboard list methods|spaces|data|architectures"),
}

MAX_LINE = 700  # characters of an error


def main(words: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0, 1, 2, 3, 130 or 143."""
    words = list(sys.argv[1:] if words is None else words)
    prepare_outputs()
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        code = run_command(words)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader of our output has left, as in `dartboard list | head`
        return silenced(0)
    except OSError as error:
        return silenced(print_error(f"dartboard: cannot write: {error.strerror}; make room", 3))
    finally:
        signal.signal(signal.SIGTERM, before)


def prepare_outputs() -> None:
    """Makes printing safe: what is closed leads nowhere, and letters that an encoding lacks are written as \\xe4."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def silenced(code: int) -> int:
    """The code, with the rest of our output thrown away: it could not be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return code


def terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated


def run_command(words: Sequence[str]) -> int:
    """Runs a command, prints its errors, and returns the exit code."""
    try:
        dispatch(words)
        return 0
    except InputError as error:
        return print_error(f"dartboard: {error}", 2)
    except CannotContinueError as error:
        return print_stop(error, 3)
    except InterruptedRunError as error:
        return print_stop(error, error.exit_code)
    except KeyboardInterrupt:
        return print_error("dartboard: stopped by Ctrl-C", 130)
    except Terminated:
        return print_error("dartboard: stopped by SIGTERM", 143)
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else 0
    except Exception as error:
        if isinstance(error, BrokenPipeError) or (isinstance(error, OSError) and error.errno in FULL):
            raise
        if (reason := surroundings(error)) is not None:
            return print_error(f"dartboard: {reason}", 2)
        text = f"dartboard: a defect of dartboard, {type(error).__name__}: {error}"
        return print_error(f"{text}; {traceback_place(error)}", 1)


def surroundings(error: Exception) -> str | None:
    """What in the surroundings caused an error that nothing else handles, in a line; None: a defect of dartboard."""
    if not isinstance(error, FileNotFoundError):
        return failing(error)
    try:
        os.getcwd()
    except OSError:
        return "the current folder no longer exists; cd to one that does"
    try:
        tempfile.gettempdir()
    except OSError:
        return "there is no folder for temporary files; set TMPDIR to one that can be written to"
    return None


def dispatch(words: Sequence[str]) -> None:
    """Runs the command that the first word names."""
    if any("\0" in word for word in words):
        raise InputError("a word contains a NUL character, which no name may contain; remove it")
    if not words:
        return print(first_steps())
    if words[0] in ("--help", "-h", "help"):
        return print(usage())
    if words[0] in ("--version", "-V"):
        return print(versions())
    if words[0] not in COMMANDS:
        raise unknown("flag" if words[0].startswith("-") else "command", words[0], [*COMMANDS, "--help", "--version"])
    command = import_module(f"dartboard.commands.{COMMANDS[words[0]][0]}")
    command.execute(list(words[1:]))


def print_error(message: str, code: int) -> int:
    """Prints one line on stderr, whatever the message holds: nothing in it moves the cursor, and it has an end."""
    line = " ".join(message.split())
    line = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)
    print(
        line if len(line) <= MAX_LINE else f"{line[: MAX_LINE // 2]} ... {line[-MAX_LINE // 2 :]}",
        file=sys.stderr,
        flush=True,
    )
    return code


def print_stop(error: Exception, code: int) -> int:
    """Prints one line on stderr; if a program reads stdout, the command that resumes also goes there."""
    print_error(f"dartboard: {error}", code)
    _, found, command = str(error).partition("dartboard resume ")
    if found and not sys.stdout.isatty():
        print(found + command, flush=True)
    return code


def traceback_place(error: BaseException) -> str:
    """Where the traceback is: in the run folder if a run was at work, else in a file of its own."""
    for note in getattr(error, "__notes__", ()):
        if note.startswith("traceback in "):
            return str(note)
    text = "".join(traceback.format_exception(error)).encode(errors="backslashreplace")
    try:
        with tempfile.NamedTemporaryFile(prefix="dartboard-traceback-", suffix=".txt", delete=False) as file:
            file.write(text)
    except OSError as failure:
        return f"the traceback could not be written to a file ({failure.strerror})"
    return f"traceback in {file.name}"


def first_steps() -> str:
    return """Nothing to do yet. Type one of these first:

  dartboard search darts --data digits      find a cell on 1,797 small images that come with dartboard; minutes
  dartboard show DARTS_V2                   look at a published cell
  dartboard --help                          all commands"""


def usage() -> str:
    lines = [f"  {name:11}{about}" for name, (_, about) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: dartboard COMMAND ...     neural architecture search that a person can run, trust, watch and ship",
            "",
            *lines,
            "",
            "dartboard COMMAND --help lists a command's flags, dartboard --version the versions.",
            "Exit codes: 0 done, 2 wrong input, 3 could not continue, 130 and 143 stopped and saved, "
            "1 a defect of dartboard.",
        ]
    )


def versions() -> str:
    """Versions of dartboard, Python and torch, and the device that `--device auto` takes."""
    import platform

    import torch

    from dartboard.devices import device_name, pick_device

    device = pick_device("auto")
    return (
        f"dartboard {__version__}\npython {platform.python_version()}\ntorch {torch.__version__}\n"
        f"device {device.type} ({device_name(device)})"
    )
