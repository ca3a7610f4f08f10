"""What the night is kept by, from the user's settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from alpaca_focus.core.backlash import Backlash, Limits
from alpaca_focus.core.compensation import CompensationSettings
from alpaca_focus.core.inhibitors import Rules
from alpaca_focus.core.night import Patience, Reading
from alpaca_focus.core.triggers import Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class NightSettings:
    """How the night is kept.

    Attributes:
        triggers: What makes a refocus due.
        rules: What keeps it waiting.
        reading: How the thermometer is read.
        patience: How long the triggers wait after failed runs.
        compensation: How far to follow; `None`: not at all.
        between_exposures: Whether it follows only while the camera rests.
        offsets_steps: Focus offsets by filter to move by after a change; empty: none are known, or none are used.
        backlash: How targets are approached.
        limits: Where the focuser may go.
        watches_for_gaps: Whether to tell of an imaging program that leaves no gap.
    """

    triggers: tuple[Trigger, ...]
    rules: Rules
    reading: Reading
    patience: Patience
    compensation: CompensationSettings | None
    between_exposures: bool
    offsets_steps: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    backlash: Backlash
    limits: Limits
    watches_for_gaps: bool = False
