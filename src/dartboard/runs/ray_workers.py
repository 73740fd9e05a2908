"""Workers of a Ray cluster: of one that is started on this machine, or of one that is there. Needs the extra `ray`.

Ray is told to send no usage statistics and to start no dashboard. One that starts here asks for a token by itself.
"""

import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from dartboard.errors import CannotContinueError, InputError
from dartboard.runs.limits import Limits
from dartboard.runs.worker import Event, worked

HERE = "ray"  # the word for a cluster on this machine
PORT = 10001  # of a cluster's server for clients, if none is given
CONNECT_S = 5.0
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_DEDUP_LOGS": "0"}


class Actor:
    """A worker of a cluster. `stop` is called while `work` is at work, or before; nothing is sent after it."""

    def __init__(self) -> None:
        self.limits, self.stopped = Limits(), False

    def work(self, order: Mapping[str, Any]) -> str:
        """Works on a piece; returns as `worker.worked`."""
        self.limits = Limits(order["seconds"])
        if self.stopped:
            self.limits.caught = signal.SIGTERM
        return worked(order, self.limits)

    def stop(self) -> None:
        self.stopped = True
        self.limits.caught = signal.SIGTERM


@dataclass
class RayWorker:
    """A worker of a cluster. index, reference: of the piece that it works on, or None."""

    actor: Any
    index: int | None = None
    reference: Any = None


class RayActors:
    """As many workers as the cluster has room for, by the CPU threads, or the GPU, that each takes."""

    def __init__(self, address: str, threads: int, gpu: bool) -> None:
        """address: "ray", or "ray://HOST[:PORT]". Raises InputError if Ray or the cluster is not there."""
        with handler_put_back():
            self.ray = connected(address)
        try:
            check_version(self.ray, address)
            machines = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
            self.size = places(machines, threads, gpu)
        except InputError:
            self.ray.shutdown()
            raise
        options = {"max_concurrency": 2, "num_cpus": threads, **({"num_gpus": 1} if gpu else {})}
        self.make = self.ray.remote(**options)(Actor)
        self.workers: list[RayWorker] = []

    def has_room(self) -> bool:
        return len(self.workers) < self.size or any(worker.index is None for worker in self.workers)

    def send(self, index: int, order: Mapping[str, Any]) -> None:
        free = [worker for worker in self.workers if worker.index is None]
        if not free:
            free = [RayWorker(self.make.remote())]
            self.workers += free
        free[0].index = index
        free[0].reference = free[0].actor.work.remote(dict(order))

    def events(self, wait_s: float) -> list[Event]:
        at_work = {worker.reference: worker for worker in self.workers if worker.index is not None}
        if not at_work:
            return []
        try:
            ready, _ = self.ray.wait(list(at_work), timeout=wait_s)
        except ConnectionError as error:
            raise CannotContinueError(f"the cluster is lost: {error}") from error
        return [self.read(at_work[reference]) for reference in ready]

    def read(self, worker: RayWorker) -> Event:
        """The end of a piece; a worker that has ended is one no more."""
        index, reference = worker.index, worker.reference
        assert index is not None
        worker.index = worker.reference = None
        try:
            return Event(index, ended=self.ray.get(reference))
        except self.ray.exceptions.RayActorError:
            self.workers.remove(worker)
            return Event(index, died="was killed, or its machine is gone")

    def stop(self) -> None:
        for worker in self.workers:
            worker.actor.stop.remote()

    def kill(self) -> None:
        for worker in self.workers:
            self.ray.kill(worker.actor)
        self.workers = []
        self.ray.shutdown()


@contextmanager
def handler_put_back() -> Iterator[None]:
    """SIGTERM means afterwards what it did: Ray installs a handler of its own."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)


def check_cluster(address: str) -> None:
    """Raises InputError if Ray is not installed, or if nothing answers at an address. Connects with no cluster."""
    if find_spec("ray") is None:
        raise InputError(f"--workers {address} needs Ray; install it with: pip install 'dartboard[ray]'")
    if address != HERE:
        reachable(address)


def connected(address: str) -> Any:
    """Ray, connected with a cluster. Raises InputError."""
    check_cluster(address)
    os.environ.update(QUIET)
    import ray

    if ray.is_initialized():
        raise InputError("this process is already connected with a Ray cluster; call ray.shutdown() first")
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if address == HERE:
            cores = os.cpu_count() or 1
            ray.init("local", num_cpus=cores, include_dashboard=False, _node_ip_address="127.0.0.1", **quiet)
        else:
            ray.init(reachable(address), **quiet)
    except Exception as error:  # Ray raises errors of many kinds, and plain ones
        hint = "start a cluster, or, if it asks for a token, set RAY_AUTH_MODE=token"
        raise InputError(f"--workers {address}: {str(error)[:200]}; {hint}") from error
    return ray


def reachable(address: str) -> str:
    """The address with its port, if something answers there. Raises InputError."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or port.endswith("]"):
        host, port = address.removeprefix("ray://"), str(PORT)
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_S).close()
    except (OSError, OverflowError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        hint = "start one with: ray start --head"
        raise InputError(f"--workers {address}: no cluster answers at {host}, port {port} ({why}); {hint}") from error
    return f"ray://{host}:{port}"


def version() -> str:
    """The version of dartboard, where this is called."""
    from dartboard import __version__

    return __version__


def check_version(ray: Any, address: str) -> None:
    """Raises InputError if the machines of a cluster have no dartboard, or another one."""
    if address == HERE:
        return
    try:
        found = ray.get(ray.remote(num_cpus=0)(version).remote())
    except (ImportError, AttributeError, ray.exceptions.RayError):
        found = "none, or one without workers"
    if found != version():
        text = f"--workers {address}: dartboard here is {version()}, that of the cluster is {found}"
        raise InputError(f"{text}; install the same version on each of its machines")


def places(machines: Sequence[Mapping[str, float]], threads: int, gpu: bool) -> int:
    """How many workers the machines of a cluster have room for, each on one machine. Raises InputError if none."""
    found = 0
    for resources in machines:
        cpus, gpus = int(resources.get("CPU", 0.0)), int(resources.get("GPU", 0.0))
        found += min(cpus // threads, gpus) if gpu else cpus // threads
    if found < 1:
        each = f"{threads} CPU threads{' and a GPU' if gpu else ''}"
        raise InputError(f"the cluster has no machine for a worker, which takes {each}; give fewer --threads")
    return found
