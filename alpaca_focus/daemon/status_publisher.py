"""Builds and publishes the daemon's status, the focus runs, their pictures and the light frames."""

from dataclasses import replace

from alpaca_focus.core.events import Event, Moved
from alpaca_focus.core.night.notice_log import TEMPERATURE_SOURCES
from alpaca_focus.core.night.state import ADVICE, Baseline
from alpaca_focus.core.night.triggers import position_problem_of
from alpaca_focus.core.outages import headline
from alpaca_focus.core.status import (
    WATCHING,
    CompensationStatus,
    LastFocus,
    PolledDevice,
    Status,
    Waiting,
    measured_light,
)
from alpaca_focus.core.values import Light, Position
from alpaca_focus.daemon.frame_preview import FramePreview
from alpaca_focus.feed.feed import Feed
from alpaca_focus.feed.night_curves import NightCurves
from alpaca_focus.feed.run_progress import RunTracker, finite
from alpaca_focus.gateway.service import Gateway
from alpaca_focus.night.exclusive_job import FOCUS_RUN
from alpaca_focus.night.scheduler import RefocusScheduler
from alpaca_focus.ports import Clock
from alpaca_focus.store.learned_model import LearnedModel
from alpaca_focus.web.source import Viewers

SOURCES = {"position": "focuser", "filter": "filter_wheel", "altitude_deg": "mount"}
"""The kind of device that each reading of the status comes from; the temperature may come from several."""
JUMPED = "Temperature compensation waits for a refocus: the focuser is not where it was moved to."


