"""A small Alpaca server with a camera and a focuser under nine stars, and the habits of servers seen in the field."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alpaca_focus.alpaca.replies import ApiRequest, Handler, Reply
from alpaca_focus.alpaca.running import RunningServer
from alpaca_focus.alpaca.server import AlpacaServer
from tests.served_devices import ServedCamera, ServedFocuser
from tests.synthetic import add_star, drawn_blur

FOCAL_RATIO, PIXEL_UM, SIDE_PX = 5.0, 3.76, 500
START = 5000
DOWNLOADING = 4


@dataclass(kw_only=True)
class Habits:
    """How a server deviates.

    Attributes:
        best: Best focus.
        step_um: True travel of one step.
        reported_step_um: Its StepSize.
        has_noise: Whether two frames of one position differ.
        picture_steps: Positions within such a distance show the same stored picture.
        dates: Whether it reports LastExposureStartTime.
        frees_image: Whether an image can be downloaded only once.
        rests_at_download: Whether CameraState is Download whenever it does not expose.
        json_only: Whether images are JSON, whatever the client requests.
        rest_error_steps: Distance beyond the target at which moves end.
        unanswered: Number of requests, by member, that it never answers.
    """

    best: int = 4550
    step_um: float = 1.0
    reported_step_um: float = 1.0
    has_noise: bool = True
    picture_steps: int = 1
    dates: bool = True
    frees_image: bool = False
    rests_at_download: bool = False
    json_only: bool = False
    rest_error_steps: int = 0
    unanswered: dict[str, int] = field(default_factory=dict)


class ForeignFocuser(ServedFocuser):
    """A focuser at `START`."""

    def __init__(self, habits: Habits) -> None:
        super().__init__(rest_error_steps=habits.rest_error_steps)
        self._from = self._to = START
        self._habits = habits

    def get_stepsize(self) -> float:
        return self._habits.reported_step_um


class ForeignCamera(ServedCamera):
    """A camera that sees stars, the wider the further its focuser is from best focus."""

    def __init__(self, habits: Habits, focuser: ForeignFocuser, rng: np.random.Generator) -> None:
        super().__init__(width=SIDE_PX, height=SIDE_PX, dates=habits.dates, frees_image=habits.frees_image)
        self._habits, self._focuser, self._noise = habits, focuser, rng
        self._places = [(x, y) for x in (90, 250, 410) for y in (90, 250, 410)]

    def put_startexposure(self, duration: float, light: bool) -> None:
        super().put_startexposure(duration, light)
        self._image = self._picture(self._focuser.get_position())

    def _picture(self, position: int) -> NDArray[np.uint16]:
        position = self._habits.picture_steps * round(position / self._habits.picture_steps)
        disc_px = abs(position - self._habits.best) * self._habits.step_um / FOCAL_RATIO / PIXEL_UM
        blur, light = drawn_blur(disc_px=disc_px), np.full((SIDE_PX, SIDE_PX), 500.0)
        for x, y in self._places:
            add_star(light, blur, x, y, 2e5)
        return np.rint(self._noise.poisson(light) if self._habits.has_noise else light).clip(0, 65535).astype(np.uint16)

    def get_camerastate(self) -> int:
        state = super().get_camerastate()
        return DOWNLOADING if state == 0 and self._habits.rests_at_download else state


@dataclass
class SmallServer:
    """A running server; the devices show what was done with them."""

    running: RunningServer
    camera: ForeignCamera
    focuser: ForeignFocuser
    habits: Habits

    @property
    def away_steps(self) -> int:
        return abs(self.focuser.get_position() - self.habits.best)


@contextmanager
def small_server(rng: np.random.Generator, **habits: Any) -> Iterator[SmallServer]:
    """Serve one camera and one focuser with these habits."""
    how = Habits(**habits)
    left = dict(how.unanswered)

    async def answer(request: ApiRequest, handler: Handler) -> Reply:
        if left.get(request.member, 0) > 0 and focuser.moves:
            left[request.member] -= 1
            await asyncio.sleep(3600)
        return await handler(replace(request, accept="") if how.json_only else request)

    focuser = ForeignFocuser(how)
    camera = ForeignCamera(how, focuser, rng)
    app = AlpacaServer(
        [camera, focuser],
        server_name="small",
        manufacturer="",
        manufacturer_version="1",
        location="",
        interceptor=answer,
    )
    with RunningServer(app) as running:
        yield SmallServer(running, camera, focuser, how)
