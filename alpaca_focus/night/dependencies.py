"""The settings, devices and services that the night is run with."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from alpaca_focus.core.night.compensation import Compensated, CompensationSettings
from alpaca_focus.core.night.focuser_watch import PositionRules
from alpaca_focus.core.night.state import History, Patience, Reading
from alpaca_focus.core.night.triggers import Trigger
from alpaca_focus.core.sweep.backlash import Backlash, Limits
from alpaca_focus.core.values import FocusResult, Light
from alpaca_focus.night.poller import Poller
from alpaca_focus.ports import Clock, Focuser, Guider
from alpaca_focus.run.restore_marker import RestoreMarker
from alpaca_focus.store.run_store import RunStore


@dataclass(frozen=True, slots=True, kw_only=True)
class NightSettings:
    """The user's settings for the night.

    Attributes:
        night_below_deg: It is night while the sun is below; `None`: the sun is ignored.
        compensation: `None`: the focuser does not follow the temperature.
        between_exposures: Whether compensation moves only while the camera does not expose.
        offsets_steps: Focus offsets by filter to move by after a change; empty: none are known, or none are used.
        positions: How a position is judged that differs from the one the focuser was moved to.
        compensates_program: Whether the imaging program's moves are made with the backlash taken up.
        watches_for_gaps: Whether to log advice when the imaging program leaves no gap.
    """

    triggers: tuple[Trigger, ...]
    night_below_deg: float | None
    reading: Reading
    patience: Patience
    compensation: CompensationSettings | None
    between_exposures: bool
    offsets_steps: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    backlash: Backlash
    limits: Limits
    positions: PositionRules = field(default_factory=PositionRules)
    compensates_program: bool = False
    watches_for_gaps: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies:
    """The devices and services that the scheduler uses.

    Attributes:
        focus: Carries out a focus run for a reason; when cancelled, it aborts the run and returns the focuser first.
        store: Where the night is saved; `None`: nowhere.
        restore_marker: Where the focuser belongs during a focus run.
        guider: Must be steady again after correction moves; `None`: there is none.
        probable_defocus: Returns the focus model's estimate from the history and the compensation since.
        light: Called with each measured light frame.
        changed: Called when a run or a move begins or ends.
    """

    focuser: Focuser
    poller: Poller
    focus: Callable[[str], Coroutine[Any, Any, FocusResult]]
    store: RunStore | None
    restore_marker: RestoreMarker
    clock: Clock
    guider: Guider | None = None
    probable_defocus: Callable[[History, Compensated], float | None] = lambda _, __: None
    light: Callable[[Light], None] = lambda _: None
    changed: Callable[[], None] = lambda: None
