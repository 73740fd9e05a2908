"""Memory that stays with the process while a loop runs.

A step frees some hundred large tensors and the next one asks for the same sizes again. glibc gives such pieces back to
the system at once, which then fills every page with zeros again: a third of the time of a training step on a CPU.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

# The numbers of glibc's malloc.h; mallopt(3) documents them.
TRIM_THRESHOLD, MMAP_MAX = -1, -4
NEVER = 2**31 - 1


@cache
def glibc() -> ctypes.CDLL | None:
    """The C library if it is glibc, or None; another allocator that is preloaded has its own settings."""
    try:
        library = ctypes.CDLL(None)
        return library if library.mallopt and library.malloc_trim else None
    except (OSError, AttributeError, TypeError):
        return None


@contextmanager
def reused_memory() -> Iterator[None]:
    """While this lasts, freed memory is reused by the next step; afterwards it is returned to the system.

    Changes no result and not the peak. Does nothing if there is no glibc. From the first time on, large pieces come
    from the heap for as long as the process lives.
    """
    library = glibc()
    if library is None:
        yield
        return
    library.mallopt(MMAP_MAX, 0)  # large pieces come from the heap, like small ones
    library.mallopt(TRIM_THRESHOLD, NEVER)  # and its end is not cut off when it is free
    try:
        yield
    finally:
        library.malloc_trim(0)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory is used up: Python's, the GPU's, or the CPU allocator's."""
    words = ("out of memory", "can't allocate memory", "not enough memory", "could not create a primitive")  # oneDNN's
    return isinstance(error, MemoryError) or any(word in str(error) for word in words)
