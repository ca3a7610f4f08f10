"""Whatever happens to a run that shares its camera, everything is given back as it was found."""

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, repeat

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpaca_focus.core.errors import DeviceError
from alpaca_focus.core.events import CameraHandover, Event, Resumed, RunEnded
from alpaca_focus.core.values import ExposureSettings, FocusResult, Outcome
from alpaca_focus.run.camera_handover import MOST_LATE_GAPS
from alpaca_focus.run.runner import RunConditions, RunDevices, run_focus
from tests.fakes import SETTINGS
from tests.imaging_program import ITS_SETTINGS, START, SharedObservatory, measure_at_once


@dataclass(frozen=True, kw_only=True)
class Night:
    """How things are, and what happens."""

    seed: int
    patience_s: float = 40.0
    asks_after_s: tuple[float, ...] = (5.0,)
    exposes_s: tuple[float, ...] = (120.0,)
    exposure_s: float = 4.0
    steps_per_s: float = 500.0
    download_s: float = 1.0
    clouds_from_frame: int | None = None
    failing_calls: frozenset[int] = frozenset()
    cancelled_at: frozenset[int] = frozenset()
    noise: float = 0.01
    shares: bool = True


waits_s = st.one_of(st.floats(0, 60), st.just(math.inf))
quiet_nights = st.builds(
    Night,
    seed=st.integers(0, 2**32 - 1),
    patience_s=st.floats(10, 90),
    asks_after_s=st.lists(waits_s, min_size=1, max_size=6).map(tuple),
    exposes_s=st.lists(st.floats(0, 2500), min_size=1, max_size=6).map(tuple),
    exposure_s=st.floats(0.5, 15),
    steps_per_s=st.floats(50, 2000),
    download_s=st.floats(0.1, 8),
)
points = st.frozensets(st.integers(1, 400), max_size=3)
nights = st.builds(
    lambda night, clouds, failing, cancelled: replace(
        night, clouds_from_frame=clouds, failing_calls=failing, cancelled_at=cancelled
    ),
    quiet_nights,
    st.one_of(st.none(), st.integers(1, 12)),
    st.frozensets(st.integers(1, 80), max_size=3),
    points,
)


@contextmanager
def _measuring_at_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        measure_at_once(patch)
        yield


class Run:
    """A run through a night."""

    def __init__(self, night: Night) -> None:
        self.at = at = SharedObservatory(
            np.random.default_rng(night.seed),
            patience_s=night.patience_s,
            asks_after_s=chain(night.asks_after_s, repeat(night.asks_after_s[-1])),
            exposes_s=chain(night.exposes_s, repeat(night.exposes_s[-1])),
        )
        at.focuser.steps_per_s, at.camera.download_s = night.steps_per_s, night.download_s
        at.sky.clouds_from_frame = night.clouds_from_frame
        at.sky.error, at.sky.seeing_scatter = night.noise, 5 * night.noise
        at.troubles.failing = night.failing_calls
        self.night = night
        self.events: list[Event] = []
        self.outcome: Outcome | None = None
        if not night.shares:
            at.program.has_it = False

    @property
    def results(self) -> list[FocusResult]:
        return [event.result for event in self.events if isinstance(event, RunEnded)]

    def go(self) -> "Run":
        with _measuring_at_once():
            asyncio.run(self._go())
        return self

    async def _go(self) -> None:
        at = self.at
        running = asyncio.create_task(
            run_focus(
                RunDevices(
                    camera=at.camera,
                    focuser=at.focuser,
                    clock=at.clock,
                    measure=at.camera.measure,
                    guider=at.guider,
                    sharing=at.program if self.night.shares else None,
                ),
                replace(SETTINGS, exposure=ExposureSettings(exposure_s=self.night.exposure_s)),
                conditions=RunConditions(),
                max_duration_s=900.0,
                emit=self.events.append,
            )
        )
        at.clock.on_point = lambda number: running.cancel() and None if number in self.night.cancelled_at else None
        try:
            self.outcome = (await running).outcome
        except asyncio.CancelledError:
            assert self.night.cancelled_at
        except DeviceError:
            assert self.night.failing_calls
            assert at.focuser.moves == []


@given(night=nights)
@settings(max_examples=200)
def test_whatever_happens_everything_is_given_back_as_it_was_found(night: Night) -> None:
    # The devices themselves see to it that nothing is touched out of turn.
    run = Run(night).go()
    at = run.at
    assert at.program.has_it
    assert at.camera.busy == 0
    assert at.guider.guides
    assert all(place == START for place in at.program.places[:-1])
    if not run.results:
        assert at.focuser.motor == START
        assert at.camera.values == ITS_SETTINGS
        return
    (result,) = run.results
    if "settings could not be restored" not in result.reason:
        assert at.camera.values == ITS_SETTINGS
    if result.outcome is Outcome.FOCUSED:
        assert result.verification is not None
        assert at.focuser.motor == result.final_position == result.verification.position
    else:
        assert result.outcome is Outcome.RESTORED
        assert at.focuser.motor == result.final_position == START


@given(night=quiet_nights)
@settings(max_examples=60)
def test_there_is_no_endless_row_of_handovers(night: Night) -> None:
    run = Run(night).go()
    (result,) = run.results
    handovers = sum(isinstance(event, CameraHandover) for event in run.events)
    resumed = sum(isinstance(event, Resumed) for event in run.events)
    assert resumed <= handovers <= (MOST_LATE_GAPS + 1) * (result.exposures + 1)
    assert run.at.program.takes == handovers + 1


@given(night=quiet_nights)
@settings(max_examples=60)
def test_an_interrupted_run_sees_the_same_curve(night: Night) -> None:
    night = replace(night, noise=1e-9)
    interrupted, undisturbed = Run(night).go(), Run(replace(night, shares=False)).go()
    assert undisturbed.outcome is Outcome.FOCUSED
    (result,), (expected,) = interrupted.results, undisturbed.results
    seen = [(sample.position, sample.measurement.value) for sample in result.samples]
    for (position, value), sample in zip(seen, expected.samples, strict=False):
        assert position == sample.position
        assert value == pytest.approx(sample.measurement.value, rel=1e-6)
    if interrupted.outcome is Outcome.FOCUSED:
        assert result.final_position == expected.final_position
