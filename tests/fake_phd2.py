"""PHD2's event server on loopback: the methods that a focus run uses, and their failures."""

import asyncio
import json
import math
from collections.abc import Coroutine
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

STEP_S = 0.02
CHATTER = (
    {"Event": "GuidingDithered", "dx": 3.1, "dy": -0.4},
    {"Event": "Alert", "Msg": "The id of an answer is not that of a question", "Type": "info"},
)


@dataclass
class FakePhd2:
    """A PHD2 that records its calls; an asynchronous context manager.

    Attributes:
        state: The current AppState.
        settles_after_s: From the first connection, and from each end of a pause, until the star is near its position;
            `None`: it never is.
        dithers_s: From the first connection to the end of a dither's settling.
        loses_star: Whether the star is lost while guiding goes on.
        calibrates_s: From the connection of the first client to the end of a calibration.
        stays_paused_s: From `set_paused false` to the end of the pause.
        answers_after_s: Delay of each response.
        drops: Methods at which the connection is dropped without a response, each once.
        silent: Methods that get no response.
        refuses: How often a method is refused.
        noise: Sent before each response.
        log: Methods that were called, and entries of tests.
        calls: The methods with their parameters.
    """

    state: str = "Guiding"
    settles_after_s: float | None = 0.02
    dithers_s: float = 0.0
    loses_star: bool = False
    calibrates_s: float = 0.0
    stays_paused_s: float = 0.0
    answers_after_s: float = 0.0
    drops: list[str] = field(default_factory=list)
    silent: frozenset[str] = frozenset()
    refuses: dict[str, int] = field(default_factory=dict)
    noise: bytes = b""
    log: list[str] = field(default_factory=list)
    calls: list[tuple[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.connections = 0
        self.has_stepped = asyncio.Event()
        self._near_from_s = math.inf
        self._dithers_until_s = -math.inf
        self._port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; after a `stop` at the same port again."""
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        self._spawn(self._guide())

    async def stop(self) -> None:
        """Stop listening and drop all connections."""
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.connections == 1:
            self._dithers_until_s = _now_s() + self.dithers_s
            self._star_moves()
        self._spawn(self._serve(reader, writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            _send(writer, {"Event": "Version", "PHDVersion": "2.6.13", "MsgVersion": 1})
            _send(writer, {"Event": "AppState", "State": self.state})
            if self.state == "Calibrating" and self.connections == 1:
                self._spawn(self._calibrate())
            while line := await reader.readline():
                assert line.endswith(b"\r\n")
                if not await self._answered(json.loads(line), writer):
                    return
        except ConnectionError:
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _answered(self, question: dict[str, Any], writer: asyncio.StreamWriter) -> bool:
        """Respond; return False if the connection is to be dropped instead."""
        method, parameters = question["method"], question["params"]
        self.log.append(method)
        self.calls.append((method, parameters))
        if method in self.drops:
            self.drops.remove(method)
            return False
        await asyncio.sleep(self.answers_after_s)
        if method in self.silent:
            return True
        writer.write(self.noise)
        for event in CHATTER:
            _send(writer, event)
        _send(writer, {"jsonrpc": "2.0", "result": "an answer to somebody else", "id": 10_000})
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": question["id"]}
        if self.refuses.get(method, 0):
            self.refuses[method] -= 1
            answer["error"] = {"code": 1, "message": "cannot do that while settling"}
        else:
            answer["result"] = self._done(method, parameters)
        _send(writer, answer)
        return True

    def _done(self, method: str, parameters: Any) -> Any:
        match method:
            case "get_app_state":
                return self.state
            case "set_paused":
                self._set_paused(*parameters)
            case "get_settling":
                return _now_s() < self._dithers_until_s
            case "guide":
                raise AssertionError("`guide` locks PHD2 against the imaging program's dither")
        return 0

    def _set_paused(self, paused: bool, how: str = "") -> None:
        if paused:
            assert how == "full"
            self.state = "Paused"
            self._send_to_all({"Event": "Paused"})
        elif self.state == "Paused":
            self._spawn(self._end_pause())

    async def _end_pause(self) -> None:
        await asyncio.sleep(self.stays_paused_s)
        self.state = "Guiding"
        self._star_moves()
        self._send_to_all({"Event": "Resumed"})

    async def _calibrate(self) -> None:
        await asyncio.sleep(self.calibrates_s)
        self.state = "Guiding"
        self._send_to_all({"Event": "CalibrationComplete", "Mount": "On Camera"})

    def _star_moves(self) -> None:
        self._near_from_s = math.inf if self.settles_after_s is None else _now_s() + self.settles_after_s

    async def _guide(self) -> None:
        """Send what PHD2 sends while it guides: a step for each of its frames."""
        dithers = False
        while True:
            await asyncio.sleep(STEP_S)
            if (_now_s() < self._dithers_until_s) is not dithers:
                dithers = not dithers
                self._send_to_all({"Event": "SettleBegin"} if dithers else {"Event": "SettleDone", "Status": 0})
            if self.state not in {"Guiding", "LostLock"}:
                continue
            away_px = 0.4 if _now_s() >= self._near_from_s else 6.0
            star = {"Event": "StarLost", "Status": "Star lost - mass changed"}
            self._send_to_all(star if self.loses_star else {"Event": "GuideStep", "dx": away_px, "dy": -away_px / 2})
            self.has_stepped.set()

    def _send_to_all(self, event: dict[str, Any]) -> None:
        for writer in self._writers:
            _send(writer, event)


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _send(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    writer.write(json.dumps(message).encode() + b"\r\n")
