"""The devices to compute on, and their memory: what is free, what a process has taken at most. Free memory of the CPU
needs no torch."""

import os
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dartboard.errors import InputError

if TYPE_CHECKING:
    import torch

STATUS, MEMINFO, CLEAR = Path("/proc/self/status"), Path("/proc/meminfo"), Path("/proc/self/clear_refs")
GROUP = Path("/sys/fs/cgroup")  # of version 2; in a container, the container's own


def pick_device(name: str) -> "torch.device":
    """The torch device of auto, cpu, cuda or mps. Raises InputError if it is not there."""
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(device for device, is_there in there.items() if is_there))
    if not there.get(name, False):
        raise InputError(f"--device {name} is not available; use --device cpu, or install a torch for your device")
    return torch.device(name)


def device_name(device: "torch.device") -> str:
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return processor() if device.type == "cpu" else "Apple GPU"


def processor() -> str:
    """The processor's name, if the system gives it."""
    import platform

    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def free_bytes(device: "torch.device | None" = None) -> int:
    """Bytes that this process can still take, on the host or (cuda) on the GPU: the least of what the system, the
    control group and the process's own limit leave."""
    if device is not None and device.type == "cuda":
        import torch

        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + unused
    return max(0, min(free_of_system(), free_of_group(), free_of_limit()))


def free_of_system() -> int:
    """What the kernel says can be had without swapping; of other systems all the memory there is."""
    if MEMINFO.exists():
        return kibibytes(MEMINFO, "MemAvailable")
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def free_of_group() -> int:
    """What a limit of the control group leaves, with files cached in memory counted as free."""
    try:
        limit = (GROUP / "memory.max").read_text().strip()
        taken = int((GROUP / "memory.current").read_text())
        kept = dict(line.split() for line in (GROUP / "memory.stat").read_text().splitlines())
        return int(limit) - taken + int(kept.get("inactive_file", 0)) if limit != "max" else sys.maxsize
    except (OSError, ValueError):
        return sys.maxsize


def free_of_limit() -> int:
    """What the limit of this process's address space leaves (`ulimit -v`)."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY or not STATUS.exists():
        return sys.maxsize
    return limit - kibibytes(STATUS, "VmSize")


def kibibytes(file: Path, name: str) -> int:
    """Bytes of a line "Name:   123 kB"."""
    return next(int(line.split()[1]) * 1024 for line in file.read_text().splitlines() if line.startswith(f"{name}:"))


def resident_bytes() -> int:
    """What this process holds in memory now; if the system does not say, the most it ever held."""
    return kibibytes(STATUS, "VmRSS") if STATUS.exists() else peak_bytes()


def peak_bytes() -> int:
    """The most that this process held in memory at once, since it began or since `forget_peak`."""
    if STATUS.exists():
        return kibibytes(STATUS, "VmHWM")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def forget_peak() -> None:
    """Lets `peak_bytes` count from what is held now; if the system cannot do that, it continues to count."""
    try:
        CLEAR.write_text("5")
    except OSError:
        return


def in_words(num_bytes: float) -> str:
    """850 MB, 3.2 GB (1 GB = 10^9 bytes)."""
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.0f} MB"
