"""What the web server needs from the daemon; nothing here may block the daemon's loop."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from alpaca_focus.core.status import MeasuredFrame
from alpaca_focus.core.values import SavedRun
from alpaca_focus.feed.feed import Feed
from alpaca_focus.feed.night_curves import NightCurves
from alpaca_focus.feed.run_progress import RunTracker
from alpaca_focus.service.control_wire import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """The last focus frame as a PNG picture."""

    png: bytes
    frame: MeasuredFrame


class Viewers:
    """The number of open dashboards; changed in the server's loop, readable from any thread."""

    def __init__(self) -> None:
        self.count = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NightSource:
    """The night's data and the entry point for commands.

    Attributes:
        answer: Has a command carried out by the daemon; called in the server's loop.
        directory: Folder of the history.
        curves: Temperature and position.
        picture: Returns the last focus frame; `None` if there is none.
        draw: Draws a run of the history as a PNG picture; called in a thread.
        version: Version of this program.
    """

    feed: Feed
    answer: Callable[[Request], Awaitable[Mapping[str, object]]]
    directory: Path
    curves: NightCurves
    runs: RunTracker
    picture: Callable[[], Picture | None]
    draw: Callable[[SavedRun], bytes]
    viewers: Viewers = field(default_factory=Viewers)
    version: str
