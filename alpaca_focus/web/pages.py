"""The application: every address of the REST API, the dashboard's files, the metrics."""

import asyncio
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, FastAPI, Header, HTTPException, Query, Request
from fastapi import Path as InPath
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp
from typing_extensions import override

from alpaca_focus.core.errors import AlpacaFocusError, ConfigurationError
from alpaca_focus.core.metrics import ROWS
from alpaca_focus.core.status import MeasuredFrame, MeasuredLight, RunProgress, Status, Waiting, as_json
from alpaca_focus.service.control_wire import Request as Command
from alpaca_focus.web import models
from alpaca_focus.web.events import encoded, encoded_entry, events, last_event_id
from alpaca_focus.web.guard import Guard
from alpaca_focus.web.history import HistoryReader, NightSoFar, RunSummary
from alpaca_focus.web.prometheus import CONTENT_TYPE, PrometheusExporter
from alpaca_focus.web.security import AccessRules
from alpaca_focus.web.source import NightSource

METRICS_SCRIPT = f"export const METRIC_LABELS = {json.dumps({row.name: row.label for row in ROWS})};\n"
"""The dashboard's own module of the table of metrics."""
STATIC = Path(__file__).parent / "static"
MOST_VIEWERS = 200
ALIVE_WITHIN_S = 5.0
LARGEST_NUMBER = 2**53

Responses = dict[int | str, dict[str, Any]]


def _problems(**sentences: str) -> Responses:
    return {int(name[1:]): {"model": models.ErrorReply, "description": text} for name, text in sentences.items()}


LOOKING = _problems(_403="The address, or the name that was asked for, is not allowed")
COMMANDING = {
    **_problems(
        _401="The token is missing or wrong",
        _403="The address, the name or the page is not allowed, or no token is set",
        _408="The command did not come to its end",
        _409="It cannot be done now",
        _413="The command is too long",
        _415="The command is not JSON",
        _422="The command is malformed",
    ),
}
NOT_THERE = _problems(_404="There is none")
NOT_READ = _problems(_409="The history cannot be read now")
MALFORMED = _problems(_422="The question is malformed")
PNG: Responses = {200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}}
STREAM: Responses = {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}}
TEXT: Responses = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}

Number = Annotated[int, InPath(ge=1, le=LARGEST_NUMBER)]

_log = structlog.get_logger(__name__)


def make_app(night: NightSource, rules: AccessRules) -> ASGIApp:
    """Return what the web server serves.

    Args:
        night: What is shown.
        rules: Who may look and command.
    """
    return Guard(unguarded(night), rules)


def unguarded(night: NightSource) -> FastAPI:
    """Return the application without its guard, for whoever describes it."""
    app = _Api(
        title="alpaca-focus",
        version=night.version,
        description="Keeps a telescope in focus. Commands from another computer need the token of web.token.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.include_router(_looking(night), prefix="/api/v1")
    app.include_router(_history(night), prefix="/api/v1")
    app.include_router(_commanding(night), prefix="/api/v1")
    app.include_router(_telling(night), prefix="/api/v1")
    app.include_router(_watching(night))
    files = StaticFiles(directory=STATIC)

    @app.get("/", include_in_schema=False)
    async def dashboard(request: Request) -> Response:
        return _to_be_asked_again(await files.get_response("index.html", request.scope))

    @app.get("/static/metrics.js", include_in_schema=False)
    async def metric_labels() -> Response:
        return _to_be_asked_again(Response(METRICS_SCRIPT, media_type="text/javascript"))

    # Packed they are a third of the size; the live events are not, which would keep them back.
    app.mount("/static", GZipMiddleware(_Files(files), minimum_size=1000))
    app.add_exception_handler(StarletteHTTPException, _http_problem)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(AlpacaFocusError, _not_now)
    app.add_exception_handler(Exception, _failed)
    return app


class _Api(FastAPI):
    """Takes the descriptions of fields from the docstrings of the dataclasses."""

    @override
    def openapi(self) -> dict[str, Any]:
        if not self.openapi_schema:
            for schema in super().openapi()["components"]["schemas"].values():
                _describe_fields(schema)
        assert self.openapi_schema is not None  # noqa: S101 - FastAPI has just made it
        return self.openapi_schema


def _describe_fields(schema: dict[str, Any]) -> None:
    text, is_documented, attributes = str(schema.get("description", "")).partition("\n\nAttributes:\n")
    if not is_documented:
        return
    schema["description"] = text
    # Every field is sent, those with a default as well.
    schema["required"] = list(schema["properties"])
    for field in schema["properties"].values():
        field.pop("default", None)
    for line in attributes.splitlines():
        name, _, description = line.strip().partition(": ")
        schema["properties"][name]["description"] = description.removesuffix(".")


class _Files:
    """The files of the dashboard, which a browser keeps as long as they are the same."""

    def __init__(self, files: StaticFiles) -> None:
        self._files = files

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def send_with_care(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"cache-control", b"no-cache")]
            await send(message)

        await self._files(scope, receive, send_with_care)


