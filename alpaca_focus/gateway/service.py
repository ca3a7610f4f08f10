"""The gateway as a whole: the virtual devices, in a thread and a loop of their own."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

import structlog

from alpaca_focus.alpaca.discovery import DISCOVERY_PORT
from alpaca_focus.alpaca.errors import AlpacaError
from alpaca_focus.alpaca.running import RunningServer
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.core.status import GatewayStatus
from alpaca_focus.gateway.camera_access import GatewayCameraSharing, GatewayCameraWatch
from alpaca_focus.gateway.camera_arbiter import CameraArbiter
from alpaca_focus.gateway.engine import Engine, LightFrame
from alpaca_focus.gateway.gateway_server import PassThrough
from alpaca_focus.gateway.passed_images import PassedImage
from alpaca_focus.gateway.program_exposures import Exposed
from alpaca_focus.gateway.upstream import Upstream, UpstreamLost
from alpaca_focus.gateway.virtual_camera import VirtualCamera
from alpaca_focus.gateway.virtual_devices import VirtualDevice, VirtualMount
from alpaca_focus.gateway.virtual_focuser import VirtualFilterWheel, VirtualFocuser
from alpaca_focus.ports import CameraWatch, Clock

FACTS = ("binx", "maxadu", "sensortype", "electronsperadu")

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RealDevice:
    """Where a real device is found.

    Attributes:
        device_type: Its type.
        authority: Its server, "host:port".
        device_number: Its number.
        unique_id: Its UniqueID; empty: the number counts.
    """

    device_type: DeviceType
    authority: str
    device_number: int
    unique_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """How the gateway works.

    Attributes:
        listen: Address to listen on.
        port: Port; 0: a free one.
        allowed: Networks from which clients may come.
        discovery: Whether to answer Alpaca's discovery.
        patience_s: Longest time for which an exposure is held back.
        idle_s: After so long without an exposure a run does not wait for the next one.
        least_image_s: Shorter exposures are test shots.
        location: Where the gateway stands, for people.
        version: Its version.
    """

    listen: str
    port: int
    allowed: tuple[IPv4Network | IPv6Network, ...]
    discovery: bool
    patience_s: float
    idle_s: float
    least_image_s: float
    location: str
    version: str


class Gateway:
    """Serves the virtual devices while it is open.

    Args:
        devices: The real ones; a camera and a focuser are among them.
        engine: Decides what is due.
        clock: Time.
        settings: How it works.

    Attributes:
        app: What it serves, as an ASGI application.
    """

    def __init__(self, devices: Sequence[RealDevice], engine: Engine, clock: Clock, settings: GatewaySettings) -> None:
        upstreams = {
            each.device_type: Upstream(
                each.device_type,
                authority=each.authority,
                device_number=each.device_number,
                unique_id=each.unique_id,
            )
            for each in devices
        }
        self._engine = engine
        self._settings = settings
        self._camera = upstreams[DeviceType.CAMERA]
        self._camera.on_image = self._image_passed
        self._arbiter = CameraArbiter(
            self._camera,
            engine,
            clock,
            patience_s=settings.patience_s,
            idle_s=settings.idle_s,
            least_image_s=settings.least_image_s,
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: RunningServer | None = None
        self._doors = self._virtual_devices(upstreams, clock)
        self.app = PassThrough(
            tuple(upstreams.values()),
            allowed=settings.allowed,
            version=settings.version,
            location=settings.location,
            doors=self._doors,
        )

    def _virtual_devices(
        self, upstreams: Mapping[DeviceType, Upstream], clock: Clock
    ) -> Mapping[DeviceType, VirtualDevice]:
        engine, arbiter = self._engine, self._arbiter
        special: Mapping[DeviceType, Callable[[Upstream], VirtualDevice]] = {
            DeviceType.CAMERA: lambda camera: VirtualCamera(camera, engine, arbiter),
            DeviceType.FOCUSER: lambda focuser: VirtualFocuser(focuser, engine, arbiter, clock),
            DeviceType.FILTERWHEEL: lambda wheel: VirtualFilterWheel(wheel, engine, arbiter.look_again, clock),
            DeviceType.TELESCOPE: lambda mount: VirtualMount(mount, engine, arbiter.look_again),
        }
        # The others are passed through, but for what every device in front has.
        return {
            kind: special[kind](upstream) if kind in special else VirtualDevice(upstream, engine)
            for kind, upstream in upstreams.items()
        }

    def open(self) -> None:
        """Listen, and serve from now on.

        Raises:
            ServerStartError: It cannot listen there.
        """
        self._server = RunningServer(
            self.app,
            host=self._settings.listen,
            port=self._settings.port,
            discovery_port=DISCOVERY_PORT if self._settings.discovery else None,
        )
        _log.info("The gateway serves the imaging program", address=self.address)

    def close(self) -> None:
        """Drop every connection and all work, and stop."""
        if self._server is not None:
            self._server.call(self._drop_work)
            self._server.stop()

    def _drop_work(self) -> None:
        """Cancel what goes on beside the requests, in the gateway's loop."""
        self._arbiter.close()
        for device in self._doors.values():
            device.close()
        for task in self._tasks:
            task.cancel()

    @property
    def address(self) -> str:
        """Where it listens, "host:port"."""
        assert self._server is not None  # noqa: S101 - it is open
        return self._server.address

    def sharing(self) -> GatewayCameraSharing:
        """Return how a focus run shares the camera with the imaging program."""
        assert self._server is not None  # noqa: S101 - it is open
        return GatewayCameraSharing(self._server, self._arbiter, self._camera.name)

    def watch(self, camera: CameraWatch) -> GatewayCameraWatch:
        """Return the watch that knows the imaging program's exposures besides looking at the camera."""
        return GatewayCameraWatch(camera, self._arbiter)

    def status(self) -> GatewayStatus:
        """Return its part of the daemon's status; from any thread."""
        arbiter = self._arbiter
        return GatewayStatus(
            address=self.address,
            waits=arbiter.held,
            taken=arbiter.leased,
            interrupted=arbiter.waits_for_gap,
            images=arbiter.exposures.images,
        )

    @property
    def waits_for_gap(self) -> bool:
        """Whether a focus run waits for a gap in the imaging; from any thread."""
        return self._arbiter.waits_for_gap

    def _image_passed(self, image: PassedImage) -> None:
        exposed = self._arbiter.exposures.passed()
        if exposed is None:
            image.release()
            return
        task = asyncio.create_task(self._show(image, exposed))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _show(self, image: PassedImage, exposed: Exposed) -> None:
        """Give an image to the engine, with the camera's facts about it."""
        try:
            frame = LightFrame(
                image=image, exposure_s=exposed.exposure_s, started_at=exposed.at, facts=await self._facts()
            )
            self._engine.light_frame(frame)
        except asyncio.CancelledError:
            image.release()
            raise
        except Exception:  # noqa: BLE001 - the log has it whole, and the imaging program has its image
            _log.exception("An image that passed through the gateway could not be looked at")
            image.release()

    async def _facts(self) -> Mapping[str, float]:
        facts: dict[str, float] = {}
        program = self._arbiter.saved.program
        for member in FACTS:
            try:
                # While a focus run has the camera, its settings are not those of the image.
                is_kept = program is not None and member in program.answers
                facts[member] = float(program.get(member) if program and is_kept else await self._camera.get(member))
            except (AlpacaError, UpstreamLost, TypeError, ValueError) as error:
                _log.debug("The camera does not say what a frame is like", member=member, why=str(error))
        return facts
