"""The focus runs of the night: alone with the camera, or sharing it with the imaging program."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from alpaca_focus.core.errors import AlpacaFocusError, StorageError
from alpaca_focus.core.events import CameraHandover, CurveFitted, Event, FrameMeasured, Moved, RestoreStarted, Resumed
from alpaca_focus.core.night.focus_model import AVERAGE
from alpaca_focus.core.night.state import NightState, PierSide
from alpaca_focus.core.values import FocusResult
from alpaca_focus.daemon.status_publisher import StatusPublisher
from alpaca_focus.gateway.service import Gateway
from alpaca_focus.ports import Clock
from alpaca_focus.run.device_adapters import Devices
from alpaca_focus.run.filter_choice import filter_in_light, way_through
from alpaca_focus.run.focus_run import Order, focus_with
from alpaca_focus.run.run_conditions import ensure_can_focus
from alpaca_focus.settings.models import Settings
from alpaca_focus.store.run_store import RunStore

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refocuses:
    """Carries them out.

    Attributes:
        settings: What the user set.
        devices: Connected.
        gateway: That the imaging program comes through; `None`: there is none, and a run has the camera to itself.
        store: The history.
        clock: Time.
        publisher: Publishes the runs and their frames.
        tell: Told everything that happens.
        night: Returns the night so far.
        learn: Called after each run.
    """

    settings: Settings
    devices: Devices
    gateway: Gateway | None
    store: RunStore
    clock: Clock
    publisher: StatusPublisher
    tell: Callable[[Event], None]
    night: Callable[[], NightState]
    learn: Callable[[], None]

    async def run(self, triggers: str) -> FocusResult:
        """Focus once, for a reason; a run that is cancelled restores the focuser first.

        Raises:
            AlpacaFocusError: The run could not be made, or failed without a result.
        """
        runs, before = self.publisher.runs, _newest_number(self.store)
        try:
            with runs.follow(triggers, number=None if before is None else before + 1):
                return await self._focused(triggers)
        finally:
            now = _newest_number(self.store)
            runs.saved(None if now == before else now)

    async def _focused(self, triggers: str) -> FocusResult:
        devices = self.devices
        await ensure_can_focus(devices)
        wanted = await filter_in_light(devices, told=self.night().reported_filter)
        way = way_through(self.settings, devices, wanted)
        average_c = self.night().history.followed.latest_c
        order = Order(
            settings=self.settings,
            way=way,
            emit=self.tell,
            clock=self.clock,
            trigger=triggers,
            # The temperature that the night goes by, for the history.
            temperatures_c={} if average_c is None else {AVERAGE: average_c},
            seen=self.publisher.preview.offer,
            filter_before=wanted,
        )
        if self.gateway is not None:
            order = await sharing_camera(order, devices, self.gateway)
        result = await focus_with(devices, order)
        self.learn()
        return result


async def sharing_camera(order: Order, devices: Devices, gateway: Gateway) -> Order:
    """Return a focus run that shares the camera with the imaging program.

    Args:
        order: The run.
        devices: Of the observatory.
        gateway: That the imaging program connects to.

    Raises:
        DeviceError: The mount does not answer.
    """
    side = await _pier_side(devices)

    async def still_valid() -> str:
        try:
            await ensure_can_focus(devices)
            side_now, filter_now = await _pier_side(devices), await filter_in_light(devices)
        except AlpacaFocusError as error:
            return str(error)
        if side_now is not side:
            return "The mount has flipped to the other side of the pier."
        # While the run has the camera its own filter is in the light path.
        if filter_now not in {order.way.filter_name, order.filter_before}:
            return f"The filter is {filter_now} now."
        return ""

    return replace(order, sharing=gateway.sharing(), still_valid=still_valid)


async def _pier_side(devices: Devices) -> PierSide:
    return PierSide.UNKNOWN if devices.mount is None else (await devices.mount.state()).pier_side


def _newest_number(store: RunStore) -> int | None:
    """Return the number of the newest run of the history, 0 where there is none; `None`: it cannot be read."""
    try:
        newest = store.runs(last=1)
    except StorageError as error:
        _log.warning("The number of the run in the history is not known", why=str(error))
        return None
    return newest[0].number if newest else 0


def log_event(event: Event) -> None:
    """Write what happens during a run into the log, as far as it says something to a reader."""
    match event:
        case Moved(position=position):
            _log.info("The focuser has moved", position=position)
        case FrameMeasured(sample=sample):
            measured = sample.measurement
            _log.info(
                "A frame was measured",
                position=sample.position,
                purpose=sample.purpose,
                metric=measured.metric,
                value=round(measured.value, 3),
                stars=measured.star_count,
                trouble=measured.reason,
            )
        case CurveFitted(fit=fit):
            _log.info(
                "A curve was fitted",
                model=fit.model,
                best_position=round(fit.best_position, 1),
                stderr_steps=round(fit.best_position_stderr, 1),
            )
        case CameraHandover(number=number, restore_position=position, left_s=left_s, needed_s=needed_s):
            _log.info(
                "The focus run is interrupted for the imaging program",
                number=number,
                position=position,
                left_s=round(left_s, 1),
                needed_s=round(needed_s, 1),
            )
        case Resumed(number=number, position=position, lasted_s=lasted_s):
            _log.info("The focus run goes on", number=number, position=position, lasted_s=round(lasted_s, 1))
        case RestoreStarted(position=position, reason=reason):
            _log.warning("The focuser goes back", position=position, why=reason)
        case _:
            pass