class StatusPublisher:
    """Publishes the night in a feed, without any request to a device.

    Attributes:
        curves: Temperature and position over the last day.
        viewers: The open dashboards.
        scheduler: `None`: the devices are not connected.
        model: The focus model learned from the history.
        waits_for: The reason why the devices are not connected.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.feed = Feed(clock.wall)
        self.runs = RunTracker(lambda run: self.feed.publish("run", run), clock.wall)
        self.curves = NightCurves()
        self.viewers = Viewers()
        self.preview = FramePreview(lambda: self.viewers.count > 0, lambda frame: self.feed.publish("frame", frame))
        self.scheduler: RefocusScheduler | None = None
        self.model: LearnedModel | None = None
        self.gateway: Gateway | None = None
        self.waits_for = ""
        self._stood_at: Position | None = None
        self._stood_at_s = 0.0

    def begin(
        self, scheduler: RefocusScheduler, model: LearnedModel, gateway: Gateway | None, *, stood_at: Position | None
    ) -> None:
        """Publish a new session from now on; at its end the daemon sets `scheduler` to `None`."""
        self.scheduler, self.model, self.gateway, self.waits_for = scheduler, model, gateway, ""
        self._stood_at, self._stood_at_s = stood_at, self._clock.monotonic()

    def close(self) -> None:
        """Wait for the picture that is being drawn."""
        self.preview.close()

    def take(self, event: Event) -> None:
        """Add an event of a focus run."""
        self.runs.take(event)
        if isinstance(event, Moved):
            self._stood_at, self._stood_at_s = event.position, self._clock.monotonic()

    def publish(self) -> None:
        """Publish the current status."""
        self.feed.publish("status", self.status())

    def publish_light(self, light: Light) -> None:
        """Publish a measured light frame."""
        self.feed.publish("light", measured_light(light))

    def note_curves(self) -> None:
        """Add the temperature, the position and the expected best position to the curves of the night."""
        scheduler = self.scheduler
        if scheduler is None or scheduler.doing == FOCUS_RUN:
            # The positions of a sweep do not belong to the curve of best focus.
            return
        history = scheduler.state.history
        self.curves.note(
            self._clock.wall(),
            temperature_c=finite(history.followed.latest_c),
            position=self._position(scheduler),
            expected_position=None if self.model is None else finite(self.model.focus_by_now(history)),
        )

    def _position(self, scheduler: RefocusScheduler) -> Position | None:
        """Return the focuser's last reading: during a run, and until the next poll answers, that of its last move."""
        read = scheduler.state.history.focuser.read
        is_old = read is None or scheduler.snapshot is None or scheduler.doing == FOCUS_RUN
        return self._stood_at if is_old or self._has_moved_since(_silent(scheduler, "focuser")) else read

    def _has_moved_since(self, focuser: PolledDevice | None) -> bool:
        """Return whether a focuser that does not answer was moved by a run after its last poll."""
        return focuser is not None and self._clock.monotonic() - self._stood_at_s < focuser.age_s

    def status(self) -> Status | Waiting:
        """Return the current status."""
        scheduler = self.scheduler
        if scheduler is None:
            return Waiting(why=self.waits_for)
        night, decision, snapshot = scheduler.state, scheduler.decision, scheduler.snapshot
        history, compensated = night.history, night.compensated
        compensates = scheduler.requests.can_compensate
        position = self._position(scheduler)
        # One that died on its way stands somewhere between.
        is_unseen = position != night.expected_position or _silent(scheduler, "focuser") is not None
        is_away = snapshot is not None and snapshot.away and is_unseen
        is_elsewhere = not scheduler.doing and (is_away or history.focuser.differs)
        status = Status(
            state=scheduler.doing or WATCHING,
            looks=scheduler.progress,
            paused=night.paused,
            plan=night.plan,
            due=() if decision is None else tuple(each.reason for each in decision.due),
            blocked_by=() if decision is None else decision.blocked_by,
            triggers=() if decision is None else decision.verdicts,
            exposing=snapshot is not None and snapshot.exposing,
            silent=tuple(each.name for each in scheduler.devices if not each.answers),
            position=position,
            expected_position=night.expected_position if is_elsewhere else None,
            devices=scheduler.devices,
            ages_s=_ages_s(scheduler),
            temperature_c=history.followed.latest_c,
            temperature_trouble=history.outliers.rejection,
            filter=history.filter_name,
            altitude_deg=history.altitude_deg,
            sun_altitude_deg=None if snapshot is None else snapshot.sun_altitude_deg,
            last_focus=None if history.baseline is None else _last_focus(history.baseline),
            since_s=history.since_s,
            images=history.images,
            compensation=CompensationStatus(
                moved_steps=compensated.moved_steps,
                carried_steps=compensated.carried_steps,
                stopped=compensated.stopped or (JUMPED if compensates and history.focuser.jump else ""),
                enabled=compensates and night.follows,
                switched_off=compensates and not night.follows,
            ),
            gateway=None if self.gateway is None else self.gateway.status(),
            advice=ADVICE if history.gaps.is_advised else "",
            failures=history.failures,
            hold_s=history.hold_s,
            ignored=dict(history.ignored),
            runs_ended=scheduler.outcomes.runs_ended,
            last_run=scheduler.outcomes.last_run,
        )
        return replace(status, headline=headline(status, position_problem_of(status.triggers)))


def _ages_s(scheduler: RefocusScheduler) -> dict[str, float]:
    """Return the ages of the readings whose devices do not answer."""
    ages_s = {name: each.age_s for name, kind in SOURCES.items() if (each := _silent(scheduler, kind))}
    thermometers = [each.age_s for kind in TEMPERATURE_SOURCES if (each := _silent(scheduler, kind))]
    if thermometers and scheduler.state.history.outliers.rejection:
        # While one answers, the mean is that of the others.
        ages_s["temperature_c"] = min(thermometers)
    return ages_s


def _silent(scheduler: RefocusScheduler, kind: str) -> PolledDevice | None:
    """Return the device of a kind if it does not answer."""
    return next((each for each in scheduler.devices if each.kind == kind and not each.answers), None)


def _last_focus(baseline: Baseline) -> LastFocus:
    return LastFocus(
        at=baseline.at,
        position=baseline.position,
        trigger=baseline.trigger,
        metric=baseline.metric,
        value=finite(baseline.value),
        temperature_c=baseline.temperature_c,
        altitude_deg=baseline.altitude_deg,
        filter_name=baseline.filter_name,
        stderr_steps=baseline.stderr_steps,
    )
