"""The web application: the REST API, the dashboard's files, the metrics."""

import asyncio
import json
from collections.abc import Mapping
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
from starlette.types import ASGIApp, Scope
from typing_extensions import override

from alpaca_focus.core.errors import AlpacaFocusError, ConfigurationError
from alpaca_focus.core.metrics import ROWS
from alpaca_focus.core.outages import capitalised, outages_of
from alpaca_focus.core.status import MeasuredFrame, MeasuredLight, RunProgress, Status, Waiting, as_json
from alpaca_focus.service.control_wire import Request as Command
from alpaca_focus.web import models
from alpaca_focus.web.events import encoded, encoded_entry, events, last_event_id
from alpaca_focus.web.guard import Guard
from alpaca_focus.web.history import HistoryReader, NightSoFar, RunSummary
from alpaca_focus.web.prometheus import CONTENT_TYPE, PrometheusExporter
from alpaca_focus.web.security import AccessRules
from alpaca_focus.web.source import NightSource, Picture

METRICS_SCRIPT = f"export const METRIC_LABELS = {json.dumps({row.name: row.label for row in ROWS})};\n"
"""The JavaScript module with the names of the metrics, for the dashboard."""
STATIC = Path(__file__).parent / "static"
MOST_VIEWERS = 200
ANSWER_TIMEOUT_S = 5.0
LARGEST_NUMBER = 2**53
"""JavaScript has exact integers up to this one."""
REVALIDATED = {"Cache-Control": "no-cache"}

Responses = dict[int | str, dict[str, Any]]


def _errors(**sentences: str) -> Responses:
    return {int(name[1:]): {"model": models.ErrorReply, "description": text} for name, text in sentences.items()}


READING = _errors(_403="The address or the host name is not allowed")
COMMANDING = _errors(
    _401="The token is missing or wrong",
    _403="The address, the host name or the web page is not allowed, or no token is set",
    _408="The command was not complete in time",
    _409="The command cannot be carried out now",
    _413="The command is too long",
    _415="The command is not JSON",
    _422="The command is malformed",
)
NOT_FOUND = _errors(_404="It does not exist")
NO_HISTORY = _errors(_409="The history cannot be read now")
MALFORMED = _errors(_422="The request is malformed")
NO_RUN = {**NOT_FOUND, **MALFORMED}
PNG: Responses = {200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}}
STREAM: Responses = {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}}
TEXT: Responses = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}

Number = Annotated[int, InPath(ge=1, le=LARGEST_NUMBER)]

_log = structlog.get_logger(__name__)


def make_app(night: NightSource, rules: AccessRules) -> ASGIApp:
    """Return the application that the web server serves, behind its access rules."""
    return Guard(unguarded(night), rules)


