"""What every test stands on: one thread, a cache of the tests' own, the reference files, and no state left behind.

All processes of a session, its workers and what tests start, compute with kernels that are compiled once: the folder
`kernels` in the cache of each worker is a link to one that the session's first process makes.

Tests that make modules without a generator of their own draw from torch's global generator; they ask for the fixture
`global_rng`, which seeds it and puts it back. A test that leaves it, or the default dtype, changed fails.
"""

import os
import shutil
import sys
import tempfile
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


KERNELS = "DARTBOARD_TESTS_KERNELS"  # in the environment: where the session keeps compiled kernels
made: list[tuple[Path, str, str | None]] = []  # folders of this process, what names them, and what did before


def own_folder(name: str, prefix: str) -> Path:
    """A new folder, named in the environment until the session ends."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    made.append((folder, name, os.environ.get(name)))
    os.environ[name] = str(folder)
    return folder


def pytest_configure() -> None:
    """XDG_CACHE_HOME is a folder of the tests before the first of them is read: reading some compiles kernels."""
    if KERNELS not in os.environ:  # workers inherit it
        own_folder(KERNELS, "dartboard-tests-kernels-")
    cache = own_folder("XDG_CACHE_HOME", "dartboard-tests-cache-") / "dartboard"
    cache.mkdir()
    (cache / "kernels").symlink_to(os.environ[KERNELS])


def pytest_unconfigure() -> None:
    while made:
        folder, name, before = made.pop()
        shutil.rmtree(folder)
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What of the contracts runs in make test-slow: those that search several times on all but a method's first space,
    its further ways on further spaces, all of it on its third space and those after, what is held of the third space of
    a family and those after, and settings that an earlier method has as well."""
    spaces: dict[str, list[str]] = {}
    fields: dict[str, str] = {}
    for item in items:
        values = getattr(getattr(item, "callspec", None), "params", {})
        if {"tried", "way"} <= values.keys():
            tried, way = values["tried"], values["way"]
            known = spaces.setdefault(tried.method, [])
            if tried.space.name not in known:
                known.append(tried.space.name)
            number = known.index(tried.space.name)
            searches_often = "same_seed" in item.name or "stopped_and_gone_on" in item.name
            if number > 1 or (number == 1 and (searches_often or way is not tried.case.ways[0])):
                item.add_marker(pytest.mark.slow)
        elif {"space", "case"} <= values.keys():
            known = spaces.setdefault(f"{values['space'].family}, {item.originalname}", [])  # type: ignore[attr-defined]
            known.append(values["space"].name)
            if len(known) > 2:
                item.add_marker(pytest.mark.slow)
        elif {"tried", "field"} <= values.keys():
            tried, field = values["tried"], values["field"]
            if field in tried.case.changes and fields.setdefault(field, tried.method) != tried.method:
                item.add_marker(pytest.mark.slow)


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


def with_one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """One thread of torch in the test, and as many as before behind it, whatever the test sets."""
    yield from with_one_thread()


@pytest.fixture(scope="module")
def one_thread_throughout() -> Iterator[None]:
    """The same for a module, whose own fixtures compute, too."""
    yield from with_one_thread()
