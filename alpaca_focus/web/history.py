"""The history for the dashboards: read in a thread, once for all of them."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

from alpaca_focus.core.status import as_json, measured_light
from alpaca_focus.core.values import Light
from alpaca_focus.feed.night_curves import Point, thinned
from alpaca_focus.feed.run_progress import finite, progress_of
from alpaca_focus.store.run_store import FILE_NAME, RunStore, SavedRun
from alpaca_focus.web.events import encoded
from alpaca_focus.web.source import NightSource

T = TypeVar("T")

NIGHT = timedelta(hours=24)
MOST_RUNS, MOST_LIGHTS = 300, 5000
FRESH_S = 30.0
"""Temperatures are as old as that at most; runs and lights are always there at once."""
MOST_KEPT = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """A run of the history in one line.

    Attributes:
        value: The metric in the verifying frame.
        duration_s: From the start until the camera was free.
    """

    number: int
    started_at: datetime
    trigger: str
    outcome: str
    reason: str
    filter_name: str | None
    temperature_c: float | None
    start_position: int
    final_position: int | None
    best_position: float | None
    stderr_steps: float | None
    metric: str
    unit: str
    value: float | None
    exposures: int
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NightRefocus:
    """A refocus of the night.

    Attributes:
        at: Seconds since 1970, UTC.
    """

    at: float
    position: int | None
    trigger: str
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NightSoFar:
    """The last 24 hours; at most 1000 points each, with their time in seconds since 1970, UTC.

    Attributes:
        temperature: Degrees Celsius.
        position: Steps.
        refocuses: The oldest first.
        model: Where the focus model expected focus, in steps.
        lights: Half-flux diameter of the light frames, px.
    """

    temperature: list[Point]
    position: list[Point]
    refocuses: list[NightRefocus]
    model: list[Point]
    lights: list[Point]


class HistoryReader:
    """Reads the history of a night.

    Args:
        night: The night.
    """

    def __init__(self, night: NightSource) -> None:
        self._night = night
        self._reading = asyncio.Lock()
        self._kept: dict[str, tuple[object, bytes]] = {}

    async def so_far(self) -> bytes:
        """Return the last 24 hours as JSON."""
        return await self._fresh("night", lambda: encoded(self._so_far()))

    async def runs(self, last: int) -> bytes:
        """Return the latest runs, the newest first, as JSON."""
        return await self._fresh(f"runs {last}", lambda: encoded([summary(run) for run in self._runs(last)]))

    async def lights(self, last: int) -> bytes:
        """Return the latest light frames, the newest first, as JSON."""
        return await self._fresh(
            f"lights {last}", lambda: encoded([measured_light(each) for each in self._lights(last)])
        )

    async def run(self, number: int) -> bytes | None:
        """Return one run as JSON; `None`: there is none of that number."""
        kept = await self._read(partial(self._run, number))
        if kept is None:
            return None
        return encoded(as_json(progress_of(kept.result, number=kept.number, trigger=kept.trigger)))

    async def picture(self, number: int) -> bytes | None:
        """Return a picture of one run's V-curve; `None`: there is no run of that number, or it took no frame."""

        def drawn() -> bytes | None:
            kept = self._run(number)
            return None if kept is None or not kept.result.samples else self._night.draw(kept)

        return await self._read(drawn)

    async def _fresh(self, name: str, read: Callable[[], bytes]) -> bytes:
        light = self._night.feed.latest.get("light")
        key = (
            self._night.runs.tally.runs,
            None if light is None else light.number,
            int(time.monotonic() / FRESH_S),
        )
        async with self._reading:
            kept = self._kept.get(name)
            if kept is not None and kept[0] == key:
                return kept[1]
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            told = await asyncio.to_thread(read)
            self._kept[name] = (key, told)
            return told

    async def _read(self, read: Callable[[], T]) -> T:
        # One after another: a page that asks for all runs at once must not take the processor from one under way.
        async with self._reading:
            return await asyncio.to_thread(read)

    # In a thread

    def _runs(self, last: int, since: datetime | None = None) -> tuple[SavedRun, ...]:
        if not self._is_there():
            return ()
        with self._store() as store:
            return store.runs(last=last, since=since)

    def _lights(self, last: int) -> tuple[Light, ...]:
        if not self._is_there():
            return ()
        with self._store() as store:
            return store.lights(last=last)

    def _run(self, number: int) -> SavedRun | None:
        if not self._is_there():
            return None
        with self._store() as store:
            return store.run(number)

    def _is_there(self) -> bool:
        return (self._night.directory / FILE_NAME).is_file()

    def _store(self) -> RunStore:
        return RunStore(self._night.directory, read_only=True)

    def _so_far(self) -> NightSoFar:
        status = self._night.feed.latest.get("status")
        now = datetime.now(UTC) if status is None else status.at
        since = now - NIGHT
        curves = self._night.curves
        runs = self._runs(MOST_RUNS, since)[::-1]
        lights = [light for light in reversed(self._lights(MOST_LIGHTS)) if light.ended_at >= since]
        return NightSoFar(
            temperature=_with_before(curves.temperature(), _temperatures(runs, lights), since),
            position=_with_before(curves.position(), _positions(runs, lights), since),
            refocuses=[
                NightRefocus(
                    at=run.result.started_at.timestamp(),
                    position=run.result.final_position,
                    trigger=run.trigger,
                    outcome=run.result.outcome.value,
                )
                for run in runs
            ],
            model=_with_before(curves.model(), [], since),
            lights=thinned([(light.ended_at.timestamp(), light.hfd_px) for light in lights]),
        )


def _with_before(noted: Sequence[Point], kept: Sequence[Point], since: datetime) -> list[Point]:
    """Return what was noted, and before that what the history knows from before the program was started."""
    begin_s = noted[0][0] if noted else float("inf")
    before = sorted(point for point in kept if point[0] < begin_s)
    return thinned([*before, *(point for point in noted if point[0] >= since.timestamp())])


def _temperatures(runs: Sequence[SavedRun], lights: Sequence[Light]) -> list[Point]:
    told = [(run.result.started_at, run.result.temperature_c) for run in runs]
    told += [(light.ended_at, light.temperature_c) for light in lights]
    return [(at.timestamp(), value) for at, value in told if value is not None]


def _positions(runs: Sequence[SavedRun], lights: Sequence[Light]) -> list[Point]:
    told = [(run.result.started_at, run.result.final_position) for run in runs]
    told += [(light.ended_at, light.position) for light in lights]
    return [(at.timestamp(), float(value)) for at, value in told if value is not None]


def summary(run: SavedRun) -> RunSummary:
    """Return a run in one line."""
    result = run.result
    fit, verified = result.fit, None if result.verification is None else result.verification.measurement
    first = result.samples[0].measurement if result.samples else None
    return RunSummary(
        number=run.number,
        started_at=result.started_at,
        trigger=run.trigger,
        outcome=result.outcome.value,
        reason=result.reason,
        filter_name=result.filter_name,
        temperature_c=finite(result.temperature_c),
        start_position=result.start_position,
        final_position=result.final_position,
        best_position=None if fit is None else finite(fit.best_position),
        stderr_steps=None if fit is None else finite(fit.best_position_stderr),
        metric="" if first is None else first.metric,
        unit="" if first is None else first.unit,
        value=None if verified is None else finite(verified.value),
        exposures=result.exposures,
        duration_s=result.duration_s,
    )
