"""A daemon with its web server, in front of the simulated observatory."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from alpaca_focus.daemon.daemon import Daemon
from alpaca_focus.devices.clock import ScaledClock
from alpaca_focus.settings.models import Settings
from alpaca_focus.simulator.observatory import Observatory
from tests.ports import free_port
from tests.web_night import JSON, Reply, ask

PATIENCE_S = 40.0


class RunningDaemon:
    """A daemon in a thread of its own, and plain HTTP to its web server."""

    def __init__(self, settings: Callable[[], Settings], observatory: Observatory, port: int) -> None:
        self.port = port
        self._settings = settings
        self.observatory = observatory
        self._made: Future[Daemon] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()))

    @classmethod
    def of(cls, observatory: Observatory, directory: Path, *, port: int | None = None) -> Self:
        """Return a daemon that keeps a simulated observatory in focus, and follows the temperature."""
        port = port or free_port()
        settings: dict[str, Any] = {
            "telescope": {"focal_length_mm": 530, "aperture_mm": 106},
            "alpaca": {"address": observatory.address, "timeout_s": 5.0},
            "camera": {"download_timeout_s": 5.0},
            "focuser": {
                "backlash": {"steps": 120},
                "stall_timeout_s": 60.0,
                "settle_s": 0.1,
                "temperature_coefficient_steps_per_c": -20.0,
            },
            "focus": {"exposure_s": 2.0, "max_duration_s": 3600.0},
            "storage": {"directory": str(directory)},
            "thermometer": {"every_s": 5.0, "readings": 3},
            "compensation": {"enabled": True},
            "night": {"poll_s": 5.0, "watch_s": 5.0},
            "web": {"port": port},
        }
        return cls(lambda: Settings.model_validate(settings), observatory, port)

    @contextmanager
    def running(self) -> Iterator[Self]:
        self._thread.start()
        try:
            yield self
        finally:
            self.loop.call_soon_threadsafe(self.daemon.stop)
            self._thread.join(PATIENCE_S)
            assert not self._thread.is_alive()

    @property
    def daemon(self) -> Daemon:
        return self._made.result(PATIENCE_S)

    async def _main(self) -> None:
        clock = self.observatory.world.clock
        self.loop = asyncio.get_running_loop()
        daemon = Daemon(self._settings, ScaledClock(clock.factor, start=clock.utc()), clock_rate=clock.factor)
        self._made.set_result(daemon)
        assert await daemon.run()

    def ask(self, path: str, **how: Any) -> Reply:
        return ask(self.port, path, **how)

    def get(self, path: str) -> Any:
        reply = self.ask(f"/api/v1/{path}")
        assert reply.status == 200, reply
        return reply.json

    def command(self, name: str, body: bytes = b"{}") -> str:
        reply = self.ask(f"/api/v1/{name}", method="POST", body=body, headers=JSON)
        assert reply.status == 200, reply
        return str(reply.json["said"])

    def until(self, path: str, is_so: Callable[[Any], object]) -> Any:
        ends_s = time.monotonic() + PATIENCE_S
        told: object = None
        while time.monotonic() < ends_s:
            try:
                told = self.ask(path).json
                if is_so(told):
                    return told
            except ConnectionRefusedError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"it never came to pass: {told}")
