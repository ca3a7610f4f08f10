"""Small devices behind a real Alpaca server, each with the habits of some real one, for testing the adapters."""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.alpaca.replies import ApiRequest, Handler, ImageReply, Reply
from alpaca_focus.alpaca.running import RunningServer
from alpaca_focus.alpaca.served import ServedDevice
from alpaca_focus.alpaca.server import AlpacaServer
from alpaca_focus.alpaca.standard import DeviceType

HANG = "hang"
TIME_FACTOR = 10.0
"""How much faster than real the devices' time runs; their adapters need a clock that does the same."""


def now_s() -> float:
    return TIME_FACTOR * time.monotonic()


@dataclass
class Faults:
    """Stands before every request; by member, what happens instead of the member's own answer."""

    instead: dict[str, Reply | str] = field(default_factory=dict)
    before: dict[str, list[Reply]] = field(default_factory=dict)
    """Replies to the first requests of a member."""
    delay_s: dict[str, float] = field(default_factory=dict)
    """Real seconds before a member is carried out."""
    change: Callable[[ApiRequest, Reply], Reply] | None = None
    seen: list[ApiRequest] = field(default_factory=list)

    async def __call__(self, request: ApiRequest, handler: Handler) -> Reply:
        self.seen.append(request)
        first = self.before.get(request.member)
        if first:
            return first.pop(0)
        fault = self.instead.get(request.member)
        if isinstance(fault, Reply):
            return fault
        if fault == HANG:
            await asyncio.sleep(3600)
        await asyncio.sleep(self.delay_s.get(request.member, 0.0))
        reply = await handler(request)
        return reply if self.change is None else self.change(request, reply)

    def count(self, method: str, member: str) -> int:
        return sum(1 for request in self.seen if (request.method, request.member) == (method, member))


async def until(condition: Callable[[], object]) -> None:
    """Wait until something is so; the test's own timeout ends a wait in vain."""
    while not condition():  # noqa: ASYNC110 - what is waited for happens in another thread
        await asyncio.sleep(0.01)


def serve(
    devices: Iterable[ServedDevice] | dict[Any, ServedDevice], faults: Faults, port: int = 0, host: str = "127.0.0.1"
) -> RunningServer:
    server = AlpacaServer(
        devices,
        server_name="test",
        manufacturer="test",
        manufacturer_version="1",
        location="here",
        interceptor=faults,
    )
    return RunningServer(server, host=host, port=port)


def refuse(text: str, number: int = ErrorNumber.INVALID_OPERATION) -> AlpacaError:
    return AlpacaError(number, text)


class ServedFocuser(ServedDevice):
    """A focuser."""

    device_type = DeviceType.FOCUSER

    def __init__(self, **changes: Any) -> None:
        super().__init__(name="Test focuser", unique_id="focuser-one", interface_version=changes.pop("version", 4))
        self.absolute = True
        self.max_step = 10000
        self.max_increment = 10000
        self.speed_steps_s = 4000.0
        self.start_delay_s = 0.0
        self.is_moving = "honest"
        self.stops_short_times = 0
        self.stops_short_steps = 50
        self.rest_error_steps = 0
        self.can_halt = True
        self.temperature: float | None = 12.5
        self.temp_comp: bool | None = None
        self.hardware_error = ""
        for name, value in changes.items():
            setattr(self, name, value)
        self.moves: list[int] = []
        self.halts = 0
        self._from = self._to = 5000
        self._began_s = 0.0

    async def connect_hardware(self) -> None:
        if self.hardware_error:
            raise refuse(self.hardware_error, ErrorNumber.DRIVER_BASE)

    def get_absolute(self) -> bool:
        return self.absolute

    def get_maxstep(self) -> int:
        return self.max_step

    def get_maxincrement(self) -> int:
        return self.max_increment

    def get_position(self) -> int:
        moved = max(0.0, now_s() - self._began_s - self.start_delay_s) * self.speed_steps_s
        way = self._to - self._from
        return round(self._from + np.sign(way) * min(abs(way), moved))

    def get_ismoving(self) -> bool:
        if self.is_moving != "honest":
            return self.is_moving == "stuck" and bool(self.moves)
        return self.get_position() != self._to

    def put_move(self, position: int) -> None:
        self.moves.append(position)
        self._from = self.get_position()
        self._began_s = now_s()
        way = position - self._from
        if self.stops_short_times > 0 and abs(way) >= self.stops_short_steps:
            self.stops_short_times -= 1
            position -= int(np.sign(way)) * self.stops_short_steps
        self._to = position + max(self.rest_error_steps, -abs(way)) * int(np.sign(way))

    def put_halt(self) -> None:
        if not self.can_halt:
            raise refuse("Halt is not implemented", ErrorNumber.NOT_IMPLEMENTED)
        self.halts += 1
        self._from = self._to = self.get_position()

    def get_temperature(self) -> float:
        if self.temperature is None:
            raise refuse("no probe", ErrorNumber.NOT_IMPLEMENTED)
        return self.temperature

    def get_tempcompavailable(self) -> bool:
        return self.temp_comp is not None

    def get_tempcomp(self) -> bool:
        return bool(self.temp_comp)

    def put_tempcomp(self, enabled: bool) -> None:
        if self.temp_comp is None:
            raise refuse("no compensation", ErrorNumber.NOT_IMPLEMENTED)
        self.temp_comp = enabled


