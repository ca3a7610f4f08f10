"""A server that shows the dashboard whatever a test wants it to: no daemon, no devices."""

import asyncio
import json
import math
from collections.abc import AsyncIterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, Self

import matplotlib.image
import numpy as np
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

import alpaca_focus
from alpaca_focus.alpaca.running import RunningServer
from alpaca_focus.feed.feed import Feed
from alpaca_focus.web.pages import METRICS_SCRIPT
from tests.ports import free_port

STATIC = Path(alpaca_focus.__file__).parent / "web" / "static"
BEST = 25120.0
SECURITY = {"Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'", "X-Frame-Options": "DENY"}


def now() -> datetime:
    return datetime.now(UTC)


def status(**changes: Any) -> dict[str, Any]:
    """What `alpaca-focus status --json` prints while all is well, with changes."""
    triggers = {
        "temperature": "[+0.4 #18*]",
        "images": "[3/8]",
        "time": "[25/60 min]",
        "filter": "[Ha]",
        "flip": "[west]",
        "asap": "[-]",
        "hfd": "[+6/15 %]",
        "altitude": "[-4/20 deg]",
        "uncertainty": "[12/40 steps]",
    }
    usual: dict[str, Any] = {
        "state": "watching",
        "looks": 812,
        "paused": False,
        "plan": "light",
        "due": [],
        "blocked_by": [],
        "triggers": [{"trigger": name, "due": False, "state": state, "reason": ""} for name, state in triggers.items()],
        "exposing": False,
        "silent": [],
        "position": 25109,
        "temperature_c": 4.31,
        "temperature_trouble": "",
        "filter": "Ha",
        "altitude_deg": 61.0,
        "sun_altitude_deg": -32.0,
        "last_focus": {
            "at": (now() - timedelta(minutes=25)).isoformat(),
            "position": 25118,
            "trigger": "time",
            "metric": "hfd",
            "value": 2.61,
            "temperature_c": 4.7,
            "filter_name": "Ha",
            "altitude_deg": 65.0,
            "stderr_steps": 3.1,
        },
        "since_s": 1500.0,
        "images": 3,
        "compensation": {
            "enabled": True,
            "switched_off": False,
            "moved_steps": -9,
            "carried_steps": -0.42,
            "stopped": "",
        },
        "gateway": None,
        "advice": "",
        "failures": 0,
        "hold_s": 0.0,
        "ignored": {"exposure running": 4},
        "runs_ended": 3,
        "last_run": {"outcome": "focused", "reason": "Focused at 25118."},
    }
    return usual | changes


def curve(position: float) -> float:
    return 2.6 * math.hypot(1.0, (position - BEST) / 90)


def run(frames: int, *, fitted: bool = False, reason: str = "") -> dict[str, Any]:
    """A focus run after so many frames; the third is not usable; with a reason it has ended."""
    samples = []
    for index in range(frames):
        position = 24800 + 80 * index if index < 9 else round(BEST)
        usable = index != 2
        wobble = 0.12 * math.sin(7.0 * index)
        samples.append(
            {
                "position": position,
                "value": curve(position) + wobble if usable else None,
                "stderr": 0.06 * curve(position) if usable else None,
                "purpose": "sweep" if index < 9 else "verify",
                "usable": usable,
                "reason": "" if usable else "clouds: 2 stars",
                "stars": 34 if usable else 2,
            }
        )
    places = [24780 + 700 * step / 59 for step in range(60)]
    fit = {
        "model": "hyperbola",
        "best_position": BEST,
        "stderr_steps": 4.2,
        "best_value": curve(BEST),
        "curve": [[place, curve(place)] for place in places],
    }
    return {
        "active": not reason,
        "number": 4,
        "trigger": "images",
        "started_at": (now() - timedelta(seconds=90)).isoformat(),
        "start_position": 25040,
        "position": samples[-1]["position"] if samples else 25040,
        "unit": "px",
        "metric": "hfd",
        "samples": samples,
        "fit": fit if fitted else None,
        "final_position": round(BEST) if reason else None,
        "outcome": "focused" if reason else "",
        "reason": reason,
    }


NO_RUN = {
    **run(0),
    "active": False,
    "number": None,
    "trigger": "",
    "started_at": None,
    "start_position": None,
}


def night(hours: float = 7.0) -> dict[str, Any]:
    """A night that cools down, followed by the focuser, with four refocuses, one of them failed."""
    end_s = now().timestamp()
    times = [end_s - hours * 3600 * (1 - step / 200) for step in range(201)]

    def celsius(at_s: float) -> float:
        share = 1 - (end_s - at_s) / (hours * 3600)
        return 9.0 - 5.0 * share + 0.3 * math.sin(14 * share)

    refocuses = [
        {
            "at": times[index],
            "position": round(25200 + 17 * (celsius(times[index]) - 9)),
            "trigger": trigger,
            "outcome": outcome,
        }
        for index, trigger, outcome in (
            (4, "asap", "focused"),
            (60, "temperature", "focused"),
            (115, "filter", "restored"),
            (180, "time", "focused"),
        )
    ]
    return {
        "temperature": [[at, round(celsius(at), 2)] for at in times],
        "position": [[at, round(25200 + 17 * (celsius(at) - 9) + 6 * math.sin(at / 900))] for at in times[4::6]],
        "refocuses": refocuses,
        "model": [[at, 25200 + 17 * (celsius(at) - 9)] for at in times[4:]],
        "lights": [
            [at, 2.6 + 0.15 * math.sin(at / 700) + 0.2 * (index % 5 == 0)] for index, at in enumerate(times[::4])
        ],
    }


