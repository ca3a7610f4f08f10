"""A gateway without a network: a fake camera, a fake engine, and a clock that tests advance."""

import asyncio
import heapq
import itertools
import json
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.alpaca.replies import ApiRequest, Reply
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.core.errors import ConfigurationError, DeviceMisbehaved
from alpaca_focus.core.values import Position
from alpaca_focus.gateway.camera_arbiter import CameraArbiter
from alpaca_focus.gateway.engine import LightFrame
from alpaca_focus.gateway.upstream import Upstream, UpstreamLost
from alpaca_focus.gateway.virtual_camera import VirtualCamera
from alpaca_focus.gateway.virtual_devices import VirtualDevice

PATIENCE_S = 60.0
IDLE_S = 30.0
LEAST_IMAGE_S = 10.0
ROUNDS = 150
"""More rounds of the loop than anything here needs to come to rest."""


class ManualClock:
    """A clock that tests advance; sleepers wake in order."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def wall(self) -> datetime:
        return datetime(2026, 1, 1, 22, tzinfo=UTC) + timedelta(seconds=self.now_s)

    def monotonic(self) -> float:
        return self.now_s

    async def sleep(self, duration_s: float) -> None:
        if duration_s <= 0:
            await asyncio.sleep(0)
            return
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now_s + duration_s, next(self._numbers), future))
        await future

    async def pass_s(self, duration_s: float) -> None:
        await settled()
        ends_s = self.now_s + duration_s
        while self._sleepers and self._sleepers[0][0] <= ends_s:
            at_s, _, future = heapq.heappop(self._sleepers)
            if future.done():
                continue
            self.now_s = max(self.now_s, at_s)
            future.set_result(None)
            await settled()
        self.now_s = ends_s
        await settled()


async def settled() -> None:
    """Let everything go on that does not wait for time or for a person."""
    for _ in range(ROUNDS):
        await asyncio.sleep(0)


class FakeUpstream:
    """A device of a few values.

    Attributes:
        values: What it answers, by member; an AlpacaError is raised.
        puts: Commands that it has carried out, in order: member and parameters.
        refuses: Its refusals of commands, by member.
        lost: Whether its server is lost.
        gates: What a request waits for before the device sees it, by member.
        breaks_off: Members whose reply is lost after they were carried out.
        in_pieces: Whether replies are sent in pieces.
    """

    def __init__(self, device_type: DeviceType, values: dict[str, Any] | None = None) -> None:
        self.device_type = device_type
        self.values: dict[str, Any] = {"supportedactions": ["Polish", "Status"], "connected": True} | (values or {})
        self.puts: list[tuple[str, dict[str, Any]]] = []
        self.refuses: dict[str, AlpacaError] = {}
        self.lost = False
        self.gates: dict[str, asyncio.Event] = {}
        self.breaks_off: set[str] = set()
        self.in_pieces = False

    name = "device 0 at 127.0.0.1:1"

    async def get(self, member: str, **_parameters: object) -> Any:
        if member in self.gates:
            await self.gates[member].wait()
        await asyncio.sleep(0)
        if self.lost:
            raise UpstreamLost("The server is lost.")
        value = self.read(member)
        if isinstance(value, AlpacaError):
            raise value
        return value

    async def put(self, member: str, **parameters: Any) -> Any:
        if member in self.gates:
            await self.gates[member].wait()
        await asyncio.sleep(0)
        if self.lost:
            raise UpstreamLost("The server is lost.")
        if member in self.refuses:
            raise self.refuses[member]
        self.puts.append((member, parameters))
        self.carry_out(member, parameters)
        await asyncio.sleep(0)
        return None

    async def forward(self, request: ApiRequest) -> Reply:
        fields: dict[str, Any] = {"ErrorNumber": 0, "ErrorMessage": ""}
        try:
            if request.method == "GET":
                fields["Value"] = await self.get(request.member)
            else:
                await self.put(request.member, **{key: typed(text) for key, text in request.parameters.items()})
        except AlpacaError as error:
            fields |= {"ErrorNumber": int(error.number), "ErrorMessage": error.message}
        except UpstreamLost:
            return Reply(hang_up=True)
        if request.member in self.breaks_off:
            return Reply(hang_up=True)
        body = json.dumps(fields).encode()
        return Reply(body=pieces_of(body)) if self.in_pieces else Reply(body=body)

    def read(self, member: str) -> Any:
        return self.values.get(member, AlpacaError(ErrorNumber.NOT_IMPLEMENTED, f"No {member}."))

    def carry_out(self, member: str, parameters: dict[str, Any]) -> None:
        """Do what a PUT asks for; here: properties become what they are set to."""
        if member in self.values and len(parameters) == 1:
            self.values[member] = next(iter(parameters.values()))

    def sent(self, member: str) -> list[dict[str, Any]]:
        return [parameters for name, parameters in self.puts if name == member]


async def pieces_of(body: bytes) -> Any:
    yield body[:7]
    yield body[7:]


def typed(text: str) -> Any:
    try:
        return json.loads(text.lower())
    except ValueError:
        return text


class FakeCamera(FakeUpstream):
    """A camera that exposes by the clock, and notes when it began what with which settings."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(
            DeviceType.CAMERA,
            {
                "readoutmode": 0,
                "readoutmodes": ["slow", "fast"],
                "binx": 1,
                "biny": 1,
                "maxbinx": 4,
                "maxbiny": 4,
                "canasymmetricbin": True,
                "startx": 10,
                "starty": 20,
                "numx": 600,
                "numy": 400,
                "cameraxsize": 1000,
                "cameraysize": 800,
                "gain": 100,
                "gainmin": 0,
                "gainmax": 300,
                "exposuremin": 0.001,
                "exposuremax": 3600.0,
                "lastexposureduration": 5.0,
                "lastexposurestarttime": "2026-01-01T21:00:00",
            },
        )
        self._clock = clock
        self.began: list[tuple[float, bool, dict[str, Any]]] = []
        self.ends_s: float | None = None
        self.has_image = True
        self.stale_s = 0.0

    def settings(self) -> dict[str, Any]:
        names = ("readoutmode", "binx", "biny", "startx", "starty", "numx", "numy", "gain")
        return {name: self.values[name] for name in names}

    @property
    def exposes(self) -> bool:
        return self.ends_s is not None and self._clock.now_s < self.ends_s

    def read(self, member: str) -> Any:
        is_stale = bool(self.began) and self._clock.now_s < self.began_s + self.stale_s
        shown: dict[str, Callable[[], Any]] = {
            "camerastate": lambda: 2 if self.exposes and not is_stale else 0,
            "imageready": lambda: self.has_image and (is_stale or not self.exposes),
            "percentcompleted": lambda: 50 if self.exposes else 100,
            "imagearray": lambda: [[1]],
            "devicestate": lambda: [
                {"Name": name, "Value": self.read(name.lower())}
                for name in ("CameraState", "ImageReady", "PercentCompleted")
            ],
        }
        return shown[member]() if member in shown else super().read(member)

    def carry_out(self, member: str, parameters: dict[str, Any]) -> None:
        match member:
            case "startexposure":
                if self.exposes:
                    raise AlpacaError(ErrorNumber.INVALID_OPERATION, "The camera is exposing.")
                self.began.append((parameters["Duration"], parameters["Light"], self.settings()))
                self.began_s = self._clock.now_s
                self.ends_s, self.has_image = self._clock.now_s + parameters["Duration"], True
                self.values |= {"lastexposureduration": parameters["Duration"]}
            case "abortexposure":
                self.ends_s, self.has_image = None, False
            case "stopexposure":
                self.ends_s = self._clock.now_s
            case _:
                super().carry_out(member, parameters)
                if member == "binx" and self.values["canasymmetricbin"] is False:
                    self.values["biny"] = self.values["binx"]


