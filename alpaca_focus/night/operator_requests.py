"""Operator and script requests, stored at once and applied at the next poll."""

from datetime import datetime

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.core.night import transitions
from alpaca_focus.core.night.state import Plan
from alpaca_focus.core.values import Light
from alpaca_focus.night.dependencies import Dependencies, NightSettings
from alpaca_focus.night.state_store import StateStore


class OperatorRequests:
    """Stores requests and reports; starts nothing itself."""

    def __init__(self, dependencies: Dependencies, settings: NightSettings, store: StateStore) -> None:
        self._dependencies = dependencies
        self._store = store
        self.can_compensate = settings.compensation is not None

    def refocus(self) -> None:
        """Request a refocus as soon as possible."""
        self._store.apply(transitions.refocus_requested)

    def pause(self) -> None:
        """Start nothing automatically until `resume`; a run that is under way continues to its end."""
        self._store.apply(transitions.pause_switched, on=True)

    def resume(self) -> None:
        """End a pause."""
        self._store.apply(transitions.pause_switched, on=False)

    def switch_compensation(self, *, on: bool) -> str:
        """Switch temperature compensation on or off and return its new state, as a sentence.

        Raises:
            ConfigurationError: The settings do not enable it.
        """
        if not self.can_compensate:
            if on:
                raise ConfigurationError(
                    "The compensation stays off: the settings do not enable it. Set compensation.enabled: true and "
                    "focuser.temperature_coefficient_steps_per_c, which `alpaca-focus calibrate temperature` measures."
                )
            return "The compensation is off, by the settings."
        self._store.apply(transitions.compensation_switched, on=on)
        state = "on, from the present position and temperature" if on else "off until `alpaca-focus compensation on`"
        return f"The compensation is {state}."

    def report_plan(self, plan: Plan) -> None:
        """Record the kind of frames that the imaging program takes."""
        self._store.apply(transitions.plan_reported, plan)

    def report_filter(self, name: str) -> None:
        """Record the current filter; it counts only without a filter wheel."""
        self._store.apply(transitions.filter_reported, name)

    def report_flip(self) -> None:
        """Record a meridian flip."""
        self._store.apply(transitions.flip_reported)

    def report_image(self, hfd_px: float | None) -> None:
        """Record a light frame; from now on images are counted from such reports alone."""
        self._dependencies.poller.stop_counting()
        self._store.apply(transitions.image_reported, hfd_px)

    def report_hfd(self, hfd_px: float, ended_at: datetime | None) -> None:
        """Record the size of the stars, in unbinned pixels, on a light frame that is counted elsewhere.

        The exposure ended at `ended_at`, UTC; `None`: not known, and assumed to be recent.
        """
        state = self._store.state
        light = Light(
            ended_at=ended_at or self._dependencies.clock.wall(),
            hfd_px=hfd_px,
            position=state.history.focuser.read,
            filter_name=state.history.filter_name,
            temperature_c=state.history.followed.latest_c,
        )
        self._store.save_light(light)
        self._dependencies.light(light)
        self._store.apply(transitions.hfd_reported, hfd_px, ended_at)
