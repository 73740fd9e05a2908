"""What a worker does: it works on pieces one after another, and sends back what became of each (workers.py).

A worker process talks to the process that started it through a socket. If that process is gone, however it ended, the
worker saves its piece and ends, too.
"""

import errno
import io
import json
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from dartboard.errors import CannotContinueError, InputError, InterruptedRunError
from dartboard.runs.limits import Limits

GRACE_S = 60.0  # to save a piece after the process that sent it is gone
GONE = (errno.EPIPE, errno.ECONNRESET, errno.EBADF)  # what a socket answers if nobody reads it any more


class DefectError(Exception):
    """A defect of dartboard that a worker met; its notes hold the traceback, or say where it is."""


@dataclass(frozen=True)
class Event:
    """What a worker sent while it was at work on the piece `index`: a line (`said`), or the end of the piece (`ended`,
    as `worker.worked` returns it); or how the worker ended without one (`died`)."""

    index: int
    said: str | None = None
    ended: str | None = None
    died: str | None = None


# --- One piece --------------------------------------------------------------------------------------------------------


def named(function: str) -> Callable[..., Any]:
    """The function that "package.module:name" names."""
    module, _, name = function.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found


def use_threads(threads: int | None) -> None:
    """Makes torch compute with this number of CPU threads; None changes nothing."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def worked(order: Mapping[str, Any], limits: Limits) -> str:
    """Works on a piece. Returns JSON: {"result": ...}, or {"error": ...} for `as_error`.

    order: `function`, its arguments `piece`, `threads`, and `sees`, a folder that must be there, or None.
    """
    try:
        check_sees(order["sees"])
        use_threads(order["threads"])
        return json.dumps({"result": named(order["function"])(**order["piece"], limits=limits)})
    except (Exception, KeyboardInterrupt) as error:
        return json.dumps({"error": as_fields(error)})


def check_sees(folder: str | None) -> None:
    """Raises InputError if this machine does not see a folder."""
    if folder is not None and not os.path.isdir(folder):
        text = f"a worker on {socket.gethostname()} does not see the folder {folder}"
        raise InputError(f"{text}; put it on a file system that all machines of the cluster share, at the same path")


def as_fields(error: BaseException) -> dict[str, Any]:
    """An error as JSON holds it."""
    text = str(error)
    if isinstance(error, InputError | CannotContinueError):
        return {"kind": "input" if isinstance(error, InputError) else "stopped", "text": text}
    if isinstance(error, InterruptedRunError | KeyboardInterrupt):
        return {"kind": "interrupted", "text": text, "code": getattr(error, "exit_code", 130)}
    if isinstance(error, OSError) and error.errno is not None:
        name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else None
        return {"kind": "system", "errno": error.errno, "text": error.strerror or text, "file": name}
    notes = getattr(error, "__notes__", ()) or ("".join(traceback.format_exception(error)),)
    return {"kind": "defect", "text": f"{type(error).__name__}: {text}", "notes": list(notes)}


def as_error(fields: Mapping[str, Any]) -> Exception:
    """The error that `as_fields` has written."""
    kind, text = fields["kind"], fields["text"]
    if kind == "input":
        return InputError(text)
    if kind == "stopped":
        return CannotContinueError(text)
    if kind == "interrupted":
        return InterruptedRunError(text, fields["code"])
    if kind == "system":
        return OSError(fields["errno"], text, fields["file"])
    error = DefectError(text)
    for note in fields["notes"]:
        error.add_note(note)
    return error


# --- A worker process -------------------------------------------------------------------------------------------------


class Link:
    """The socket to the process that sends the work; several threads may send."""

    def __init__(self, descriptor: int) -> None:
        self.connection, self.lock = Connection(descriptor), threading.Lock()

    def send(self, message: Mapping[str, Any]) -> None:
        """Sends a message. If nobody reads it, nothing: `listen` ends the worker then."""
        try:
            with self.lock:
                self.connection.send_bytes(json.dumps(message).encode())
        except OSError as error:
            if error.errno not in GONE:
                raise

    def receive(self) -> dict[str, Any] | None:
        """The next message; None if the other process is gone."""
        try:
            found: dict[str, Any] = json.loads(self.connection.recv_bytes())
        except (EOFError, OSError):
            return None
        return found


class Said(io.TextIOBase):
    """A standard output whose lines are sent to the process that sends the work."""

    def __init__(self, link: Link) -> None:
        self.link, self.rest = link, ""

    def write(self, text: str) -> int:
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            self.link.send({"said": line})
        return len(text)


def main(descriptor: int) -> None:
    """Works on what comes through the socket until it is closed."""
    os.set_inheritable(descriptor, False)  # what this process starts, such as a compiler, does not hold it open
    link = Link(descriptor)
    orders: SimpleQueue[tuple[dict[str, Any], Limits] | None] = SimpleQueue()
    threading.Thread(target=listen, args=(link, orders), daemon=True).start()
    while (order := orders.get()) is not None:
        message, limits = order
        sys.argv[:] = message["argv"]  # a run records the command that was typed
        with redirect_stdout(Said(link)):
            text = worked(message, limits)
        link.send({"ended": text})


def listen(link: Link, orders: "SimpleQueue[tuple[dict[str, Any], Limits] | None]") -> None:
    """Puts the pieces that come into the queue, and notes in the limits of the latest when it has to stop."""
    limits = Limits()
    while (message := link.receive()) is not None:
        if message.get("stop"):
            limits.caught = signal.SIGTERM
        else:
            limits = Limits(message["seconds"])
            orders.put((message, limits))
    limits.caught = signal.SIGTERM
    orders.put(None)
    time.sleep(GRACE_S)
    os._exit(128 + signal.SIGTERM)
