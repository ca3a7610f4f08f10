"""The dependencies of the keeper of the night."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from alpaca_focus.core.compensation import Compensated
from alpaca_focus.core.night import History
from alpaca_focus.core.values import FocusResult, Light
from alpaca_focus.ports import Clock, Focuser, Guider
from alpaca_focus.runtime.lookout import Lookout
from alpaca_focus.runtime.restore_marker import RestoreMarker
from alpaca_focus.runtime.store import RunStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies:
    """What the keeper is given.

    Attributes:
        focuser: Is moved.
        lookout: Polls the observatory.
        focus: Carries out a focus run for a reason; aborts it when cancelled, and restores the focuser first.
        store: Keeps the night; `None`: it is not kept.
        restore_marker: Keeps where the focuser belongs during a focus run.
        clock: Time.
        guider: Is waited for after small moves; `None`: there is none.
        probable_defocus: Returns the focus model's defocus for a history and the compensation since.
        light: Called with the metrics of each light frame.
        changed: Called when something begins or ends.
    """

    focuser: Focuser
    lookout: Lookout
    focus: Callable[[str], Coroutine[Any, Any, FocusResult]]
    store: RunStore | None
    restore_marker: RestoreMarker
    clock: Clock
    guider: Guider | None = None
    probable_defocus: Callable[[History, Compensated], float | None] = lambda _, __: None
    light: Callable[[Light], None] = lambda _: None
    changed: Callable[[], None] = lambda: None
