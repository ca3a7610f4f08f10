"""The whole examination, subject by subject; one that fails does not stop the others."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from alpaca_focus.checkup.checks import Check, Subject
from alpaca_focus.checkup.computer import judge_computer
from alpaca_focus.checkup.plans import judge_settings, settings_refused
from alpaca_focus.checkup.programs import Holder
from alpaca_focus.core.errors import AlpacaFocusError, ConfigurationError
from alpaca_focus.devices.clock import SystemClock
from alpaca_focus.examining.aside import aside
from alpaca_focus.examining.bench import Bench
from alpaca_focus.examining.camera import look_at_camera
from alpaca_focus.examining.computer import CHECK_WITHIN_S, computer_facts, look_at_computer, look_at_storage
from alpaca_focus.examining.focuser import look_at_focuser
from alpaca_focus.examining.others import (
    look_at_guider,
    look_at_mount,
    look_at_safety,
    look_at_temperature_file,
    look_at_temperature_page,
    look_at_weather,
    look_at_wheel,
)
from alpaca_focus.examining.plans import settings_facts
from alpaca_focus.examining.programs import look_at_broker, look_at_daemon, look_at_messages, look_at_ports
from alpaca_focus.examining.servers import look_at_server, servers_of
from alpaca_focus.ports import Clock
from alpaca_focus.settings.loader import load_yaml
from alpaca_focus.settings.models import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An examination as it is asked for.

    Attributes:
        file: The settings.
        takes_frame: Whether the camera may take a frame.
        moves: Whether the focuser may be moved.
        tell: Told the checks of each subject.
        waits_for: Told what is looked at next.
        stranded: Called when the focuser could not be brought back.
    """

    file: Path
    takes_frame: bool
    moves: bool
    tell: Callable[[Sequence[Check]], None]
    waits_for: Callable[[str], None]
    stranded: Callable[[], None]


async def examine(order: Order, clock: Clock | None = None) -> None:
    """Look at everything that the settings name.

    Raises:
        asyncio.CancelledError: Aborted; what was touched is as it was found.
    """
    order.waits_for("settings")
    try:
        settings = load_yaml(order.file, Settings)
    except ConfigurationError as error:
        order.tell([settings_refused(str(order.file), str(error))])
        order.tell(judge_computer(await aside(computer_facts, CHECK_WITHIN_S)))
        return
    order.tell(judge_settings(settings_facts(order.file, settings)))
    bench = Bench(settings=settings, clock=clock or SystemClock(), takes_frame=order.takes_frame, moves=order.moves)
    with ExitStack() as held:
        await _Examination(order, bench, held).carry_out()


class _Examination:
    def __init__(self, order: Order, bench: Bench, held: ExitStack) -> None:
        self._order = order
        self._bench = bench
        self._held = held
        self._daemon_runs = False

    async def carry_out(self) -> None:
        bench = self._bench
        await self._subject("daemon", self._daemon)
        for address in servers_of(bench.settings, bench):
            await self._subject(f"server {address.authority}", partial(look_at_server, address=address))
        looks: dict[str, Callable[[Bench], Awaitable[None]]] = {
            "camera": look_at_camera,
            "focuser": look_at_focuser,
            "filter wheel": look_at_wheel,
            "mount": look_at_mount,
            "weather station": look_at_weather,
            "temperature file": look_at_temperature_file,
            "temperature page": look_at_temperature_page,
            "safety monitor": look_at_safety,
            "guider": look_at_guider,
            "mqtt": look_at_broker,
            "dashboard": self._ports,
            "messages": look_at_messages,
            "storage": look_at_storage,
            "computer": look_at_computer,
        }
        for name, look in looks.items():
            await self._subject(name, look)

    async def _subject(self, told: str, look: Callable[[Bench], Awaitable[None]]) -> None:
        self._order.waits_for(told)
        bench, subject = self._bench, Subject(told)
        try:
            await look(bench)
        except AlpacaFocusError as error:
            name = "settings" if isinstance(error, ConfigurationError) else "answers"
            bench.found.append(subject.failed(name, str(error)))
        except TimeoutError:
            bench.found.append(
                subject.fails("answers", "no answer in time", "Look whether the disk or the network hangs.")
            )
        finally:
            # Also what was found before somebody had enough.
            self._order.tell(tuple(bench.found))
            if bench.is_stranded:
                self._order.stranded()
            bench.found.clear()

    async def _daemon(self, bench: Bench) -> None:
        facts = await look_at_daemon(bench, self._held)
        self._daemon_runs = facts.holder is Holder.DAEMON

    async def _ports(self, bench: Bench) -> None:
        await look_at_ports(bench, daemon_runs=self._daemon_runs)