@dataclass
class FakeEngine:
    """An engine that records its calls.

    Attributes:
        job: What it does in a gap.
        calls: Its calls and their reasons.
        frames: What it was shown.
        decided: The numbers of images with which it was asked to decide.
        due_after: Number of images after which a refocus is due; `None`: it never is by itself.
        moves: Where it was asked to move the focuser; `move_ends`, if there is one, ends the move.
        moves_itself: Whether it does so, or leaves it to the gateway.
        at_rest: Set while nothing is under way.
    """

    job: Callable[[], Awaitable[None]] | None = None
    measures_stars: bool = False
    compensates_moves: bool = False
    moves: list[Position] = field(default_factory=list)
    move_ends: asyncio.Event | None = None
    move_fails: bool = False
    moves_itself: bool = True
    wants_gap: bool = False
    correcting: bool = False
    focusing: bool = False
    calls: list[str] = field(default_factory=list)
    moved_to: list[Position | None] = field(default_factory=list)
    frames: list[LightFrame] = field(default_factory=list)
    gaps: int = 0
    decided: list[int] = field(default_factory=list)
    due_after: int | None = None
    images: Callable[[], int] = lambda: 0
    refuses: str = ""

    def __post_init__(self) -> None:
        self.at_rest = asyncio.Event()
        self.at_rest.set()
        self.gives_way = asyncio.Event()

    async def decide(self) -> None:
        self.decided.append(self.images())
        if self.due_after is not None and self.images() >= self.due_after:
            self.wants_gap = True

    async def use_gap(self) -> None:
        self.gaps += 1
        if self.job is not None:
            await self.job()

    async def wait_until_idle(self) -> None:
        await self.at_rest.wait()

    def give_way(self, why: str) -> None:
        self.calls.append(why)
        self.gives_way.set()

    async def move_focuser(self, target: Position) -> bool:
        self.correcting = True
        self.at_rest.clear()
        self.moves.append(target)
        try:
            if self.move_ends is not None:
                await self.move_ends.wait()
            if self.move_fails:
                raise DeviceMisbehaved("focuser 0", "It is stuck.")
        except asyncio.CancelledError:
            self.calls.append("halted")
            raise
        finally:
            self.correcting = False
            self.at_rest.set()
        return self.moves_itself

    def program_moves(self) -> None:
        self.calls.append("the program moves")

    def program_has_moved(self, position: Position | None) -> None:
        self.moved_to.append(position)

    def measure_frame(self, frame: LightFrame) -> None:
        self.frames.append(frame)

    async def run_action(self, action: str) -> str:
        if self.refuses:
            raise ConfigurationError(self.refuses)
        return f"done: {action}"


