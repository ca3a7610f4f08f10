"""The OpenAPI description is true: drawn requests, good and bad ones, are answered as it says, and never with 5xx."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.core.failures import FailureGroup

from alpaca_focus.simulator.observatory import Observatory
from alpaca_focus.web.pages import unguarded
from tests.mutations import SOAK_VARIABLE
from tests.running_daemon import RunningDaemon
from tests.web_night import Page

EXAMPLES = max(10, int(os.environ.get(SOAK_VARIABLE) or 0) // 100)
ENDLESS = "/api/v1/events"
DESCRIBED: dict[str, Any] = unguarded(Page(Path()).night).openapi()
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, methods in sorted(DESCRIBED["paths"].items())
    for method, operation in methods.items()
    if path != ENDLESS
}
CASES = [
    (name, mode)
    for name, operation in OPERATIONS.items()
    for mode in GenerationMode
    # Where nothing is asked for nothing can be wrong.
    if mode is GenerationMode.POSITIVE or operation.keys() & {"parameters", "requestBody"}
]

load_all_checks()


@pytest.fixture
def daemon(observatory_with: Callable[..., Observatory], tmp_path: Path) -> Iterator[RunningDaemon]:
    """One that has a run to tell of."""
    with RunningDaemon.of(observatory_with(), tmp_path).running() as running:
        running.until("/api/v1/status", lambda told: told.get("looks"))
        running.command("refocus")
        running.until("/api/v1/run", lambda run: run["outcome"])
        yield running


def test_answers_are_as_described(daemon: RunningDaemon, seed: int) -> None:
    described = schemathesis.openapi.from_dict(DESCRIBED)
    wrong = []
    for name, mode in CASES:
        method, path = name.split(" ")
        strategy = described[path][method].as_strategy(generation_mode=mode)
        wrong += [f"{name}, {mode.value}: {each}" for each in failures_of(strategy, daemon.port, seed)]
    assert not wrong, "\n\n".join(wrong)


def failures_of(strategy: Any, port: int, seed: int) -> list[str]:
    """Draw requests, send them, and return what the answers have that the description does not."""

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(strategy)
    def answered(case: Any) -> None:
        case.call_and_validate(base_url=f"http://127.0.0.1:{port}", timeout=20)

    try:
        answered()
    except FailureGroup as failures:
        return [str(each) for each in failures.exceptions]
    return []
