"""Devices made of a formula, for testing plans and the runner without a network."""

import asyncio
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from alpaca_focus.core.camera_record import CameraRecord, CameraValues
from alpaca_focus.core.curves.known_curve import KnownCurve
from alpaca_focus.core.errors import DeviceError, DeviceUnreachable, FrameLost
from alpaca_focus.core.sweep.backlash import Backlash, Direction, Limits
from alpaca_focus.core.sweep.generator import sweep
from alpaca_focus.core.sweep.plan import Expose, Measure, MoveTo, Settle, SweepProgress, SweepResult, SweepSettings
from alpaca_focus.core.values import ExposureSettings, Frame, Measurement, Position
from alpaca_focus.ports import CameraInfo, FocuserInfo

SETTINGS = SweepSettings(
    exposure=ExposureSettings(exposure_s=2.0),
    points=6,
    step_steps=None,
    critical_focus_zone_steps=67.0,
    slope_per_step=0.0376,
    least=2.3,
    backlash=Backlash(steps=120, arrive=Direction.IN),
    limits=Limits(lowest=0, highest=60000),
    settle_s=1.0,
    max_exposures=40,
)
"""A sweep with a 106 mm f/5 refractor, 3.76 um pixels and 1 um steps."""


class FakeClock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def wall(self) -> datetime:
        return datetime(2026, 1, 1, 22, tzinfo=UTC) + timedelta(seconds=self.now_s)

    def monotonic(self) -> float:
        return self.now_s

    async def sleep(self, duration_s: float) -> None:
        self.now_s += max(duration_s, 0.0)
        await asyncio.sleep(0)


@dataclass
class FakeFocuser:
    """An absolute focuser with true mechanical slack: the tube follows the motor at most `backlash` steps behind."""

    start: Position = 25000
    backlash: int = 80
    max_step: int = 60000
    fails: list[DeviceError | None] = field(default_factory=list)
    """For each move to come: the error it raises, or None for a good move; good moves after the list's end."""
    stops_short_steps: int = 0

    def __post_init__(self) -> None:
        self.motor = self.start
        self.tube = float(self.start)
        self.moves: list[Position] = []
        self.compensating = False
        self.is_gone = False

    name = "focuser 0 (fake)"
    server = "127.0.0.1:11111"
    replies = 0
    connections = 0

    @property
    def info(self) -> FocuserInfo:
        return FocuserInfo(
            max_step=self.max_step,
            max_increment_steps=self.max_step,
            step_size_um=1.0,
            has_temperature_compensation=True,
            tolerance_steps=3,
        )

    async def connect(self) -> None: ...

    async def close(self) -> None: ...

    async def position(self) -> Position:
        if self.is_gone:
            raise DeviceUnreachable(self.name, f"{self.name} does not answer.")
        return self.motor

    async def is_moving(self) -> bool:
        return False

    async def move_to(self, target: Position) -> Position:
        await self.position()
        error = self.fails.pop(0) if self.fails else None
        if error is not None:
            raise error
        self.moves.append(target)
        way = target - self.motor
        self.motor = target - min(self.stops_short_steps, abs(way)) * (1 if way > 0 else -1)
        self.tube = min(max(self.tube, self.motor), self.motor + self.backlash)
        return self.motor

    async def temperature_c(self) -> float | None:
        return None

    async def temperature_compensation(self) -> bool:
        return self.compensating

    async def set_temperature_compensation(self, *, enabled: bool) -> None:
        self.compensating = enabled


@dataclass
class FakeSky:
    """Star sizes by formula: blur of seeing and defocus in quadrature, with scatter."""

    focuser: FakeFocuser
    rng: np.random.Generator
    best_tube: float = 25080.0
    slope_px_per_step: float = 0.0376
    seeing_px: float = 2.5
    seeing_scatter: float = 0.05
    error: float = 0.01
    clouds_from_frame: int | None = None

    def __post_init__(self) -> None:
        self.frames = 0

    @property
    def commanded_best(self) -> float:
        """The position that puts the tube in focus when it is reached moving in: the tube is the slack behind."""
        return self.best_tube - self.focuser.backlash

    def hfd_px(self) -> float:
        seeing = self.seeing_px * (1 + self.seeing_scatter * self.rng.normal())
        defocus = self.slope_px_per_step * (self.focuser.tube - self.best_tube)
        return math.hypot(seeing, defocus) * (1 + self.error * self.rng.normal())

    def measurement(self) -> Measurement:
        self.frames += 1
        if self.clouds_from_frame is not None and self.frames >= self.clouds_from_frame:
            return Measurement(metric="hfd", value=math.nan, stderr=math.nan, usable=False, reason="no stars found")
        value = self.hfd_px()
        return Measurement(metric="hfd", value=value, stderr=self.error * value, star_count=40)


