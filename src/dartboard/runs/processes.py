"""Worker processes of this machine: started when there is work for them; each sends what it says and its results."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from dartboard.runs.worker import Event

END_S = 10.0  # a worker that sends nothing any more has this long to end
BEGIN = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from dartboard.runs.worker import main; main(int(sys.argv[2]))"
)


@dataclass
class Worker:
    """A worker process. index: of the piece that it works on, or None."""

    process: "subprocess.Popen[bytes]"
    link: Connection
    index: int | None = None


class Processes:
    """Up to `size` worker processes of this machine, started when there is work for them."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.workers: list[Worker] = []

    def has_room(self) -> bool:
        return len(self.workers) < self.size or any(worker.index is None for worker in self.workers)

    def send(self, index: int, order: Mapping[str, Any]) -> None:
        free = [worker for worker in self.workers if worker.index is None]
        if not free:
            free = [start_worker()]
            self.workers += free
        free[0].index = index
        write(free[0].link, order)

    def events(self, wait_s: float) -> list[Event]:
        ready = wait([worker.link for worker in self.workers], wait_s)
        found = (self.read(worker) for worker in list(self.workers) if worker.link in ready)
        return [event for event in found if event is not None]

    def read(self, worker: Worker) -> Event | None:
        """What a worker sent; a worker that has ended is one no more, and an event if it was at work."""
        try:
            message = json.loads(worker.link.recv_bytes())
        except (EOFError, OSError):
            self.workers.remove(worker)
            return None if worker.index is None else Event(worker.index, died=ending_of(worker))
        assert worker.index is not None
        event = Event(worker.index, **message)
        worker.index = worker.index if event.ended is None else None
        return event

    def stop(self) -> None:
        for worker in self.workers:
            write(worker.link, {"stop": True})

    def kill(self) -> None:
        for worker in self.workers:
            worker.process.kill()
        for worker in self.workers:
            ending_of(worker)
        self.workers = []


def start_worker() -> Worker:
    """A new worker process, in a session of its own: Ctrl-C on the terminal is for this process alone."""
    here, there = socket.socketpair()
    with there:
        path = json.dumps([os.getcwd() if entry == "" else entry for entry in sys.path])
        words = [sys.executable, "-c", BEGIN, path, str(there.fileno())]
        fds, nothing = (there.fileno(),), subprocess.DEVNULL
        process = subprocess.Popen(words, pass_fds=fds, start_new_session=True, stdin=nothing, stdout=nothing)
    return Worker(process, Connection(here.detach()))


def write(link: Connection, message: Mapping[str, Any]) -> None:
    """Sends a message. A worker that has ended meanwhile does not read it: `Processes.events` says so."""
    with suppress(BrokenPipeError, ConnectionResetError):
        link.send_bytes(json.dumps(message).encode())


def ending_of(worker: Worker) -> str:
    """Waits for a worker that ends; how it did."""
    worker.link.close()
    try:
        code = worker.process.wait(END_S)
    except subprocess.TimeoutExpired:
        worker.process.kill()
        code = worker.process.wait()
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
