"""What the night shows of itself: its status, its curves, its runs and its pictures, for whoever wants to see them."""

from collections.abc import Mapping
from dataclasses import asdict

from alpaca_focus.core.events import Event, Moved
from alpaca_focus.core.gaps import ADVICE
from alpaca_focus.core.night import Baseline
from alpaca_focus.core.values import Light, Position
from alpaca_focus.gateway.service import Gateway
from alpaca_focus.night.frame_preview import FramePreview
from alpaca_focus.ports import Clock
from alpaca_focus.runtime.exclusive_job import FOCUS_RUN
from alpaca_focus.runtime.feed import Feed
from alpaca_focus.runtime.learning import LearnedModel
from alpaca_focus.runtime.night_curves import NightCurves
from alpaca_focus.runtime.run_news import RunNews, finite
from alpaca_focus.runtime.scheduler import RefocusScheduler
from alpaca_focus.web.source import Viewers


class Board:
    """Knows what there is to see; it asks no device.

    Args:
        clock: Time.

    Attributes:
        feed: What is happening.
        news: The focus runs.
        curves: Temperature and position.
        viewers: Who looks.
        preview: The last focus frame.
        keeper: Keeps the night; `None`: the devices are waited for.
        model: What the history has taught.
        gateway: That the imaging program comes through; `None`: there is none.
        waits_for: Why the devices are waited for.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.feed = Feed(clock.wall)
        self.news = RunNews(lambda told: self.feed.publish("run", told), clock.wall)
        self.curves = NightCurves()
        self.viewers = Viewers()
        self.preview = FramePreview(lambda: self.viewers.count > 0, lambda facts: self.feed.publish("frame", facts))
        self.keeper: RefocusScheduler | None = None
        self.model: LearnedModel | None = None
        self.gateway: Gateway | None = None
        self.waits_for = ""
        self._stood_at: Position | None = None

    def begin(
        self, keeper: RefocusScheduler, model: LearnedModel, gateway: Gateway | None, *, stood_at: Position | None
    ) -> None:
        """Show a night that is kept from now on; at its end `keeper` is taken away."""
        self.keeper, self.model, self.gateway, self.waits_for = keeper, model, gateway, ""
        self._stood_at = stood_at

    def close(self) -> None:
        """Wait for a picture that is being made."""
        self.preview.close()

    def take(self, event: Event) -> None:
        """Take note of what happens during a run."""
        self.news.take(event)
        if isinstance(event, Moved):
            self._stood_at = event.position

    def show(self) -> None:
        """Tell what the night is like just now."""
        self.feed.publish("status", self.status())

    def show_light(self, light: Light) -> None:
        """Tell of what a light frame has said."""
        self.feed.publish(
            "light",
            {
                "at": light.ended_at.isoformat(),
                "hfd_px": light.hfd_px,
                "position": light.position,
                "filter_name": light.filter_name,
                "temperature_c": light.temperature_c,
            },
        )

    def note_curves(self) -> None:
        """Note the temperature, and where the focuser stands and should stand."""
        keeper = self.keeper
        if keeper is None or keeper.doing == FOCUS_RUN:
            # A search is no part of where the focuser belonged in the night.
            return
        history = keeper.state.history
        self.curves.note(
            self._clock.wall(),
            temperature_c=finite(history.followed.latest_c),
            position=self._position(keeper),
            expected_position=None if self.model is None else finite(self.model.focus_by_now(history)),
        )

    def _position(self, keeper: RefocusScheduler) -> Position | None:
        """Return where the focuser stands as far as is known without asking it."""
        baseline = keeper.state.history.baseline
        if baseline is None or keeper.doing == FOCUS_RUN:
            return self._stood_at
        return baseline.position + keeper.state.compensated.moved_steps

    def status(self) -> Mapping[str, object]:
        """Return what the night is like just now, as JSON has it."""
        keeper = self.keeper
        if keeper is None:
            return {"state": "waiting for the devices", "why": self.waits_for}
        night, decision, snapshot = keeper.state, keeper.decision, keeper.snapshot
        history, compensated = night.history, night.compensated
        baseline = history.baseline
        last_run = keeper.last_run
        return {
            "state": keeper.doing or "watching",
            "looks": keeper.progress,
            "paused": night.paused,
            "plan": night.plan,
            "due": [] if decision is None else [each.reason for each in decision.due],
            "blocked_by": [] if decision is None else list(decision.blocked_by),
            "triggers": [] if decision is None else [asdict(each) for each in decision.verdicts],
            "exposing": snapshot is not None and snapshot.exposing,
            "silent": [] if snapshot is None else list(snapshot.silent),
            "position": self._position(keeper),
            "temperature_c": history.followed.latest_c,
            "temperature_trouble": history.outliers.trouble,
            "filter": history.filter_name,
            "altitude_deg": history.altitude_deg,
            "sun_altitude_deg": None if snapshot is None else snapshot.sun_altitude_deg,
            "last_focus": None if baseline is None else _told_baseline(baseline),
            "since_s": history.since_s,
            "images": history.images,
            "compensation": {
                "moved_steps": compensated.moved_steps,
                "carried_steps": compensated.carried_steps,
                "stopped": compensated.stopped,
                "enabled": keeper.requests.can_compensate and night.follows,
                "switched_off": keeper.requests.can_compensate and not night.follows,
            },
            "gateway": None if self.gateway is None else self.gateway.status(),
            "advice": ADVICE if history.gaps.is_advised else "",
            "failures": history.failures,
            "hold_s": history.hold_s,
            "ignored": dict(history.ignored),
            "runs_ended": keeper.runs_ended,
            "last_run": None if last_run is None else asdict(last_run),
        }


def _told_baseline(baseline: Baseline) -> dict[str, object]:
    return {**asdict(baseline), "at": baseline.at.isoformat(), "value": finite(baseline.value)}