class FakeCameraMarker:
    """A camera marker in memory, which a next program finds again.

    Attributes:
        written: All records, in their order.
        frozen: Whether the program was killed, so that nothing is written any more.
    """

    def __init__(self, record: CameraRecord | None = None) -> None:
        self.written: list[CameraRecord] = []
        self.record = record
        self.frozen = False

    def read(self) -> CameraRecord | None:
        return self.record

    def write(self, record: CameraRecord) -> None:
        if self.frozen:
            return
        self.written.append(record)
        self.record = None if record.is_empty else record


@dataclass
class FakeCamera:
    """A camera whose frames hold one pixel: the ticket by which the sky is asked for the measurement."""

    sky: FakeSky
    clock: FakeClock
    fails: list[DeviceError | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.remembered = 0
        self.values: CameraValues = {"BinX": 1, "BinY": 1, "Gain": 100}
        self.restored = 0
        self.aborted = 0
        self.measurements: list[Measurement] = []
        self.lost_frames: set[int] = set()

    name = "camera 0 (fake)"
    server = "127.0.0.1:11111"

    @property
    def info(self) -> CameraInfo:
        return CameraInfo(
            sensor_width_px=1000,
            sensor_height_px=800,
            pixel_size_um=3.76,
            max_adu=65535,
            max_binning=4,
            exposure_min_s=0.001,
            exposure_max_s=3600,
            can_abort=True,
            bayer=False,
        )

    async def connect(self) -> None: ...

    async def close(self) -> None: ...

    async def expose(self, settings: ExposureSettings) -> None:
        error = self.fails.pop(0) if self.fails else None
        if error is not None:
            raise error
        await self.clock.sleep(settings.exposure_s)
        self.measurements.append(self.sky.measurement())

    async def download(self) -> Frame:
        if len(self.measurements) in self.lost_frames:
            raise FrameLost(self.name, "Camera 0 sent the frame of an earlier exposure.")
        return Frame(
            pixels=np.array([[len(self.measurements) - 1]]),
            exposure_s=1.0,
            started_at=self.clock.wall(),
            binning=1,
            saturation_adu=65535,
        )

    def measure(self, frame: Frame) -> Measurement:
        return self.measurements[int(frame.pixels[0, 0])]

    async def abort(self) -> None:
        self.aborted += 1

    async def until_idle(self) -> None: ...

    async def settings(self) -> CameraValues:
        self.remembered += 1
        return dict(self.values)

    async def restore_settings(self, settings: CameraValues) -> None:
        self.restored += 1
        self.values = dict(settings)


@dataclass
class Walked:
    """What a plan did on the way.

    Attributes:
        moves: Where it went.
        exposures: How each frame was taken.
        early_moves: Moves that began between an exposure and its measurement.
        progress: What the plan has seen.
    """

    moves: list[Position] = field(default_factory=list)
    exposures: list[ExposureSettings] = field(default_factory=list)
    early_moves: int = 0
    progress: SweepProgress = field(default_factory=SweepProgress)
    end: SweepResult | None = None

    @property
    def result(self) -> SweepResult:
        assert self.end is not None
        return self.end


def walk_through(
    focuser: FakeFocuser, sky: FakeSky, settings: SweepSettings = SETTINGS, *, walked: Walked | None = None
) -> Walked:
    """Carry a plan out on a fake focuser under a fake sky, without a clock."""
    walked = walked or Walked()
    plan = sweep(settings, focuser.start, walked.progress)
    frames: list[Measurement] = []
    answer: int | Measurement | None = None
    waiting = False
    try:
        while True:
            match plan.send(answer):
                case MoveTo(position):
                    walked.moves.append(position)
                    walked.early_moves += waiting
                    focuser.motor = position
                    focuser.tube = min(max(focuser.tube, position), position + focuser.backlash)
                    answer = position
                case Settle():
                    answer = None
                case Expose(settings=exposure):
                    walked.exposures.append(exposure)
                    frames.append(sky.measurement())
                    answer, waiting = len(frames) - 1, True
                case Measure(ticket):
                    answer, waiting = frames[ticket], False
    except StopIteration as end:
        walked.end = end.value
        return walked


def known_curve(sky: FakeSky, *, off: float = 0.0) -> KnownCurve:
    """Return what earlier runs would have shown of that sky, with focus expected a little off."""
    return KnownCurve(
        slope_in=sky.slope_px_per_step,
        slope_out=sky.slope_px_per_step,
        slope_error=0.02,
        least=2.5,
        expected_position=sky.commanded_best + off,
    )
