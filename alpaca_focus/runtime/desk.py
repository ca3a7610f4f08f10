"""What people and scripts say of the night: it is noted at once, and the next look goes by it."""

from dataclasses import replace
from datetime import datetime

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.core.night import Plan, belongs_to_focus, told_hfd, told_image
from alpaca_focus.core.values import Light
from alpaca_focus.runtime.dependencies import Dependencies
from alpaca_focus.runtime.night_book import NightBook
from alpaca_focus.runtime.night_settings import NightSettings


class Desk:
    """Takes note of it; nothing is begun here.

    Args:
        dependencies: Of the keeper; the lookout, the clock and `light` are used.
        settings: What the night is kept by.
        book: The night so far.
    """

    def __init__(self, dependencies: Dependencies, settings: NightSettings, book: NightBook) -> None:
        self._dependencies = dependencies
        self._settings = settings
        self._book = book

    def refocus(self) -> None:
        """Want a refocus as soon as possible."""
        self._book.set_history(replace(self._book.state.history, asap=True, by_hand=False))

    def pause(self) -> None:
        """Do nothing by itself until `resume`; a run that is under way goes on to its end."""
        self._book.state = replace(self._book.state, paused=True)
        self._book.save()

    def resume(self) -> None:
        """Go on."""
        self._book.state = replace(self._book.state, paused=False)
        self._book.save()

    def follow(self, *, enabled: bool) -> str:
        """Follow the temperature between two refocuses, or do not; says which.

        Raises:
            ConfigurationError: The settings do not say how to follow it.
        """
        if self._settings.compensation is None:
            if enabled:
                raise ConfigurationError(
                    "The compensation stays off: the settings do not ask for it. Set compensation.enabled: true and "
                    "focuser.temperature_coefficient_steps_per_c, which `alpaca-focus calibrate temperature` measures."
                )
            return "The compensation is off, by the settings."
        state, compensated = self._book.state, self._book.state.compensated
        if enabled and not state.follows:
            # What has changed while it was off is not caught up with: the focuser stands where somebody wanted it.
            history = state.history
            compensated = replace(compensated, at_c=history.followed.mean_c, at_altitude_deg=history.altitude_deg)
        self._book.state = replace(state, follows=enabled, compensated=compensated)
        self._book.save()
        if enabled:
            return "The compensation is on: the focuser follows from here."
        return "The compensation is off: the focuser follows no more until `alpaca-focus compensation on`."

    @property
    def can_follow(self) -> bool:
        """Whether the settings say how to follow the temperature."""
        return self._settings.compensation is not None

    def tell_plan(self, plan: Plan) -> None:
        """Take note of what the imaging program takes."""
        self._book.state = replace(self._book.state, plan=plan)
        self._book.save()

    def tell_filter(self, name: str) -> None:
        """Take note of the filter in the light; it counts where there is no wheel to be asked."""
        self._book.state = replace(self._book.state, told_filter=name)
        self._book.save()

    def tell_flip(self) -> None:
        """Take note of a meridian flip."""
        self._book.set_history(replace(self._book.state.history, flipped=True))

    def tell_image(self, hfd_px: float | None) -> None:
        """Take note of a light frame."""
        self._dependencies.lookout.leave_counting()
        self._book.set_history(told_image(self._book.state.history, hfd_px))

    def tell_hfd(self, hfd_px: float, ended_at: datetime | None) -> None:
        """Take note of the size of the stars on a light frame that is counted otherwise.

        Args:
            hfd_px: In unbinned pixels.
            ended_at: End of its exposure, UTC; `None`: not known, and believed to be of late.
        """
        history, moved_steps = self._book.state.history, self._book.state.compensated.moved_steps
        baseline = history.baseline
        light = Light(
            ended_at=ended_at or self._dependencies.clock.wall(),
            hfd_px=hfd_px,
            position=None if baseline is None else baseline.position + moved_steps,
            filter_name=history.filter_name,
            temperature_c=history.followed.latest_c,
        )
        self._book.keep_light(light)
        self._dependencies.light(light)
        if belongs_to_focus(history, ended_at):
            self._book.set_history(told_hfd(history, hfd_px))