def stars_png() -> bytes:
    """A picture of stars on sky, in all colours, so that night mode has something to darken."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:300, :400]
    pixels = np.full((300, 400, 3), 0.15)
    for row, column in rng.uniform((20, 20), (280, 380), (30, 2)):
        distance = np.hypot(y - row, x - column)
        pixels += np.exp(-((distance / 3) ** 2))[..., None]
        pixels[np.abs(distance - 11) < 0.8] = (0.2, 0.9, 0.5)
    file = BytesIO()
    matplotlib.image.imsave(file, np.clip(pixels, 0, 1), format="png")
    return file.getvalue()


class FakeDashboard:
    """Serves the dashboard and an API that tells what it is set to; a context manager.

    Attributes:
        status, run, night: What the API tells.
        runs: Those of the history by number.
        commands: Those given, with their bodies.
        token: Wanted with each command; empty: none.
        refusal: Sentence with which every command is refused; empty: none is.
        paths: Every path that was asked for.
    """

    def __init__(self, port: int = 0) -> None:
        self.status, self.run, self.night = status(), dict(NO_RUN), night()
        self.runs: dict[int, dict[str, Any]] = {}
        self.log: list[dict[str, Any]] = []
        self.commands: list[tuple[str, dict[str, Any]]] = []
        self.token = self.refusal = ""
        self.paths: list[str] = []
        self.frame = 0
        self.port = port or free_port()
        self._stack = ExitStack()
        self._feed = Feed(now)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Serve; after `stop`, on the same port again, with a feed that knows nothing."""
        self._feed = Feed(now)
        self._stack.enter_context(RunningServer(self._app(), port=self.port))

    def stop(self) -> None:
        self._stack.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def show_status(self, **changes: Any) -> None:
        self.status = status(**changes)
        self._feed.publish("status", self.status)

    def show_run(self, shown: dict[str, Any]) -> None:
        self.run = shown
        self._feed.publish("run", shown)

    def show_frame(self) -> None:
        self.frame += 1
        self._feed.publish("frame", {"number": self.frame})

    def write_log(self, event: str, level: str = "info", **fields: Any) -> None:
        entry = {"at": now().isoformat(), "event": event, "level": level, **fields}
        self.log.append(entry)
        self._feed.publish("log", entry)

    def _app(self) -> Starlette:
        def told(content: Any) -> Any:
            async def answer(_: Request) -> Response:
                return JSONResponse(content())

            return answer

        routes = [
            Route("/", self._page),
            Route("/api/v1/status", told(lambda: self.status)),
            Route("/api/v1/run", told(lambda: self.run)),
            Route("/api/v1/runs", told(lambda: [{"number": number} for number in self.runs])),
            Route("/api/v1/runs/{number:int}", self._old_run),
            Route("/api/v1/night", told(lambda: self.night)),
            Route("/api/v1/log", told(lambda: self.log)),
            Route("/api/v1/frame", told(self._frame)),
            Route("/api/v1/frame.png", self._picture),
            Route("/api/v1/events", self._events),
            Route("/api/v1/{command}", self._command, methods=["POST"]),
            Route("/static/metrics.js", self._metrics),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]

        app = Starlette(routes=routes)

        async def noted(scope: Any, receive: Any, send: Any) -> None:
            self.paths.append(scope["path"])
            await app(scope, receive, send)

        return noted  # type: ignore[return-value]

    async def _page(self, _: Request) -> Response:
        return FileResponse(STATIC / "index.html", headers=SECURITY)

    async def _metrics(self, _: Request) -> Response:
        return Response(METRICS_SCRIPT, media_type="text/javascript")

    def _frame(self) -> dict[str, Any]:
        return {
            "number": self.frame,
            "at": now().isoformat(),
            "width": 400,
            "height": 300,
            "stars": 30,
            "hfd_px": 2.83,
        }

    async def _old_run(self, request: Request) -> Response:
        return JSONResponse(self.runs[request.path_params["number"]])

    async def _picture(self, _: Request) -> Response:
        return Response(stars_png(), media_type="image/png")

    async def _events(self, _: Request) -> Response:
        async def lines() -> AsyncIterator[str]:
            yield "retry: 2000\n\n"
            with self._feed.subscribe() as subscription:
                async for entry in subscription:
                    data = json.dumps(dict(entry.data))
                    yield f"event: {entry.topic}\nid: {entry.number}\ndata: {data}\n\n"

        return StreamingResponse(lines(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    async def _command(self, request: Request) -> Response:
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            return JSONResponse({"error": "Commands need the token."}, status_code=401)
        if self.refusal:
            return JSONResponse({"error": self.refusal}, status_code=409)
        name = request.path_params["command"]
        self.commands.append((name, await request.json()))
        await asyncio.sleep(0)
        return JSONResponse({"said": f"Done: {name}."})