class Client:
    """Asks a virtual device as an imaging program does."""

    def __init__(self, device: VirtualDevice) -> None:
        self.device = device
        self._numbers = itertools.count(1)

    async def reply(self, method: str, member: str, **parameters: object) -> Reply:
        sent = {name: str(value) for name, value in parameters.items()}
        return await self.device(
            ApiRequest(
                method=method,
                device_type=str(self.device.upstream.device_type),
                device_number=0,
                member=member,
                parameters=sent,
                query=sent if method == "GET" else {},
                accept="application/json",
                client_id=7,
                client_transaction_id=next(self._numbers),
                server_transaction_id=1,
            )
        )

    async def get(self, member: str) -> Any:
        return await _value(await self.reply("GET", member))

    async def put(self, member: str, **parameters: object) -> Any:
        return await _value(await self.reply("PUT", member, **parameters))

    async def start(self, exposure_s: float = 60.0, *, light: bool = True) -> None:
        await self.put("startexposure", Duration=exposure_s, Light=light)


async def _value(reply: Reply) -> Any:
    if reply.hang_up:
        raise ConnectionResetError
    body: Any = reply.body
    fields = json.loads(body if isinstance(body, bytes) else b"".join([piece async for piece in body]))
    if fields["ErrorNumber"]:
        raise AlpacaError(fields["ErrorNumber"], fields["ErrorMessage"])
    return fields.get("Value")


class CameraScene:
    """A virtual camera before a real one; to be made in a loop."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.camera = FakeCamera(self.clock)
        self.engine = FakeEngine()
        self.arbiter = CameraArbiter(
            self.upstream,
            self.engine,
            self.clock,
            patience_s=PATIENCE_S,
            idle_s=IDLE_S,
            least_image_s=LEAST_IMAGE_S,
        )
        self.engine.images = lambda: self.arbiter.exposures.images
        self.device = VirtualCamera(self.upstream, self.engine, self.arbiter)
        self.client = Client(self.device)
        self.run_exposes_s = 2.0

    @property
    def upstream(self) -> Upstream:
        return cast("Upstream", self.camera)

    async def run(self, duration_s: float = 20.0) -> None:
        """Take the camera as a focus run does, use it, release it; sooner on `give_way`."""
        self.engine.focusing = True
        try:
            await self.arbiter.acquire()
            await self.misuse()
            sleeping = asyncio.ensure_future(self.clock.sleep(duration_s))
            stopped = asyncio.ensure_future(self.engine.gives_way.wait())
            try:
                await asyncio.wait({sleeping, stopped}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                sleeping.cancel()
                stopped.cancel()
                await asyncio.gather(sleeping, stopped, return_exceptions=True)
            self.camera.ends_s = None
        finally:
            await self.arbiter.release()
            self.engine.focusing = self.engine.wants_gap = False

    async def misuse(self) -> None:
        """Set the camera as no imaging program has it, and expose."""
        for member, value in {"binx": 2, "biny": 2, "startx": 0, "starty": 0, "numx": 500, "numy": 400}.items():
            await self.camera.put(member, **{member: value})
        await self.camera.put("gain", Gain=7)
        self.camera.ends_s = self.clock.now_s + self.run_exposes_s
        self.camera.values |= {"lastexposureduration": 2.0}

    async def first_check(self) -> None:
        """Have the first look, which every night begins with, behind it."""
        await self.client.start()
        await self.clock.pass_s(61.0)

    async def hanging(self) -> None:
        await asyncio.get_running_loop().create_future()

    async def close(self) -> None:
        self.arbiter.close()
        self.device.close()
        await settled()


def played(play: Callable[[CameraScene], Coroutine[Any, Any, None]]) -> CameraScene:
    """Play a scene to its end, and check that no task is left."""

    async def whole() -> CameraScene:
        scene = CameraScene()
        try:
            await play(scene)
        finally:
            await scene.close()
        return scene

    return asyncio.run(whole())
