"""What every test stands on: one thread, a cache of its own, the reference files, and no state left behind.

Tests that make modules without a generator of their own draw from torch's global generator; they ask for the fixture
`global_rng`, which seeds it and puts it back. A test that leaves it, or the default dtype, changed fails.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no failure, so no deadline; tests of speed say so. The examples are the same every time: what was
# green stays green on an unchanged tree. `make test-slow` draws new ones; each that failed stays as an @example.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("new-examples", deadline=None)
settings.load_profile("repeatable")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported; processes that tests start inherit it
ROOT = Path(__file__).resolve().parent.parent
REFERENCE = Path(os.environ.get("DARTBOARD_REFERENCE") or ROOT / "../shared").resolve()


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """XDG_CACHE_HOME is a folder of the tests, also for the processes they start."""
    folder = tmp_path_factory.mktemp("cache")
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(folder)
    yield folder
    if before is None:
        del os.environ["XDG_CACHE_HOME"]
    else:
        os.environ["XDG_CACHE_HOME"] = before


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder with METHODS.md and reference/; skips the test where it is absent."""
    if not (REFERENCE / "reference").is_dir():
        pytest.skip("no reference files; set DARTBOARD_REFERENCE to their folder")
    return REFERENCE


def torch_state() -> tuple[bytes, str, int] | None:
    """Global random state, default dtype and thread count of torch, or None where it is not imported."""
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "get_rng_state"):
        return None
    return torch.get_rng_state().numpy().tobytes(), str(torch.get_default_dtype()), torch.get_num_threads()


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fails a test that leaves torch's global state changed."""
    before = torch_state()
    yield
    after = torch_state()
    if before is None or after is None:
        return
    if before[0] != after[0]:
        pytest.fail("the test moved torch's global random state; use a generator, or the fixture global_rng")
    if before[1:] != after[1:]:
        pytest.fail(f"the test left default dtype and threads {after[1:]}, found {before[1:]}; put them back")


@pytest.fixture
def global_rng() -> Iterator[None]:
    """torch's global generator, seeded with 0 for the test and put back afterwards."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield
