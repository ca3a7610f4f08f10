"""What every test gets: fresh printed seeds, no network but loopback, and no leaked threads or tasks."""

import asyncio
import os
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest

KINDS = ("unit", "property", "integration", "conformance", "system")
SEED_VARIABLE = "ALPACA_FOCUS_SEED"
TESTS = Path(__file__).parent
SHARED_DATA = TESTS.parent.parent / "shared" / "data"

hypothesis.settings.register_profile("alpaca-focus", deadline=None, print_blob=True)
hypothesis.settings.load_profile("alpaca-focus")


_SEED = pytest.StashKey[int]()
_COUNTS = pytest.StashKey[Counter[str]]()


def _session_seed(config: pytest.Config) -> int:
    # A worker of xdist has the seed that the header of the whole run tells.
    given = getattr(config, "workerinput", os.environ).get(SEED_VARIABLE)
    return int(given) if given else random.SystemRandom().randrange(2**32)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_SEED] = _session_seed(config)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give a worker of xdist the seed of the run."""
    node.workerinput[SEED_VARIABLE] = node.config.stash[_SEED]


def pytest_report_header(config: pytest.Config) -> str:
    return f"seed: {config.stash[_SEED]} (replay: {SEED_VARIABLE}={config.stash[_SEED]} make test)"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark each test with its kind, which is the folder it stands in, and count them."""
    counts = config.stash[_COUNTS] = Counter()
    for item in items:
        kind = item.path.relative_to(TESTS).parts[0]
        if kind in KINDS:
            item.add_marker(kind)
            counts[kind] += 1


@pytest.fixture
def counts(request: pytest.FixtureRequest) -> Counter[str]:
    """The number of tests of each kind, where the run is of all of them."""
    places = {Path(argument).resolve() for argument in request.config.args}
    if places not in ({TESTS}, {TESTS / kind for kind in KINDS}):
        pytest.skip("only a run of all tests knows how many there are")
    return request.config.stash[_COUNTS]


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """A fresh seed for this test, derived from the session's printed one and the test's name."""
    text = f"{request.config.stash[_SEED]}:{request.node.nodeid}"
    value = random.Random(text).randrange(2**32)
    print(f"seed of this test: {value}")
    return value


@pytest.fixture
def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real measurements, or a skip that says so."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the folder of real measurements (../shared/data) is not here")
    return SHARED_DATA


def _is_loopback(address: Any) -> bool:
    host = address[0] if isinstance(address, tuple) else address
    if not isinstance(host, str):
        return True
    return host in {"localhost", "", "0.0.0.0", "::"} or host.startswith(("127.", "::1", "/", "\0"))  # noqa: S104


@pytest.fixture(autouse=True, scope="session")
def _loopback_only() -> Iterator[None]:
    """Refuse every connection that would leave this machine."""
    real_connect, real_connect_ex, real_sendto = socket.socket.connect, socket.socket.connect_ex, socket.socket.sendto

    def check(address: Any) -> None:
        if not _is_loopback(address):
            raise PermissionError(f"a test tried to reach {address}: tests talk to loopback only")

    class GuardedSocket(socket.socket):
        def connect(self, address: Any) -> None:
            check(address)
            real_connect(self, address)

        def connect_ex(self, address: Any) -> int:
            check(address)
            return real_connect_ex(self, address)

        def sendto(self, data: Any, *args: Any) -> int:
            check(args[-1])
            return real_sendto(self, data, *args)

    original = socket.socket
    socket.socket = GuardedSocket  # type: ignore[misc]
    yield
    socket.socket = original  # type: ignore[misc]


@pytest.fixture(autouse=True)
def _no_leaks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test that leaves a thread running, or a task pending when its `asyncio.run` ends."""
    before = set(threading.enumerate())
    pending: list[str] = []
    cancel_all_tasks = asyncio.runners._cancel_all_tasks  # type: ignore[attr-defined]

    def watched(loop: asyncio.AbstractEventLoop) -> None:
        # A server in a thread of its own may be stopped in the middle of a request; a test's own loop may not.
        if threading.current_thread() is threading.main_thread():
            pending.extend(repr(task) for task in asyncio.all_tasks(loop))
        cancel_all_tasks(loop)

    monkeypatch.setattr(asyncio.runners, "_cancel_all_tasks", watched)
    yield
    deadline = time.monotonic() + 10.0
    leaked = [thread for thread in threading.enumerate() if thread not in before]
    while leaked and time.monotonic() < deadline:
        leaked[0].join(0.05)
        leaked = [thread for thread in leaked if thread.is_alive()]
    assert not leaked, f"the test left threads running: {[thread.name for thread in leaked]}"
    assert not pending, f"the test left tasks pending: {pending}"
