"""HTTP API to control and inspect the simulated observatory: faults, weather, clock, mount and true focus."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pydantic import BaseModel, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from alpaca_focus.simulator.faults import KINDS, FaultRequest
from alpaca_focus.simulator.pointing import SimulatedPierSide
from alpaca_focus.simulator.settings import StrictModel
from alpaca_focus.simulator.world import World

ROOT = "/simulator/v1"
INDEX = {
    f"GET {ROOT}": "this list",
    f"GET {ROOT}/fault-kinds": "the kinds of faults and their effects",
    f"GET {ROOT}/faults": "the active faults",
    f"POST {ROOT}/faults": 'switch a fault on: {"kind": "no-answer", "device": "camera", "members": [], "value": null, '
    '"times": null, "duration_s": null}',
    f"DELETE {ROOT}/faults": "switch all faults off",
    f"DELETE {ROOT}/faults/NUMBER": "switch one fault off",
    f"GET {ROOT}/weather": "clouds, seeing, air and safety as set from outside",
    f"PUT {ROOT}/weather": 'set any of them: {"transmission": 1.0, "seeing_fwhm_arcsec": 2.5, "air_offset_c": 0.0, '
    '"safe": true}',
    f"GET {ROOT}/clock": "simulated time and its pace",
    f"PUT {ROOT}/clock": 'set the pace: {"time_factor": 10}',
    f"PUT {ROOT}/flip": "flip the mount to the other side of the pier",
    f"GET {ROOT}/truth": "true focus, for tests and benchmarks only",
}
M = TypeVar("M", bound=BaseModel)


class WeatherRequest(StrictModel):
    """A change of the weather; what is left out stays."""

    transmission: float | None = Field(None, ge=0, le=1)
    seeing_fwhm_arcsec: float | None = Field(None, ge=0.1, le=20)
    air_offset_c: float | None = Field(None, ge=-60, le=60)
    safe: bool | None = None


class ClockRequest(StrictModel):
    """The pace of the simulated night."""

    time_factor: float = Field(ge=1, le=1000)


class _BadRequest(Exception):
    """The body of a request is invalid; the message gives the reason."""


def control_routes(world: World) -> tuple[BaseRoute, ...]:
    """Return the routes of the control and truth API."""
    control = _Control(world)

    def route(path: str, *methods: tuple[str, Callable[[Request], Awaitable[Response]]]) -> Route:
        table = dict(methods)

        async def endpoint(request: Request) -> Response:
            try:
                return await table["GET" if request.method == "HEAD" else request.method](request)
            except _BadRequest as error:
                return PlainTextResponse(str(error), status_code=400)

        return Route(ROOT + path, endpoint, methods=list(table))

    return (
        route("", ("GET", control.index)),
        route("/fault-kinds", ("GET", control.fault_kinds)),
        route("/faults", ("GET", control.faults), ("POST", control.add_fault), ("DELETE", control.clear_faults)),
        route("/faults/{number:int}", ("DELETE", control.clear_faults)),
        route("/weather", ("GET", control.weather), ("PUT", control.set_weather)),
        route("/clock", ("GET", control.clock), ("PUT", control.set_clock)),
        route("/flip", ("PUT", control.flip)),
        route("/truth", ("GET", control.truth)),
    )


class _Control:
    """The endpoints."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def index(self, _: Request) -> Response:
        return JSONResponse(INDEX)

    async def fault_kinds(self, _: Request) -> Response:
        return JSONResponse(dict(KINDS))

    async def faults(self, _: Request) -> Response:
        return JSONResponse(self._world.faults.listing())

    async def add_fault(self, request: Request) -> Response:
        number = self._world.faults.add(await _body(request, FaultRequest))
        return JSONResponse({"number": number}, status_code=201)

    async def clear_faults(self, request: Request) -> Response:
        self._world.faults.clear(request.path_params.get("number"))
        return JSONResponse(self._world.faults.listing())

    async def weather(self, _: Request) -> Response:
        weather = self._world.weather
        return JSONResponse({name: getattr(weather, name) for name in WeatherRequest.model_fields})

    async def set_weather(self, request: Request) -> Response:
        for name, value in (await _body(request, WeatherRequest)).model_dump(exclude_unset=True).items():
            if value is None and name != "seeing_fwhm_arcsec":
                raise _BadRequest(f"{name} cannot be null.")
            setattr(self._world.weather, name, value)
        return await self.weather(request)

    async def clock(self, _: Request) -> Response:
        clock = self._world.clock
        return JSONResponse({"utc": clock.utc().isoformat(), "time_s": clock.now_s(), "time_factor": clock.factor})

    async def set_clock(self, request: Request) -> Response:
        self._world.clock.set_factor((await _body(request, ClockRequest)).time_factor)
        return await self.clock(request)

    async def flip(self, _: Request) -> Response:
        pointing, now_s = self._world.pointing, self._world.clock.now_s()
        pointing.flip(SimulatedPierSide(1 - pointing.pier_side(now_s)), now_s)
        return JSONResponse({"slewing": pointing.is_slewing(now_s)})

    async def truth(self, _: Request) -> Response:
        return JSONResponse(truth(self._world))


def truth(world: World) -> dict[str, Any]:
    """Return the true focus and temperatures.

    A position of the motor is in focus when it puts the tube at best focus. After a move out the tube is at the
    motor's position; after a move in it is behind by the backlash.
    """
    now_s, focuser = world.clock.now_s(), world.settings.focuser
    tube_steps, best_steps = world.mechanism.tube(now_s), world.best_tube_steps(now_s)

    def positions(best: float) -> dict[str, float]:
        return {"best_position_arriving_in": best - focuser.backlash_steps, "best_position_arriving_out": best}

    return {
        "utc": world.clock.utc().isoformat(),
        "time_s": now_s,
        "best_tube_steps": best_steps,
        **positions(best_steps),
        "per_filter": {
            each.name: positions(world.best_tube_steps(now_s, slot)) for slot, each in enumerate(world.settings.filters)
        },
        "tube_steps": tube_steps,
        "motor_position": world.mechanism.position(now_s),
        "defocus_um": (tube_steps - best_steps) * focuser.step_size_um,
        "air_c": world.air_c(now_s),
        "tube_c": world.tube_c(now_s),
        "last_seeing_arcsec": world.last_seeing_arcsec,
    }


async def _body(request: Request, model: type[M]) -> M:
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(str(step) for step in first["loc"])
        raise _BadRequest(f"{path}: {first['msg']}." if path else f"{first['msg']}.") from error
