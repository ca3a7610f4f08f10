"""The gateway and the night, put together: each has its own thread, and neither waits for the other for ever."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from ipaddress import ip_network
from types import TracebackType
from typing import Any, Self, TypeVar

import structlog

from alpaca_focus import __version__
from alpaca_focus.alpaca.running import ServerStartError
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.core.errors import AlpacaFocusError, ConfigurationError
from alpaca_focus.core.night import PierSide
from alpaca_focus.core.values import Position
from alpaca_focus.devices.address import DeviceAddress
from alpaca_focus.focusing.circumstances import refuse_what_cannot_work
from alpaca_focus.focusing.connected import Devices, address_of
from alpaca_focus.focusing.filters import filter_in_light
from alpaca_focus.focusing.one_run import Order
from alpaca_focus.gateway.engine import LightFrame
from alpaca_focus.gateway.service import Gateway, GatewaySettings, RealDevice
from alpaca_focus.night.light_frames import frame_of, measured
from alpaca_focus.ports import CameraShare, Clock
from alpaca_focus.runtime.control_wire import Request
from alpaca_focus.runtime.filtered_share import FilteredShare
from alpaca_focus.runtime.keeper import FOCUS_RUN, Keeper
from alpaca_focus.runtime.quiet_worker import QuietWorker
from alpaca_focus.settings.models import DeviceSection, Settings

T = TypeVar("T")

OF_STARS = frozenset({"hfd", "fwhm"})
STILL_WITHIN_S = 60.0
"""Real seconds for which a move of the imaging program waits for the focuser, whatever the engine does."""

_log = structlog.get_logger(__name__)


class EngineLink:
    """The night as the gateway sees it; implements `gateway.engine.Engine`.

    Everything but the constructor and `close` is called in the gateway's thread.

    Args:
        answer: Answers a command, in the loop that this is constructed in.

    Attributes:
        keeper: Keeps the night; `None`: nobody does just now, and everything passes.
        of_stars: Whether frames show stars, as far as the settings tell.
    """

    def __init__(self, answer: Callable[[Request], Awaitable[Mapping[str, object]]]) -> None:
        self._loop = asyncio.get_running_loop()
        self._answer = answer
        self._worker = QuietWorker("light-frames")
        self.keeper: Keeper | None = None
        self.of_stars = True

    def close(self) -> None:
        """Wait for a frame that is being measured."""
        self._worker.close()

    @property
    def wants_gap(self) -> bool:
        """Whether something waits for nothing but a gap between two exposures."""
        keeper = self.keeper
        return keeper is not None and keeper.wants_gap

    @property
    def moves(self) -> bool:
        """Whether a small move of the focuser is under way."""
        keeper = self.keeper
        return keeper is not None and keeper.doing not in {"", FOCUS_RUN}

    @property
    def focusing(self) -> bool:
        """Whether a focus run is under way, interrupted or not."""
        keeper = self.keeper
        return keeper is not None and keeper.doing == FOCUS_RUN

    async def use_gap(self) -> None:
        """Do what waits for a gap; returns when nothing is under way any more."""
        await self._or_pass(self._of_keeper(lambda keeper: keeper.use_gap()))

    async def still(self) -> None:
        """Wait until neither a focus run nor a small move is under way, but not for ever."""
        await self._or_pass(self._of_keeper(lambda keeper: keeper.at_rest(STILL_WITHIN_S)))

    def give_way(self, why: str) -> None:
        """End a focus run soon: the imaging program comes first."""
        self._soon(lambda keeper: keeper.give_way(why))

    def somebody_moves(self) -> None:
        """Keep away from the focuser: the imaging program moves it."""
        self._soon(lambda keeper: keeper.somebody_moves())

    def somebody_has_moved(self, position: Position | None) -> None:
        """Take up where the imaging program has moved the focuser to."""
        self._soon(lambda keeper: keeper.somebody_has_moved(position))

    def light_frame(self, frame: LightFrame) -> None:
        """Measure a frame in the background, and release it; leave it where the one before still is measured."""
        if not self.of_stars or not self._worker.start(partial(self._measure, frame)):
            frame.image.release()

    async def act(self, action: str) -> str:
        """Carry out an action of the virtual devices and return what there is to say.

        Raises:
            ConfigurationError: It cannot be done just now.
        """
        told = await self._in_loop(self._asked(Request(action, {})))
        if "error" in told:
            raise ConfigurationError(str(told["error"]))
        return json.dumps(told, default=str) if action == "status" else str(told["said"])

    def _measure(self, frame: LightFrame) -> None:
        """Measure in the worker's thread."""
        try:
            taken = frame_of(
                frame.image.pixels, exposure_s=frame.exposure_s, started_at=frame.started_at, facts=frame.facts
            )
            ended_at = frame.started_at + timedelta(seconds=frame.exposure_s)
            measured(taken, lambda hfd_px: self._soon(lambda keeper: keeper.tell_hfd(hfd_px, ended_at)))
        except Exception:  # noqa: BLE001 - a frame that cannot be measured is the imaging program's all the same
            _log.exception("A light frame could not be measured")
        finally:
            frame.image.release()

    async def _of_keeper(self, work: Callable[[Keeper], Awaitable[object]]) -> None:
        keeper = self.keeper
        if keeper is not None:
            await work(keeper)

    async def _asked(self, request: Request) -> Mapping[str, object]:
        return await self._answer(request)

    async def _or_pass(self, work: Coroutine[Any, Any, None]) -> None:
        """Carry something out in the engine's loop; where that fails the imaging program goes on all the same."""
        try:
            await self._in_loop(work)
        except Exception:  # noqa: BLE001 - the log has it whole
            _log.exception("The engine failed; the imaging program goes on without it")

    async def _in_loop(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError as error:
            # The loop is closed.
            work.close()
            raise ConfigurationError("alpaca-focus has just stopped.") from error
        return await asyncio.wrap_future(future)

    def _soon(self, work: Callable[[Keeper], None]) -> None:
        keeper = self.keeper
        if keeper is None:
            return
        try:
            self._loop.call_soon_threadsafe(work, keeper)
        except RuntimeError:
            _log.debug("The night has ended; there is nobody to tell")


class BesideProgram:
    """Keeps the gateway open from one reading of the settings to the next, as long as its own stay the same.

    A context manager; to be made in the daemon's loop.

    Args:
        answer: Answers a command.
        clock: Time.

    Attributes:
        link: The night as the gateway sees it.
        gateway: The gateway; `None`: none is wanted.
    """

    def __init__(self, answer: Callable[[Request], Awaitable[Mapping[str, object]]], clock: Clock) -> None:
        self.link = EngineLink(answer)
        self._clock = clock
        self._wanted: tuple[GatewaySettings, tuple[RealDevice, ...]] | None = None
        self.gateway: Gateway | None = None

    def __enter__(self) -> Self:
        """Return itself; nothing is open yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the gateway."""
        self._close()
        self.link.close()

    def follow(self, settings: Settings) -> None:
        """Open the gateway, close it, or leave it as it is.

        Raises:
            ConfigurationError: It cannot listen there.
        """
        self.link.of_stars = settings.focus.metric in OF_STARS
        wanted = gateway_settings(settings) if settings.imaging.way == "gateway" else None
        if wanted == self._wanted:
            return
        self._close()
        if wanted is None:
            return
        how, devices = wanted
        gateway = Gateway(devices, self.link, self._clock, how)
        try:
            gateway.open()
        except ServerStartError as error:
            raise ConfigurationError(f"{error.strerror} Look at gateway.listen and gateway.port.") from error
        self.gateway, self._wanted = gateway, wanted

    def _close(self) -> None:
        if self.gateway is not None:
            self.gateway.close()
        self.gateway, self._wanted = None, None


async def shared(order: Order, devices: Devices, gateway: Gateway, filter_name: str | None) -> Order:
    """Return a focus run that takes turns with the imaging program.

    Args:
        order: The run.
        devices: Of the observatory.
        gateway: That the imaging program comes through.
        filter_name: Its filter; another one of the run is in the light only while the run has the camera.

    Raises:
        ConfigurationError: The wheel has no such filter.
        DeviceError: The mount does not answer.
    """
    share: CameraShare = gateway.share()
    through, wheel = order.way.filter_name, devices.filter_wheel
    if wheel is not None and through is not None and filter_name is not None and through != filter_name:
        share = FilteredShare(share, wheel, name=through, back_to=filter_name)
    side = await _pier_side(devices)

    async def still_valid() -> str:
        try:
            await refuse_what_cannot_work(devices)
            side_now, filter_now = await _pier_side(devices), await filter_in_light(devices)
        except AlpacaFocusError as error:
            return str(error)
        if side_now is not side:
            return "The mount has flipped to the other side of the pier."
        # While the run has the camera its own filter is in the light.
        if filter_now not in {through, filter_name}:
            return f"The filter is {filter_now} now."
        return ""

    return replace(order, share=share, still_valid=still_valid)


async def _pier_side(devices: Devices) -> PierSide:
    return PierSide.UNKNOWN if devices.mount is None else (await devices.mount.state()).pier_side


def gateway_settings(settings: Settings) -> tuple[GatewaySettings, tuple[RealDevice, ...]]:
    """Return how the gateway works, and the devices it stands in front of."""
    wanted = settings.gateway
    loopback = ("127.0.0.0/8", "::1/128")
    kinds: dict[DeviceType, DeviceSection | None] = {
        DeviceType.CAMERA: settings.camera,
        DeviceType.FOCUSER: settings.focuser,
        DeviceType.FILTERWHEEL: settings.filter_wheel,
        DeviceType.TELESCOPE: settings.mount,
    }
    return (
        GatewaySettings(
            listen=wanted.listen,
            port=wanted.port,
            allowed=tuple(ip_network(each, strict=False) for each in (*loopback, *wanted.allow)),
            discovery=wanted.discovery,
            patience_s=wanted.patience_s,
            idle_s=wanted.idle_s,
            least_image_s=settings.night.least_image_s,
            location=settings.telescope.name,
            version=__version__,
        ),
        tuple(
            _real_device(kind, address_of(section, settings)) for kind, section in kinds.items() if section is not None
        ),
    )


def _real_device(kind: DeviceType, address: DeviceAddress) -> RealDevice:
    return RealDevice(
        device_type=kind,
        authority=address.authority,
        device_number=address.device_number,
        unique_id=address.unique_id or "",
    )
