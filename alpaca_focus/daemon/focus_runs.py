"""The focus runs of the night, with the camera alone or shared with the imaging program."""

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
from alpaca_focus.run.filter_choice import choose_filter, current_filter
from alpaca_focus.run.focus_run import RunRequest, ensure_can_focus, run_with_devices
from alpaca_focus.settings.models import Settings
from alpaca_focus.store.run_store import RunStore

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class NightFocusRuns:
    """Carries out the focus runs that the scheduler starts.

    Attributes:
        gateway: Shares the camera with the imaging program; `None`: a run has the camera to itself.
        emit: Called with each event of a run.
        learn: Called after each run.
    """

    settings: Settings
    devices: Devices
    gateway: Gateway | None
    store: RunStore
    clock: Clock
    publisher: StatusPublisher
    emit: Callable[[Event], None]
    night: Callable[[], NightState]
    learn: Callable[[], None]

    async def run(self, triggers: str) -> FocusResult:
        """Focus once; a cancelled run restores the focuser first.

        Raises:
            AlpacaFocusError: The run could not begin, or failed without a result.
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
        wanted = await current_filter(devices, reported=self.night().reported_filter)
        filter_choice = choose_filter(self.settings, devices, wanted)
        average_c = self.night().history.followed.latest_c
        jump = self.night().history.focuser.jump
        request = RunRequest(
            settings=self.settings,
            filter_choice=filter_choice,
            emit=self.emit,
            clock=self.clock,
            trigger=triggers,
            # The averaged temperature that compensation and triggers use.
            temperatures_c={} if average_c is None else {AVERAGE: average_c},
            seen=self.publisher.preview.offer,
            filter_before=wanted,
            # Otherwise a known curve would lead to where focus was before the zero was lost.
            zero_shift_steps=jump.steps if jump is not None and jump.zero_lost else 0,
        )
        if self.gateway is not None:
            request = await share_camera(request, devices, self.gateway)
        result = await run_with_devices(devices, request)
        self.learn()
        return result


async def share_camera(request: RunRequest, devices: Devices, gateway: Gateway) -> RunRequest:
    """Return a request with the camera shared with the imaging program.

    Raises:
        DeviceError: The mount does not answer.
    """
    side = await _pier_side(devices)

    async def still_valid() -> str:
        try:
            await ensure_can_focus(devices)
            side_now, filter_now = await _pier_side(devices), await current_filter(devices)
        except AlpacaFocusError as error:
            return str(error)
        if side_now is not side:
            return "The mount has flipped to the other side of the pier."
        # While the run holds the lease, its own filter is the current one.
        if filter_now not in {request.filter_choice.filter_name, request.filter_before}:
            return f"The filter is {filter_now} now."
        return ""

    return replace(request, sharing=gateway.sharing(), still_valid=still_valid)


async def _pier_side(devices: Devices) -> PierSide:
    return PierSide.UNKNOWN if devices.mount is None else (await devices.mount.state()).pier_side


def _newest_number(store: RunStore) -> int | None:
    """Return the number of the newest run in the history, 0 if there is none; `None` if it cannot be read."""
    try:
        newest = store.runs(last=1)
    except StorageError as error:
        _log.warning("The history cannot be read; the run is shown without a number", why=str(error))
        return None
    return newest[0].number if newest else 0


def log_event(event: Event) -> None:
    """Log an event of a run; events without a line of their own are ignored."""
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
            _log.info("The focus run continues", number=number, position=position, lasted_s=round(lasted_s, 1))
        case RestoreStarted(position=position, reason=reason):
            _log.warning("The focuser is being restored", position=position, why=reason)