class ServedCamera(ServedDevice):
    """A camera whose frames are noise, different each time."""

    device_type = DeviceType.CAMERA

    def __init__(self, **changes: Any) -> None:
        super().__init__(name="Test camera", unique_id="camera-one")
        self.width, self.height = 64, 48
        self.max_adu = 65535
        self.dtype = "uint16"
        self.planes = 0
        self.can_abort = True
        self.read_s = 0.2
        self.stale_s = 0.0
        self.state_after = 0
        self.fails = False
        self.never_ready = False
        self.repeats = 0
        self.dates = True
        self.frees_image = False
        self.sends_next: NDArray[np.generic] | None = None
        """A cached frame, sent instead of that of the next exposure."""
        self.ghost_s: float | None = None
        self.gain_error = 0
        self.ignores: frozenset[str] = frozenset()
        self.lost_writes = 0
        self.frame_shape: tuple[int, int] | None = None
        self.constant: int | None = None
        self.start_time_resolution_s = 0.001
        for name, value in changes.items():
            setattr(self, name, value)
        self.values = {"binx": 1, "biny": 1, "startx": 0, "starty": 0, "numx": self.width, "numy": self.height}
        self.values |= {"gain": 100, "offset": 10}
        self.writes: list[tuple[str, int]] = []
        self.exposures = 0
        self.aborts = 0
        self.downloads = 0
        self._rng = np.random.default_rng()
        self._began_s: float | None = None
        self._duration_s = 0.0
        self._aborted_s: float | None = None
        self._was_ready = False
        self._image: NDArray[np.generic] | None = None
        self._freed: NDArray[np.generic] | None = None
        self._started_at = datetime.now(UTC)

    def __getattr__(self, name: str) -> Any:
        verb, _, member = name.partition("_")
        if verb == "get" and member in self.__dict__.get("values", {}):
            return lambda: self.values[member] - (self.gain_error if member == "gain" else 0)
        if verb == "put" and member in self.__dict__.get("values", {}):
            return lambda value: self._write(member, value)
        raise AttributeError(name)

    def _write(self, member: str, value: int) -> None:
        self.writes.append((member, value))
        if member in self.ignores:
            return
        if self.lost_writes and member in {"startx", "starty", "numx", "numy"}:
            self.lost_writes -= 1
            return
        self.values[member] = value

    def get_cameraxsize(self) -> int:
        return self.width

    def get_cameraysize(self) -> int:
        return self.height

    def get_maxbinx(self) -> int:
        return 4

    def get_maxadu(self) -> int:
        return self.max_adu

    def get_exposuremin(self) -> float:
        return 0.0

    def get_exposuremax(self) -> float:
        return 3600.0

    def get_pixelsizex(self) -> float:
        return 3.76

    def get_canabortexposure(self) -> bool:
        return self.can_abort

    def _elapsed_s(self) -> float:
        return float("-inf") if self._began_s is None else now_s() - self._began_s

    def get_imageready(self) -> bool:
        if self._aborted_s is not None and self.ghost_s is not None:
            return now_s() - self._aborted_s > self.ghost_s
        if self._began_s is None:
            return False
        if self._was_ready and self._elapsed_s() < self.stale_s:
            return True
        return not self.never_ready and not self.fails and self._elapsed_s() >= self._duration_s + self.read_s

    def get_camerastate(self) -> int:
        if self._began_s is None:
            return 0
        if self._elapsed_s() < self._duration_s:
            return 2
        if self.fails:
            return 5
        return self.state_after if self.get_imageready() else 0 if self.never_ready else 3

    def put_startexposure(self, duration: float, light: bool) -> None:
        assert light
        self._was_ready = self.get_imageready()
        self._aborted_s = None
        self.exposures += 1
        self._began_s, self._duration_s = now_s(), duration
        self._started_at = datetime.now(UTC) + timedelta(seconds=self.exposures)
        if self.frees_image and self._freed is not None and self.repeats:
            self._image = self._freed
        if self.repeats and self._image is not None:
            return
        shape = self.frame_shape or (self.values["numy"], self.values["numx"])
        whole = (*shape, self.planes) if self.planes else shape
        noise = self._rng.integers(0, 200, whole) if self.constant is None else np.full(whole, self.constant)
        self._image, self.sends_next = noise.astype(self.dtype) if self.sends_next is None else self.sends_next, None

    def put_abortexposure(self) -> None:
        if not self.can_abort:
            raise refuse("AbortExposure is not implemented", ErrorNumber.NOT_IMPLEMENTED)
        self.aborts += 1
        self._began_s, self._aborted_s = None, now_s()

    def get_lastexposurestarttime(self) -> str:
        if not self.dates:
            raise refuse("it has no clock", ErrorNumber.NOT_IMPLEMENTED)
        return self._started_at.isoformat(timespec="milliseconds")

    def get_lastexposureduration(self) -> float:
        return self._duration_s

    def get_imagearray(self) -> ImageReply:
        self.downloads += 1
        if self._image is None:
            raise refuse("there is no image")
        image = self._image
        if self.frees_image:
            self._image, self._freed = None, image
        if self.repeats:
            self.repeats -= 1
            if not self.repeats:
                self._image = self._rng.integers(0, 200, image.shape).astype(self.dtype)
        return ImageReply(pixels=np.asfortranarray(image))


