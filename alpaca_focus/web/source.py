"""The night as the web server sees it: nothing here may hold up the daemon."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from alpaca_focus.core.status import MeasuredFrame
from alpaca_focus.feed.feed import Feed
from alpaca_focus.feed.night_curves import NightCurves
from alpaca_focus.feed.run_progress import RunTracker
from alpaca_focus.service.control_wire import Request
from alpaca_focus.store.run_store import SavedRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture of the last focus frame.

    Attributes:
        png: The picture.
        frame: The frame that it shows.
    """

    png: bytes
    frame: MeasuredFrame


class Viewers:
    """How many dashboards look just now; counted in the server's loop, and may be read in any thread."""

    def __init__(self) -> None:
        self.count = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NightSource:
    """What is shown, and who is told what people want.

    Attributes:
        feed: What happens.
        answer: Has a command carried out by the daemon; called in the server's loop.
        directory: Folder of the history.
        curves: Temperature and position.
        runs: Follows the focus runs.
        picture: Returns the last focus frame; `None`: there is none.
        draw: Draws a run of the history as a PNG picture; called in a thread.
        viewers: Who looks.
        version: Of this program.
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
