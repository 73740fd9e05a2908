"""Memory that a step frees is there for the next one, and is given back at the end: page faults counted, not timed."""

import resource
import sys

import pytest
import torch

from dartboard.runs import allocator
from dartboard.runs.allocator import reused_memory

MEGABYTE = 2**20
pytestmark = pytest.mark.skipif(allocator.glibc() is None, reason="no glibc: nothing to set")


def faults_of_a_step() -> int:
    """Pages that the system must hand out while a step's worth of tensors is made and freed."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(3):
        tensors = [torch.ones(10 * MEGABYTE) for _ in range(2)]  # 40 MB each, beyond what glibc keeps of itself
        del tensors
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def resident() -> int:
    """Bytes of this process in memory now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


@pytest.mark.skipif(sys.platform != "linux", reason="counts pages of Linux")
def test_a_step_asks_the_system_for_no_page_that_the_step_before_had_freed() -> None:
    with reused_memory():
        pages = [faults_of_a_step() for _ in range(8)]
    assert pages[0] > 10000  # 40 MB are 10000 pages
    assert min(pages) < 500


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_is_free_is_given_back_at_the_end() -> None:
    with reused_memory():
        faults_of_a_step()
        during = resident()
    assert during - resident() > 60 * MEGABYTE


def test_it_ends_with_an_error_as_without(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyError), reused_memory():
        raise KeyError
    monkeypatch.setattr(allocator, "glibc", lambda: None)  # another C library
    with reused_memory():
        pass
