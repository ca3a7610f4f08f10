"""Carries out the commands that people and scripts of the imaging program send to the daemon."""

from collections.abc import Mapping

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.core.night.decisions import GAP_REASONS
from alpaca_focus.core.night.state import NO_LIGHTS, Plan
from alpaca_focus.night.reported_exposures import ReportedExposure, ReportedExposures
from alpaca_focus.night.scheduler import RefocusScheduler
from alpaca_focus.ports import Clock
from alpaca_focus.service.control_wire import Request
from alpaca_focus.settings.models import FilterFocusSection, Settings

Reply = dict[str, object]


async def carry_out(scheduler: RefocusScheduler, request: Request, settings: Settings) -> Reply:
    """Carry out a command and return the reply; its sentence is under `said`.

    Raises:
        ConfigurationError: The command is unknown, or contradicts the settings.
    """
    match request.command:
        case "refocus" if request.arguments.get("if_due"):
            return await _refocus_if_due(scheduler)
        case "refocus":
            scheduler.requests.refocus()
            return {"said": "A refocus follows as soon as possible."}
        case "pause":
            scheduler.requests.pause()
            return {"said": "Paused: no automatic refocus or compensation until `alpaca-focus resume`."}
        case "resume":
            scheduler.requests.resume()
            return {"said": "Resumed."}
        case "abort":
            return {"said": scheduler.abort()}
        case "compensation":
            return {"said": scheduler.requests.switch_compensation(on=request.arguments.get("enabled") is True)}
        case "tell":
            return {"said": _report(scheduler, request.arguments, settings)}
        case "filter":
            return {"said": _report_filter(scheduler, str(request.arguments.get("name", "")), settings)}
        case _:
            raise ConfigurationError(f"Unknown command {request.command}.")


async def _refocus_if_due(scheduler: RefocusScheduler) -> Reply:
    """Poll all devices and start a refocus that is due and allowed; `follows` is true if a refocus will take place."""
    await scheduler.tick(fresh=True)
    decision = scheduler.decision
    if decision is None:
        return {"said": "The focuser does not answer. See the log.", "follows": False}
    if scheduler.doing:
        return {"said": f"There is {scheduler.doing} under way.", "follows": True}
    if not decision.due:
        return {"said": "Nothing is due.", "follows": False}
    waits_for = [reason for reason in decision.blocked_by if reason not in GAP_REASONS]
    then = f"waits for: {', '.join(waits_for)}" if waits_for else "follows after the exposure"
    return {"said": f"A refocus is due ({decision.reason}) and {then}.", "follows": not waits_for}


def _report(scheduler: RefocusScheduler, arguments: Mapping[str, object], settings: Settings) -> str:
    what = arguments.get("what")
    if what == "image" and settings.imaging.folder is not None:
        return "Not counted: images are counted in imaging.folder."
    if what == "image":
        scheduler.requests.report_image(_positive(arguments, "hfd_px"))
        return "One image counted."
    if what == "flip":
        scheduler.requests.report_flip()
        return "The mount has flipped."
    try:
        plan = Plan(str(what))
    except ValueError:
        raise ConfigurationError(f"{what} cannot be reported. Use image, flip, or one of {', '.join(Plan)}.") from None
    scheduler.requests.report_plan(plan)
    return f"The plan: {plan}."


def _report_filter(scheduler: RefocusScheduler, name: str, settings: Settings) -> str:
    if settings.filter_wheel is not None:
        raise ConfigurationError(
            "The filter was ignored: the filter_wheel of the settings reports it. Remove `alpaca-focus filter` from "
            "the script."
        )
    if not name:
        raise ConfigurationError("The name of the filter is missing. Add it, as in `alpaca-focus filter Ha`.")
    scheduler.requests.report_filter(name)
    instead = settings.focus.filters.get(name, FilterFocusSection()).focus_through
    warning = (
        f" Refocusing will fail: focus.filters.{name} requires focusing through {instead}, but no filter_wheel is set."
    )
    return f"The filter: {name}." + ("" if instead in {None, name} else warning)


class ExposureCommands:
    """The commands `alpaca-focus exposure begin` and `alpaca-focus exposure end`.

    They work without a scheduler, too: imaging continues while the daemon waits for devices or reloads its settings.
    """

    def __init__(self, clock: Clock) -> None:
        self.reported = ReportedExposures(clock)
        self._uncounted: list[float | None] = []

    async def carry_out(
        self, scheduler: RefocusScheduler | None, arguments: Mapping[str, object], settings: Settings
    ) -> Reply:
        """Record the begin or the end of an exposure.

        Returns:
            The reply; if a job owns the optics, the job's name under `waits_for`, and nothing was recorded.

        Raises:
            ConfigurationError: `imaging.way` is not `told`.
        """
        way, what = settings.imaging.way, arguments.get("what")
        if way != "told":
            raise ConfigurationError(
                f"The exposure was ignored: imaging.way is {way}. `alpaca-focus exposure` needs imaging.way: told."
            )
        if what == "begin":
            return await self._begin(scheduler, arguments, settings)
        if what == "end":
            return {"said": self._end(scheduler, _positive(arguments, "hfd_px"), settings)}
        raise ConfigurationError(f"An exposure can begin or end, but not {what}.")

    def hand_over(self, scheduler: RefocusScheduler) -> None:
        """Count the images that were reported while there was no scheduler."""
        for hfd_px in self._uncounted:
            scheduler.requests.report_image(hfd_px)
        self._uncounted.clear()

    async def _begin(
        self, scheduler: RefocusScheduler | None, arguments: Mapping[str, object], settings: Settings
    ) -> Reply:
        exposure = ReportedExposure(seconds=_positive(arguments, "seconds"), dark=arguments.get("dark") is True)

        def record() -> None:
            self.reported.begin(exposure, download_s=settings.camera.download_timeout_s)

        if scheduler is None:
            record()
            return {"said": "The exposure begins. The daemon is still waiting for the devices."}
        waits_for = await scheduler.lend_camera(record, for_light=not exposure.dark)
        return {"waits_for": waits_for} if waits_for else {"said": "The exposure begins."}

    def _end(self, scheduler: RefocusScheduler | None, hfd_px: float | None, settings: Settings) -> str:
        exposure = self.reported.end()
        if settings.imaging.folder is not None:
            return "The exposure has ended; images are counted in imaging.folder."
        is_short = exposure.seconds is not None and exposure.seconds < settings.night.least_image_s
        if exposure.dark or is_short or (scheduler is not None and scheduler.state.plan in NO_LIGHTS):
            return "The exposure has ended; it does not count."
        if scheduler is None:
            self._uncounted.append(hfd_px)
        else:
            scheduler.requests.report_image(hfd_px)
        return "The exposure has ended: one image counted."


def _positive(arguments: Mapping[str, object], name: str) -> float | None:
    value = arguments.get(name)
    return float(value) if isinstance(value, int | float) and value > 0 else None
