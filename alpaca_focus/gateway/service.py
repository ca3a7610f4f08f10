"""The gateway: serves the virtual devices in its own thread and event loop."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from ipaddress import IPv4Network, IPv6Network

import structlog

from alpaca_focus.alpaca.discovery import DISCOVERY_PORT
from alpaca_focus.alpaca.errors import AlpacaError
from alpaca_focus.alpaca.running import RunningServer
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.core.status import GatewayStatus
from alpaca_focus.gateway.background import BackgroundTasks
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
    """The address of a real device; the arguments of `Upstream`."""

    device_type: DeviceType
    authority: str
    device_number: int
    unique_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """The gateway's settings.

    Attributes:
        port: 0 for a free one.
        allowed: Networks from which clients may connect.
        discovery: Whether to answer Alpaca discovery.
        patience_s: Longest time for which an exposure is held.
        idle_s: After this time without an exposure a run starts without waiting for the next one.
        least_image_s: Shorter exposures are test shots.
        any_case: Whether to accept the parameter names of a PUT in any case.
        location: For the management API, as is `version`.
    """

    listen: str
    port: int
    allowed: tuple[IPv4Network | IPv6Network, ...]
    discovery: bool
    patience_s: float
    idle_s: float
    least_image_s: float
    any_case: bool
    location: str
    version: str


class Gateway:
    """Serves the virtual devices while it is open.

    Args:
        devices: The real devices, at least a camera and a focuser.

    Attributes:
        app: The ASGI application that is served.
    """

    def __init__(self, devices: Sequence[RealDevice], engine: Engine, clock: Clock, settings: GatewaySettings) -> None:
        upstreams = {each.device_type: Upstream(**asdict(each)) for each in devices}
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
        self._background = BackgroundTasks()
        self._images = 0
        self._server: RunningServer | None = None
        self._devices = self._virtual_devices(upstreams, clock)
        self.app = PassThrough(
            tuple(upstreams.values()),
            allowed=settings.allowed,
            version=settings.version,
            location=settings.location,
            any_case=settings.any_case,
            handlers=self._devices,
        )

    def _virtual_devices(
        self, upstreams: Mapping[DeviceType, Upstream], clock: Clock
    ) -> Mapping[DeviceType, VirtualDevice]:
        engine, arbiter = self._engine, self._arbiter
        special: Mapping[DeviceType, Callable[[Upstream], VirtualDevice]] = {
            DeviceType.CAMERA: lambda camera: VirtualCamera(camera, engine, arbiter),
            DeviceType.FOCUSER: lambda focuser: VirtualFocuser(focuser, engine, arbiter, clock),
            DeviceType.FILTERWHEEL: lambda wheel: VirtualFilterWheel(wheel, engine, arbiter.request_check, clock),
            DeviceType.TELESCOPE: lambda mount: VirtualMount(mount, engine, arbiter.request_check),
        }
        return {
            kind: special[kind](upstream) if kind in special else VirtualDevice(upstream, engine)
            for kind, upstream in upstreams.items()
        }

    def open(self) -> None:
        """Start serving.

        Raises:
            ServerStartError: The address or port cannot be used.
        """
        self._server = RunningServer(
            self.app,
            host=self._settings.listen,
            port=self._settings.port,
            discovery_port=DISCOVERY_PORT if self._settings.discovery else None,
            claims_addresses=True,
        )
        _log.info("The gateway is open to the imaging program", address=self.address)

    def close(self) -> None:
        """Drop every connection, cancel all tasks, and stop."""
        if self._server is not None:
            self._server.call(self._cancel_tasks)
            self._server.stop()

    def _cancel_tasks(self) -> None:
        self._arbiter.close()
        for device in self._devices.values():
            device.close()
        self._background.cancel()

    @property
    def address(self) -> str:
        """Its address, "host:port"."""
        assert self._server is not None  # noqa: S101 - it is open
        return self._server.address

    def sharing(self) -> GatewayCameraSharing:
        """Return the camera's sharing for a focus run."""
        assert self._server is not None  # noqa: S101 - it is open
        return GatewayCameraSharing(self._server, self._arbiter, self._camera.name)

    def watch(self, camera: CameraWatch) -> GatewayCameraWatch:
        """Return a camera watch that also knows the imaging program's exposures."""
        return GatewayCameraWatch(camera, self._arbiter)

    def status(self) -> GatewayStatus:
        """Return the gateway's part of the daemon's status; thread-safe."""
        arbiter = self._arbiter
        return GatewayStatus(
            address=self.address,
            waits=arbiter.held,
            taken=arbiter.leased,
            interrupted=arbiter.waits_for_gap,
            images=arbiter.exposures.images,
        )

    def new_images(self) -> int:
        """Return how many images have ended since the previous call; to be called from one thread only."""
        before, self._images = self._images, self._arbiter.exposures.images
        return self._images - before

    @property
    def waits_for_gap(self) -> bool:
        """Whether a focus run waits for a gap in the imaging; thread-safe."""
        return self._arbiter.waits_for_gap

    def _image_passed(self, image: PassedImage) -> None:
        exposed = self._arbiter.exposures.passed()
        if exposed is None:
            image.release()
            return
        self._background.start(self._measure(image, exposed))

    async def _measure(self, image: PassedImage, exposed: Exposed) -> None:
        """Give an image to the engine, with the camera's properties."""
        try:
            frame = LightFrame(
                image=image, exposure_s=exposed.exposure_s, started_at=exposed.at, facts=await self._facts()
            )
            self._engine.measure_frame(frame)
        except asyncio.CancelledError:
            image.release()
            raise
        except Exception:  # noqa: BLE001 - the log has it whole, and the imaging program has its image
            _log.exception("An image that passed through the gateway could not be measured")
            image.release()

    async def _facts(self) -> Mapping[str, float]:
        facts: dict[str, float] = {}
        program = self._arbiter.saved.program
        for member in FACTS:
            try:
                # While a focus run has the camera, its settings are not those of the image.
                is_saved = program is not None and member in program.answers
                facts[member] = float(program.get(member) if program and is_saved else await self._camera.get(member))
            except (AlpacaError, UpstreamLost, TypeError, ValueError) as error:
                _log.debug("The camera does not report a property of a frame", member=member, why=str(error))
        return facts