def _to_be_asked_again(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-cache"
    return response


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")


def _looking(night: NightSource) -> APIRouter:
    router = APIRouter(tags=["what happens"], responses=LOOKING)

    @router.get("/status", response_model=Status | Waiting, operation_id="status")
    async def status() -> Response:
        """What the daemon does, what is due, how near each trigger is."""
        entry = night.feed.latest.get("status")
        return _json(encoded(as_json(Waiting(why=""))) if entry is None else encoded_entry(entry))

    @router.get("/run", response_model=RunProgress, operation_id="run")
    async def run() -> Response:
        """The focus run under way, or the last one since the program was started."""
        entry = night.feed.latest.get("run")
        return _json(encoded(as_json(RunProgress())) if entry is None else encoded_entry(entry))

    @router.get("/log", response_model=list[models.LogLine], responses=MALFORMED, operation_id="log")
    async def log(last: Annotated[int, Query(ge=1, le=500)] = 200) -> Response:
        """The focusing log, the newest line at the end."""
        return _json(b"[%s]" % b",".join(encoded_entry(entry) for entry in night.feed.log()[-last:]))

    @router.get("/frame", response_model=MeasuredFrame, responses=NOT_THERE, operation_id="frame")
    async def frame() -> Response:
        """What there is to say of the last focus frame."""
        picture = night.picture()
        if picture is None:
            raise HTTPException(404, _NO_FRAME)
        return _json(encoded(as_json(picture.frame)))

    @router.get("/frame.png", response_class=Response, responses={**PNG, **NOT_THERE}, operation_id="frame_picture")
    async def frame_picture() -> Response:
        """The last focus frame, stretched, with what was measured marked."""
        picture = night.picture()
        if picture is None:
            raise HTTPException(404, _NO_FRAME)
        return Response(picture.png, media_type="image/png")

    @router.get(
        "/events",
        response_class=StreamingResponse,
        responses={**STREAM, **MALFORMED, **_problems(_503="Too many look already")},
        operation_id="events",
    )
    async def live(last_event_id_: Annotated[str | None, Header(alias="Last-Event-ID")] = None) -> Response:
        """All that happens, as server-sent events; `Last-Event-ID` goes on where the connection broke."""
        if night.viewers.count >= MOST_VIEWERS:
            raise HTTPException(503, f"There are {MOST_VIEWERS} dashboards open already: close some of them.")
        return StreamingResponse(
            events(night.feed, night.viewers, last_event_id(last_event_id_)),
            media_type="text/event-stream",
            headers={"X-Accel-Buffering": "no"},
        )

    return router


_NO_FRAME = "There is no picture yet: one is made of each focus frame while a dashboard is open."


def _history(night: NightSource) -> APIRouter:
    router = APIRouter(tags=["history"], responses={**LOOKING, **NOT_READ})
    history = HistoryReader(night)

    @router.get("/night", response_model=NightSoFar, operation_id="night")
    async def so_far() -> Response:
        """Temperature, position, refocuses and light frames of the last 24 hours."""
        return _json(await history.so_far())

    @router.get("/runs", response_model=list[RunSummary], responses=MALFORMED, operation_id="runs")
    async def runs(last: Annotated[int, Query(ge=1, le=500)] = 20) -> Response:
        """The latest focus runs, the newest first."""
        return _json(await history.runs(last))

    @router.get(
        "/runs/{number}", response_model=RunProgress, responses={**NOT_THERE, **MALFORMED}, operation_id="run_by_number"
    )
    async def run(number: Number) -> Response:
        """One focus run with all of its frames."""
        told = await history.run(number)
        if told is None:
            raise HTTPException(404, f"There is no run {number} in the history.")
        return _json(told)

    @router.get(
        "/runs/{number}/picture.png",
        response_class=Response,
        responses={**PNG, **NOT_THERE, **MALFORMED},
        operation_id="run_picture",
    )
    async def picture(number: Number) -> Response:
        """The V-curve of one focus run."""
        png = await history.picture(number)
        if png is None:
            raise HTTPException(404, f"There is no run {number} in the history, or it took no frame.")
        return Response(png, media_type="image/png")

    @router.get("/lights", response_model=list[MeasuredLight], responses=MALFORMED, operation_id="lights")
    async def lights(last: Annotated[int, Query(ge=1, le=5000)] = 200) -> Response:
        """The latest light frames of the imaging program, the newest first."""
        return _json(await history.lights(last))

    return router


def _commanding(night: NightSource) -> APIRouter:
    router = APIRouter(tags=["commands"], responses=COMMANDING)
    carried_out = partial(_carried_out, night)

    @router.post("/refocus", operation_id="refocus")
    async def refocus(asked: models.RefocusRequest | None = None) -> models.CommandReply:
        """Refocus as soon as possible."""
        return await carried_out("refocus", if_due=asked is not None and asked.if_due)

    @router.post("/pause", operation_id="pause")
    async def pause() -> models.CommandReply:
        """Do nothing by itself until `resume`."""
        return await carried_out("pause")

    @router.post("/resume", operation_id="resume")
    async def resume() -> models.CommandReply:
        """Go on after `pause`."""
        return await carried_out("resume")

    @router.post("/abort", operation_id="abort")
    async def abort() -> models.CommandReply:
        """End a run that is under way, or take back the wish for one."""
        return await carried_out("abort")

    @router.post("/compensation", operation_id="compensation")
    async def compensation(asked: models.CompensationRequest) -> models.CommandReply:
        """Follow the temperature between two refocuses, or do not."""
        return await carried_out("compensation", enabled=asked.enabled)

    return router


def _telling(night: NightSource) -> APIRouter:
    router = APIRouter(tags=["for scripts of the imaging program"], responses=COMMANDING)
    carried_out = partial(_carried_out, night)

    @router.post("/exposure", operation_id="exposure")
    async def exposure(asked: models.ExposureRequest) -> models.CommandReply:
        """Tell of the begin or the end of an exposure, with imaging.way: told."""
        return await carried_out("exposure", **asked.model_dump(exclude_none=True))

    @router.post("/filter", operation_id="filter")
    async def filter_(asked: models.FilterRequest) -> models.CommandReply:
        """Tell which filter is in the light, where no wheel can be asked."""
        return await carried_out("filter", name=asked.name)

    @router.post("/flip", operation_id="flip")
    async def flip() -> models.CommandReply:
        """Tell that the mount has flipped."""
        return await carried_out("tell", what="flip")

    @router.post("/tell", operation_id="tell")
    async def tell(asked: models.TellRequest) -> models.CommandReply:
        """Tell what the imaging program does."""
        return await carried_out("tell", **asked.model_dump(exclude_none=True))

    return router


async def _carried_out(night: NightSource, command: str, **arguments: object) -> models.CommandReply:
    told = await night.answer(Command(command, arguments))
    if "error" in told:
        raise HTTPException(409, str(told["error"]))
    if "waits_for" in told:
        raise HTTPException(409, f"It waits for the end of {told['waits_for']}: ask again in a moment.")
    return models.CommandReply(said=str(told["said"]))


def _watching(night: NightSource) -> APIRouter:
    router = APIRouter(tags=["watching the program"], responses=LOOKING)
    exporter = PrometheusExporter(night)

    @router.get("/metrics", response_class=Response, responses=TEXT, operation_id="metrics")
    async def metrics() -> Response:
        """The metrics, for Prometheus."""
        return Response(exporter.text(), media_type=CONTENT_TYPE)

    @router.get("/healthz", responses=_problems(_503="The daemon hangs"), operation_id="alive")
    async def alive() -> models.CommandReply:
        """Whether the daemon is alive."""
        try:
            async with asyncio.timeout(ALIVE_WITHIN_S):
                await night.answer(Command("status", {}))
        except (TimeoutError, ConfigurationError):
            raise HTTPException(503, "The daemon does not answer its own web server: look at the log.") from None
        return models.CommandReply(said="It is alive.")

    @router.get("/readyz", responses=_problems(_503="The devices are not connected"), operation_id="ready")
    async def ready() -> models.CommandReply:
        """Whether the devices are connected."""
        entry = night.feed.latest.get("status")
        status = Waiting(why="") if entry is None else entry.data
        if isinstance(status, Waiting):
            raise HTTPException(503, f"The daemon waits for the devices. {status.why}".rstrip())
        return models.CommandReply(said="All devices are connected.")

    return router


# What went wrong


def _problem(sentence: str, status: int, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": sentence}, status, headers=headers)


async def _http_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)  # noqa: S101 - it is registered for those
    if error.status_code == 400:
        return _problem("That was not understood. It is no JSON.", 422)
    usual = {404: f"There is nothing at {request.url.path}.", 405: f"{request.method} means nothing here."}
    is_ours = isinstance(error, HTTPException)
    sentence = str(error.detail) if is_ours else usual.get(error.status_code, str(error.detail))
    return _problem(sentence, error.status_code, error.headers)


async def _malformed(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
    told = [f"{'.'.join(map(str, each['loc'][1:])) or 'what was sent'}: {each['msg']}" for each in error.errors()]
    return _problem(f"That was not understood. {'; '.join(told)}.", 422)


async def _not_now(_: Request, error: Exception) -> Response:
    return _problem(str(error), 409)


async def _failed(request: Request, error: Exception) -> Response:
    _log.error("The web server failed", path=request.url.path, why=repr(error))
    return _problem("The program itself failed; the log has the details.", 500)
