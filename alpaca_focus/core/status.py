"""The daemon's status, and what else it publishes, as typed values; the field names are those of the JSON.

`as_json` is how all of them become JSON: for the REST API, the live events, the control socket and MQTT.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from alpaca_focus.core.values import Light, Position

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

WATCHING = "watching"
WAITING_FOR_DEVICES = "waiting for the devices"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How near a trigger is to a refocus.

    Attributes:
        trigger: Its name.
        due: Whether a refocus is due.
        state: How near it is, in a few signs.
        reason: One clause, when due.
    """

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
        carried_steps: Wanted and not moved yet: fractions of a step, and less than the dead zone.
        stopped: Why it has stopped, as a sentence; empty: it has not.
        enabled: Whether the settings ask for it, and nobody has switched it off.
        switched_off: Whether somebody has switched it off.
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
        images: Light frames that have passed.
    """

    address: str
    waits: bool
    taken: bool
    interrupted: bool
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRun:
    """How the last focus run ended.

    Attributes:
        outcome: focused, restored, stranded, failed, aborted or cut off.
        reason: One sentence.
    """

    outcome: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What the daemon does; the same as `alpaca-focus status --json`. null: not known, or there is none.

    Attributes:
        state: watching, or what owns the optics.
        looks: Polls and other signs of progress, counted.
        plan: What the imaging program takes.
        due: Why a refocus is due, a clause each.
        blocked_by: Why a refocus would have to wait.
        silent: Devices that do not answer.
        position: Where the focuser stands, as far as known.
        temperature_c: Average temperature.
        temperature_trouble: Why the latest reading is ignored; empty: it is not.
        since_s: Seconds since the last refocus, or since the beginning.
        images: Light frames since then.
        advice: What would leave more room for focus runs; empty: nothing.
        failures: Failed runs in a row.
        hold_s: Seconds for which the triggers still wait after a failed run.
        ignored: How often a due refocus had to wait this night, by reason.
        runs_ended: Focus runs that have ended since the devices were connected.
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
    """The status while the devices are not connected.

    Attributes:
        why: What is wrong; empty: nothing is known yet.
    """

    state: str = WAITING_FOR_DEVICES
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPoint:
    """A point of a V-curve.

    Attributes:
        value: The metric; null: not usable.
        purpose: What the frame was taken for.
        reason: Why it is not usable.
        stars: How many took part.
    """

    position: Position
    value: float | None
    stderr: float | None
    purpose: str
    usable: bool
    reason: str
    stars: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFit:
    """A curve through the points.

    Attributes:
        best_position: Its vertex.
        curve: Positions and values.
    """

    model: str
    best_position: float
    stderr_steps: float | None
    best_value: float | None
    curve: tuple[tuple[float, float | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgress:
    """A focus run, under way or ended; without values: none was made yet.

    Attributes:
        number: In the history; null: it is not there.
        position: Where the focuser stands now, or stood at the end.
        samples: Every frame so far.
        outcome: focused, restored, stranded, failed or aborted; empty: it is not over.
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
    """The last focus frame.

    Attributes:
        number: Of its picture, counted up.
        at: Start of the exposure.
        width: Of the picture, px.
        height: Of the picture, px.
    """

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
    """A light frame of the imaging program.

    Attributes:
        at: End of the exposure.
        hfd_px: Half-flux diameter of its stars.
        position: Where the focuser belonged.
    """

    at: datetime
    hfd_px: float
    position: Position | None
    filter_name: str | None
    temperature_c: float | None


def measured_light(light: Light) -> MeasuredLight:
    """Return a light frame as it is published."""
    return MeasuredLight(
        at=light.ended_at,
        hfd_px=light.hfd_px,
        position=light.position,
        filter_name=light.filter_name,
        temperature_c=light.temperature_c,
    )


def as_json(value: "DataclassInstance") -> dict[str, object]:
    """Return a dataclass as JSON has it; times keep the offset of UTC as `datetime.isoformat` writes it."""
    # pydantic would write "Z" for UTC, which other programs have never been sent.
    return asdict(value, dict_factory=_json_object)


def _json_object(fields: list[tuple[str, object]]) -> dict[str, object]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in fields}
