"""The daemon's status and other published values; the field names are those of the JSON.

`as_json` serialises all of them: for the REST API, the live events, the control socket and MQTT.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from alpaca_focus.core.values import Light, Position

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

WATCHING = "watching"
WAITING_FOR_DEVICES = "waiting for the devices"
REQUIRED = frozenset({"camera", "focuser", "mount"})
"""Kinds of devices without which no refocus is made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How near a trigger is to a refocus: `state` in a few characters, `reason` one clause when due."""

    trigger: str
    due: bool
    state: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastFocus:
    """The last good focus; null: not known."""

    at: datetime
    position: Position
    trigger: str
    metric: str
    value: float | None
    temperature_c: float | None
    altitude_deg: float | None
    filter_name: str | None
    stderr_steps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CompensationStatus:
    """Correction moves since the last refocus.

    Attributes:
        carried_steps: Steps due but not yet moved: fractions, and less than the dead zone.
        stopped: Why compensation has stopped, as a sentence; empty: it has not.
        enabled: Whether the settings enable it and nobody has switched it off.
    """

    moved_steps: int
    carried_steps: float
    stopped: str
    enabled: bool
    switched_off: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayStatus:
    """The gateway between the imaging program and the devices.

    Attributes:
        waits: Whether an exposure waits for a focus run.
        taken: Whether a focus run has the camera.
        interrupted: Whether a focus run waits for a gap in the imaging.
        images: Light frames passed on.
    """

    address: str
    waits: bool
    taken: bool
    interrupted: bool
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRun:
    """How the last focus run ended: focused, restored, stranded, failed, aborted or cut off."""

    outcome: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PolledDevice:
    """A device of the settings, as the last poll found it.

    Attributes:
        kind: camera, focuser, filter_wheel, mount, safety_monitor or thermometer.
        name: As in messages.
        server: Host and port of its Alpaca server; empty: it has none.
        answers: Whether it has answered its last poll.
        age_s: Seconds since its last answer.
        why: Why it does not answer; empty: it does.
    """

    kind: str
    name: str
    server: str = ""
    answers: bool = True
    age_s: float = 0.0
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The daemon's status, as `alpaca-focus status --json` prints it; null: unknown or absent.

    Attributes:
        state: watching, or the job that owns the optics.
        headline: What is wrong, the state first, as one sentence; empty: nothing is.
        devices: All devices that are polled.
        ages_s: Seconds since the last answer, by field, for readings of devices that do not answer.
        looks: Number of polls and other signs of progress.
        plan: The imaging program's sequence.
        position: As the focuser last reported it.
        expected_position: Where it was moved to by this program or through the gateway, if that differs.
        due: Why a refocus is due, a clause each.
        blocked_by: Why a refocus would have to wait.
        silent: Devices that do not answer.
        temperature_c: Average temperature.
        temperature_trouble: Why the latest reading is ignored; empty: it is not.
        since_s: Seconds since the last refocus, or since the start.
        images: Light frames since then.
        advice: How to leave more room for focus runs; may be empty.
        failures: Failed runs in a row.
        hold_s: Seconds for which the triggers still wait after a failed run.
        ignored: How often a due refocus had to wait this night, by reason.
        runs_ended: Focus runs since the devices were connected.
    """

    state: str
    looks: int
    paused: bool
    plan: str
    due: tuple[str, ...]
    blocked_by: tuple[str, ...]
    triggers: tuple[Verdict, ...]
    exposing: bool
    silent: tuple[str, ...]
    position: Position | None
    expected_position: Position | None = None
    devices: tuple[PolledDevice, ...] = ()
    ages_s: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    headline: str = ""
    temperature_c: float | None
    temperature_trouble: str
    filter: str | None
    altitude_deg: float | None
    sun_altitude_deg: float | None
    last_focus: LastFocus | None
    since_s: float
    images: int
    compensation: CompensationStatus
    gateway: GatewayStatus | None
    advice: str
    failures: int
    hold_s: float
    ignored: Mapping[str, int]
    runs_ended: int
    last_run: LastRun | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """The status while the devices are not connected, with the reason if it is known."""

    state: str = WAITING_FOR_DEVICES
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPoint:
    """A point of a V-curve; `value` is null, with the reason, if the frame is not usable."""

    position: Position
    value: float | None
    stderr: float | None
    purpose: str
    usable: bool
    reason: str
    stars: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFit:
    """A curve through the points; `curve` holds positions and values."""

    model: str
    best_position: float
    stderr_steps: float | None
    best_value: float | None
    curve: tuple[tuple[float, float | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgress:
    """A focus run, active or ended; empty before the first one.

    Attributes:
        number: Number in the history; null: not stored.
        position: The focuser's position now or at the end.
        outcome: focused, restored, stranded, failed or aborted; empty: active.
    """

    active: bool = False
    number: int | None = None
    trigger: str = ""
    started_at: datetime | None = None
    start_position: Position | None = None
    position: Position | None = None
    unit: str = ""
    metric: str = ""
    samples: tuple[RunPoint, ...] = ()
    fit: RunFit | None = None
    final_position: Position | None = None
    outcome: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredFrame:
    """The last focus frame, with the number and the size in pixels of its picture; `at`: start of the exposure."""

    number: int
    at: datetime
    width: int
    height: int
    stars: int
    hfd_px: float | None
    metric: str
    value: float | None
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredLight:
    """A light frame of the imaging program; `at` is the end of the exposure."""

    at: datetime
    hfd_px: float
    position: Position | None
    filter_name: str | None
    temperature_c: float | None


def measured_light(light: Light) -> MeasuredLight:
    """Return the published form of a light frame."""
    fields = asdict(light)
    return MeasuredLight(at=fields.pop("ended_at"), **fields)


def as_json(value: "DataclassInstance") -> dict[str, object]:
    """Return a dataclass as a JSON object; times are written by `datetime.isoformat`."""
    # pydantic would write "Z" for UTC, where clients have always received "+00:00".
    return asdict(value, dict_factory=_json_object)


def _json_object(fields: list[tuple[str, object]]) -> dict[str, object]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in fields}
