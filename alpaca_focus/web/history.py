"""The history for the dashboards, read in a thread and shared by all of them."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from alpaca_focus.core.status import as_json, measured_light
from alpaca_focus.core.values import Light, SavedRun
from alpaca_focus.feed.night_curves import Point, thinned
from alpaca_focus.feed.run_progress import finite, progress_of
from alpaca_focus.store.run_store import FILE_NAME, RunStore
from alpaca_focus.web.events import encoded
from alpaca_focus.web.source import NightSource

T = TypeVar("T")

NIGHT = timedelta(hours=24)
MOST_RUNS, MOST_LIGHTS = 300, 5000
FRESH_S = 30.0
"""Temperatures are at most this old; a new run or light frame is shown at once."""
MOST_CACHED = 32


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
        model: Position that the focus model expects, in steps.
        lights: Half-flux diameter of the light frames, px.
    """

    temperature: list[Point]
    position: list[Point]
    refocuses: list[NightRefocus]
    model: list[Point]
    lights: list[Point]


class HistoryReader:
    """Reads the history of a night."""

    def __init__(self, night: NightSource) -> None:
        self._night = night
        # One read at a time: a page that requests all runs at once must not slow down a focus run under way.
        self._lock = asyncio.Lock()
        self._cache: dict[str, tuple[object, bytes]] = {}

    async def so_far(self) -> bytes:
        """Return the last 24 hours as JSON."""
        return await self._cached("night", self._so_far)

    async def runs(self, last: int) -> bytes:
        """Return the latest runs, the newest first, as JSON."""
        return await self._cached(f"runs {last}", lambda: [summary(run) for run in self._runs(last)])

    async def lights(self, last: int) -> bytes:
        """Return the latest light frames, the newest first, as JSON."""
        return await self._cached(f"lights {last}", lambda: [measured_light(light) for light in self._lights(last)])

    async def run(self, number: int) -> bytes | None:
        """Return one run as JSON; `None` if no run has that number."""
        run = await self._in_thread(lambda: self._run(number))
        return None if run is None else encoded(as_json(progress_of(run.result, number=number, trigger=run.trigger)))

    async def picture(self, number: int) -> bytes | None:
        """Return a picture of one run's V-curve; `None` if no run has that number, or it took no frame."""

        def drawn() -> bytes | None:
            run = self._run(number)
            return None if run is None or not run.result.samples else self._night.draw(run)

        return await self._in_thread(drawn)

    async def _cached(self, name: str, read: Callable[[], object]) -> bytes:
        light = self._night.feed.latest.get("light")
        light_number = None if light is None else light.number
        key = self._night.runs.tally.runs, light_number, int(time.monotonic() / FRESH_S)
        async with self._lock:
            cached_key, body = self._cache.get(name, (None, b""))
            if cached_key != key:
                body = await asyncio.to_thread(lambda: encoded(read()))
                if len(self._cache) >= MOST_CACHED:
                    self._cache.clear()
                self._cache[name] = key, body
            return body

    async def _in_thread(self, read: Callable[[], T]) -> T:
        async with self._lock:
            return await asyncio.to_thread(read)

    # Called in a thread

    def _runs(self, last: int, since: datetime | None = None) -> tuple[SavedRun, ...]:
        return self._from_store(lambda store: store.runs(last=last, since=since), ())

    def _lights(self, last: int) -> tuple[Light, ...]:
        return self._from_store(lambda store: store.lights(last=last), ())

    def _run(self, number: int) -> SavedRun | None:
        return self._from_store(lambda store: store.run(number), None)

    def _from_store(self, read: Callable[[RunStore], T], otherwise: T) -> T:
        if not (self._night.directory / FILE_NAME).is_file():
            return otherwise
        with RunStore(self._night.directory, read_only=True) as store:
            return read(store)

    def _so_far(self) -> NightSoFar:
        status = self._night.feed.latest.get("status")
        since = (datetime.now(UTC) if status is None else status.at) - NIGHT
        curves = self._night.curves
        runs = self._runs(MOST_RUNS, since)[::-1]
        lights = [light for light in reversed(self._lights(MOST_LIGHTS)) if light.ended_at >= since]
        stored = [(run.result.started_at, run.result.temperature_c, run.result.final_position) for run in runs]
        stored += [(light.ended_at, light.temperature_c, light.position) for light in lights]
        return NightSoFar(
            temperature=_extended(curves.temperature(), [(at, degrees) for at, degrees, _ in stored], since),
            position=_extended(curves.position(), [(at, position) for at, _, position in stored], since),
            refocuses=[
                NightRefocus(
                    at=run.result.started_at.timestamp(),
                    position=run.result.final_position,
                    trigger=run.trigger,
                    outcome=run.result.outcome.value,
                )
                for run in runs
            ],
            model=_extended(curves.model(), [], since),
            lights=thinned([(light.ended_at.timestamp(), light.hfd_px) for light in lights]),
        )


def _extended(
    recorded: Sequence[Point], stored: Sequence[tuple[datetime, float | None]], since: datetime
) -> list[Point]:
    """Return the recorded points, preceded by those of the history from before the program was started."""
    begin_s = recorded[0][0] if recorded else float("inf")
    points = [(at.timestamp(), float(value)) for at, value in stored if value is not None]
    before = sorted(point for point in points if point[0] < begin_s)
    return thinned([*before, *(point for point in recorded if point[0] >= since.timestamp())])


def summary(run: SavedRun) -> RunSummary:
    """Return the summary of a run."""
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
