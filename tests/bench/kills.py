"""A night in which the daemon is killed again and again, and what must hold after each start."""

import multiprocessing
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from alpaca_focus.core.errors import AlpacaFocusError
from alpaca_focus.night.recovery import RETURN
from alpaca_focus.service.control_client import ask
from alpaca_focus.service.control_wire import socket_path
from alpaca_focus.store.run_store import FILE_NAME
from tests.bench import night_daemon
from tests.bench.night import Simulator

LONGEST_LIFE_S = 1.0
START_S = 60.0
TRIGGERS = {"minutes": 30.0, "filter_change": "offset", "back_off_s": 60.0, "longest_back_off_s": 60.0}
"""A refocus so often that many a kill falls into one."""


class KilledNight:
    """Kills the daemon at random moments, and looks after each start whether everything is right.

    Attributes:
        during: How often it was killed during what.
    """

    def __init__(self, config: Path, address: str, directory: Path, seed: int) -> None:
        self._config, self._address, self._directory = config, address, directory
        self._chance = random.Random(seed)
        self._simulator = Simulator(address)
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.bench.night_daemon"])
        self._context = context
        self._told_images = 0
        self._focused_at = ""
        self.during: dict[str, int] = {}

    def focus_first(self) -> None:
        """Let the daemon find focus once in peace."""
        with self._alive():
            ask(socket_path(self._directory), "tell", {"what": "light"}, timeout_s=20)
            ends_s = time.monotonic() + START_S
            while not (self._status() or {}).get("last_focus"):
                assert time.monotonic() < ends_s, "the daemon has not focused"
                time.sleep(0.05)

    def live_and_kill(self) -> None:
        """One life: start, check what was taken over, work, be killed at a random moment."""
        with self._alive() as told:
            self._check(told)
            self._work(time.monotonic() + self._chance.uniform(0.0, LONGEST_LIFE_S))
        self._check_database()

    @contextmanager
    def _alive(self) -> Iterator[dict[str, Any]]:
        process = self._context.Process(target=night_daemon.run, args=(self._config, self._address))
        process.start()
        try:
            yield self._recovered(process)
        finally:
            process.kill()
            process.join()

    def _status(self) -> dict[str, Any] | None:
        try:
            return dict(ask(socket_path(self._directory), "status", {}, timeout_s=20))
        except AlpacaFocusError:
            return None

    def _recovered(self, process: BaseProcess) -> dict[str, Any]:
        """Wait until the daemon has taken up the night."""
        ends_s = time.monotonic() + START_S
        while time.monotonic() < ends_s:
            assert process.is_alive(), "the daemon has ended by itself"
            told = self._status()
            if told is not None and told.get("looks", 0) >= 1 and told["state"] != RETURN:
                return told
            time.sleep(0.005)
        raise AssertionError("the daemon has not taken up the night")

    def _check(self, told: dict[str, Any]) -> None:
        """Compare what the daemon goes on with against what was there before it was killed."""
        baseline = told["last_focus"]
        focused_at = "" if baseline is None else str(baseline["at"])
        if focused_at == self._focused_at:
            assert told["images"] == self._told_images, (told["images"], self._told_images)
        else:
            # A refocus ended unseen before the kill; what it has begun to count is told by the daemon alone.
            assert told["images"] <= self._told_images
            self._focused_at, self._told_images = focused_at, int(told["images"])
        if baseline is not None and told["state"] == "watching":
            belongs = baseline["position"] + told["compensation"]["moved_steps"]
            stands = self._simulator.truth()["motor_position"]
            again = self._status()
            if again is not None and again["state"] == "watching" and again["looks"] == told["looks"]:
                assert stands == belongs, f"the focuser stands at {stands}, and belongs at {belongs}"

    def _work(self, until_s: float) -> None:
        """Play the imaging program: images now and then, and other filters."""
        while time.monotonic() < until_s:
            if self._chance.random() < 0.1:
                self._simulator.put("filterwheel/0/position", Position=self._chance.randrange(3))
            told = self._status()
            if told is not None and "looks" in told:
                baseline = told["last_focus"]
                focused_at = "" if baseline is None else str(baseline["at"])
                if focused_at != self._focused_at:
                    self._focused_at, self._told_images = focused_at, int(told["images"])
                if self._chance.random() < 0.5:
                    self._tell_image()
            time.sleep(self._chance.uniform(0.0, 0.05))
        told = self._status()
        doing = "nothing" if told is None else str(told["state"])
        self.during[doing] = self.during.get(doing, 0) + 1

    def _tell_image(self) -> None:
        answer = ask(socket_path(self._directory), "tell", {"what": "image"}, timeout_s=20)
        focused_at = str(answer["focused_at"])
        self._told_images = int(str(answer["images"])) if focused_at != self._focused_at else self._told_images + 1
        self._focused_at = focused_at

    def _check_database(self) -> None:
        path = self._directory / FILE_NAME
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert not list(self._directory.glob("*.damaged*"))
