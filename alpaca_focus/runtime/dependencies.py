"""What the keeper of the night works with."""

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
    """What the keeper works with.

    Attributes:
        focuser: Is moved.
        lookout: Looks.
        focus: Carries out a focus run for a reason; aborts it when cancelled, and brings the focuser home first.
        store: Where the night is kept; `None`: nowhere.
        restore_marker: Where the focuser belongs during a focus run.
        clock: Time.
        guider: Is waited for after small moves; `None`: there is none.
        probable_defocus: What the focus model says of a history and of what has been followed since.
        light: Told what a light frame has said.
        changed: Told that something begins or ends.
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