class ServedWheel(ServedDevice):
    """A filter wheel that turns in 0.5 s."""

    device_type = DeviceType.FILTERWHEEL

    def __init__(self, **changes: Any) -> None:
        super().__init__(name="Test wheel", unique_id="wheel-one")
        self.offsets: list[int] = [0, 120, -3]
        self.values_by_member_moving = True
        self.stuck = False
        for name, value in changes.items():
            setattr(self, name, value)
        self._from = self._to = 0
        self._began_s = 0.0

    def get_names(self) -> list[str]:
        return ["L", "R", "Ha"]

    def get_focusoffsets(self) -> list[int]:
        return self.offsets

    def get_position(self) -> int:
        if self.stuck or now_s() - self._began_s < 0.5:
            return -1 if self.values_by_member_moving and self._from != self._to else self._from
        return self._to

    def put_position(self, position: int) -> None:
        self._from, self._to, self._began_s = self.get_position(), position, now_s()


class ServedMount(ServedDevice):
    """A mount with the given values; `None` is not implemented."""

    device_type = DeviceType.TELESCOPE

    def __init__(self, **values: Any) -> None:
        super().__init__(name="Test mount", unique_id="mount-one")
        self.values_by_member = {
            "tracking": True,
            "atpark": False,
            "slewing": False,
            "sideofpier": 0,
            "altitude": 55.0,
        } | values

    def __getattr__(self, name: str) -> Any:
        value = self.__dict__.get("values_by_member", {}).get(name.removeprefix("get_"))
        if value is None:
            raise AttributeError(name)
        return lambda: value


class ServedWeather(ServedDevice):
    """A weather station with a thermometer."""

    device_type = DeviceType.OBSERVINGCONDITIONS

    def __init__(self, temperature: Any = 4.5) -> None:
        super().__init__(name="Test weather", unique_id="weather-one")
        self.temperature = temperature

    def get_temperature(self) -> Any:
        if self.temperature is None:
            raise refuse("no sensor", ErrorNumber.NOT_IMPLEMENTED)
        return self.temperature


class ServedSafety(ServedDevice):
    """A safety monitor."""

    device_type = DeviceType.SAFETYMONITOR

    def __init__(self, is_safe: bool = True) -> None:
        super().__init__(name="Test safety", unique_id="safety-one")
        self.is_safe = is_safe

    def get_issafe(self) -> bool:
        return self.is_safe