def unguarded(night: NightSource) -> FastAPI:
    """Return the application without its access rules; use it to generate the API's description."""
    app = _Api(
        title="alpaca-focus",
        version=night.version,
        description="Keeps a telescope in focus. Commands from another computer need the token of web.token.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    for router in (_current(night), _history(night), _commands(night), _reports(night)):
        app.include_router(router, prefix="/api/v1")
    app.include_router(_monitoring(night))
    files = _CachedFiles(directory=STATIC)

    @app.get("/", include_in_schema=False)
    async def dashboard(request: Request) -> Response:
        return await files.get_response("index.html", request.scope)

    @app.get("/static/metrics.js", include_in_schema=False)
    async def metric_labels() -> Response:
        return Response(METRICS_SCRIPT, media_type="text/javascript", headers=REVALIDATED)

    # Files only: compression would delay the live events.
    app.mount("/static", GZipMiddleware(files, minimum_size=1000))
    app.add_exception_handler(StarletteHTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(AlpacaFocusError, _conflict)
    app.add_exception_handler(Exception, _internal_error)
    return app


class _CachedFiles(StaticFiles):
    """Files that a browser caches, and revalidates at each use."""

    @override
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(REVALIDATED)
        return response


class _Api(FastAPI):
    """An application whose schema takes the descriptions of fields from the docstrings of the dataclasses."""

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
    # Replies contain every field, those with a default as well.
    schema["required"] = list(schema["properties"])
    for field in schema["properties"].values():
        field.pop("default", None)
    for line in attributes.splitlines():
        name, _, description = line.strip().partition(": ")
        schema["properties"][name]["description"] = description.removesuffix(".")


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")


def _current(night: NightSource) -> APIRouter:
    router = APIRouter(tags=["current state"], responses=READING)

    def last_picture() -> Picture:
        picture = night.picture()
        if picture is None:
            raise HTTPException(404, "There is no picture yet. Each focus frame is drawn while a dashboard is open.")
        return picture

    @router.get("/status", response_model=Status | Waiting, operation_id="status")
    async def status() -> Response:
        """The daemon's state, the refocuses that are due, and how near each trigger is."""
        entry = night.feed.latest.get("status")
        return _json(encoded(as_json(Waiting(why=""))) if entry is None else encoded_entry(entry))

    @router.get("/run", response_model=RunProgress, operation_id="run")
    async def run() -> Response:
        """The focus run under way, or the last one since the program was started."""
        entry = night.feed.latest.get("run")
        return _json(encoded(as_json(RunProgress())) if entry is None else encoded_entry(entry))

    @router.get("/log", response_model=list[models.LogLine], responses=MALFORMED, operation_id="log")
    async def log(last: Annotated[int, Query(ge=1, le=500)] = 200) -> Response:
        """The focusing log, the newest line last."""
        return _json(b"[%s]" % b",".join(encoded_entry(entry) for entry in night.feed.log()[-last:]))

    @router.get("/frame", response_model=MeasuredFrame, responses=NOT_FOUND, operation_id="frame")
    async def frame() -> Response:
        """The measurement of the last focus frame."""
        return _json(encoded(as_json(last_picture().frame)))

    @router.get("/frame.png", response_class=Response, responses={**PNG, **NOT_FOUND}, operation_id="frame_picture")
    async def frame_picture() -> Response:
        """The last focus frame, stretched, with the measured stars or spectrum marked."""
        return Response(last_picture().png, media_type="image/png")

    @router.get(
        "/events",
        response_class=StreamingResponse,
        responses={**STREAM, **MALFORMED, **_errors(_503="Too many dashboards are open")},
        operation_id="events",
    )
    async def live(last_event_id_: Annotated[str | None, Header(alias="Last-Event-ID")] = None) -> Response:
        """All updates as server-sent events; `Last-Event-ID` continues after a lost connection."""
        if night.viewers.count >= MOST_VIEWERS:
            raise HTTPException(503, f"{MOST_VIEWERS} dashboards are open already. Close some of them.")
        return StreamingResponse(
            events(night.feed, night.viewers, last_event_id(last_event_id_)),
            media_type="text/event-stream",
            headers={"X-Accel-Buffering": "no"},
        )

    return router


def _history(night: NightSource) -> APIRouter:
    router = APIRouter(tags=["history"], responses={**READING, **NO_HISTORY})
    history = HistoryReader(night)

    @router.get("/night", response_model=NightSoFar, operation_id="night")
    async def so_far() -> Response:
        """Temperature, position, refocuses and light frames of the last 24 hours."""
        return _json(await history.so_far())

    @router.get("/runs", response_model=list[RunSummary], responses=MALFORMED, operation_id="runs")
    async def runs(last: Annotated[int, Query(ge=1, le=500)] = 20) -> Response:
        """The latest focus runs, the newest first."""
        return _json(await history.runs(last))

    @router.get("/runs/{number}", response_model=RunProgress, responses=NO_RUN, operation_id="run_by_number")
    async def run(number: Number) -> Response:
        """One focus run with all of its frames."""
        body = await history.run(number)
        if body is None:
            raise HTTPException(404, f"The history has no run {number}.")
        return _json(body)

    @router.get(
        "/runs/{number}/picture.png", response_class=Response, responses={**PNG, **NO_RUN}, operation_id="run_picture"
    )
    async def picture(number: Number) -> Response:
        """The V-curve of one focus run."""
        png = await history.picture(number)
        if png is None:
            raise HTTPException(404, f"The history has no run {number}, or the run took no frame.")
        return Response(png, media_type="image/png")

    @router.get("/lights", response_model=list[MeasuredLight], responses=MALFORMED, operation_id="lights")
    async def lights(last: Annotated[int, Query(ge=1, le=5000)] = 200) -> Response:
        """The latest light frames of the imaging program, the newest first."""
        return _json(await history.lights(last))

    return router


def _commands(night: NightSource) -> APIRouter:
    router = APIRouter(tags=["commands"], responses=COMMANDING)

    @router.post("/refocus", operation_id="refocus")
    async def refocus(body: models.RefocusRequest | None = None) -> models.CommandReply:
        """Refocus as soon as possible."""
        return await _reply_to(night, "refocus", if_due=body is not None and body.if_due)

    @router.post("/pause", operation_id="pause")
    async def pause() -> models.CommandReply:
        """Start no refocus and no correction move until `resume`."""
        return await _reply_to(night, "pause")

    @router.post("/resume", operation_id="resume")
    async def resume() -> models.CommandReply:
        """Continue after `pause`."""
        return await _reply_to(night, "resume")

    @router.post("/abort", operation_id="abort")
    async def abort() -> models.CommandReply:
        """Abort the focus run under way, or withdraw the refocus request."""
        return await _reply_to(night, "abort")

    @router.post("/compensation", operation_id="compensation")
    async def compensation(body: models.CompensationRequest) -> models.CommandReply:
        """Switch temperature compensation on or off."""
        return await _reply_to(night, "compensation", enabled=body.enabled)

    return router


def _reports(night: NightSource) -> APIRouter:
    router = APIRouter(tags=["for scripts of the imaging program"], responses=COMMANDING)

    @router.post("/exposure", operation_id="exposure")
    async def exposure(body: models.ExposureRequest) -> models.CommandReply:
        """Report the begin or the end of an exposure, with the setting `imaging.way: told`."""
        return await _reply_to(night, "exposure", **body.model_dump(exclude_none=True))

    @router.post("/filter", operation_id="filter")
    async def filter_(body: models.FilterRequest) -> models.CommandReply:
        """Report the current filter, where no filter wheel is connected."""
        return await _reply_to(night, "filter", name=body.name)

    @router.post("/flip", operation_id="flip")
    async def flip() -> models.CommandReply:
        """Report a meridian flip."""
        return await _reply_to(night, "tell", what="flip")

    @router.post("/tell", operation_id="tell")
    async def tell(body: models.ImagingRequest) -> models.CommandReply:
        """Report what the imaging program does."""
        return await _reply_to(night, "tell", **body.model_dump(exclude_none=True))

    return router


async def _reply_to(night: NightSource, command: str, **arguments: object) -> models.CommandReply:
    """Have the daemon carry out a command and return its reply.

    Raises:
        HTTPException: The daemon refuses the command.
    """
    answer = await night.answer(Command(command, arguments))
    if "error" in answer:
        raise HTTPException(409, str(answer["error"]))
    if "waits_for" in answer:
        raise HTTPException(409, f"The daemon is busy until {answer['waits_for']} has ended. Try again in a moment.")
    return models.CommandReply(sentence=str(answer["said"]))


def _monitoring(night: NightSource) -> APIRouter:
    router = APIRouter(tags=["monitoring"], responses=READING)
    exporter = PrometheusExporter(night)

    @router.get("/metrics", response_class=Response, responses=TEXT, operation_id="metrics")
    async def metrics() -> Response:
        """The metrics, for Prometheus."""
        return Response(exporter.text(), media_type=CONTENT_TYPE)

    @router.get("/healthz", responses=_errors(_503="The daemon hangs"), operation_id="alive")
    async def alive() -> models.CommandReply:
        """Whether the daemon is alive."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await night.answer(Command("status", {}))
        except (TimeoutError, ConfigurationError):
            raise HTTPException(503, "The daemon does not answer its own web server. See the log.") from None
        return models.CommandReply(sentence="The daemon is alive.")

    @router.get("/readyz", responses=_errors(_503="A device does not answer"), operation_id="ready")
    async def ready() -> models.CommandReply:
        """Whether the devices are connected, and each has answered its last poll."""
        entry = night.feed.latest.get("status")
        status = Waiting(why="") if entry is None else entry.data
        if isinstance(status, Waiting):
            raise HTTPException(503, f"The devices are not connected. {status.why}".rstrip())
        if isinstance(status, Status) and (outages := outages_of(status.devices)):
            causes = (f"{capitalised(each.cause)}." for each in outages)
            raise HTTPException(503, f"Not ready. {' '.join(causes)}")
        return models.CommandReply(sentence="All devices answer.")

    return router


# Errors


def _error(sentence: str, status: int, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": sentence}, status, headers=headers)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)  # noqa: S101 - it is registered for those
    if error.status_code == 400:
        return _error("The request is malformed: its body is not JSON.", 422)
    sentence = error.detail
    # FastAPI's class is raised here only; Starlette's own errors have no sentence.
    if not isinstance(error, HTTPException):
        by_status = {404: f"There is no page {request.url.path}.", 405: f"{request.method} is not allowed here."}
        sentence = by_status.get(error.status_code, sentence)
    return _error(sentence, error.status_code, error.headers)


async def _malformed(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
    problems = (f"{'.'.join(map(str, each['loc'][1:])) or 'the body'}: {each['msg']}" for each in error.errors())
    return _error(f"The request is malformed: {'; '.join(problems)}.", 422)


async def _conflict(_: Request, error: Exception) -> Response:
    return _error(str(error), 409)


async def _internal_error(request: Request, error: Exception) -> Response:
    _log.error("A request failed: internal error of the web server", path=request.url.path, why=repr(error))
    return _error("Internal error of the program. See the log for details.", 500)
