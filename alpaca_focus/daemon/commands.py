"""What the daemon does when a person or a script of the imaging program gives it a command."""

from collections.abc import Mapping

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.core.night.decisions import GAP_REASONS
from alpaca_focus.core.night.state import NO_LIGHTS, Plan
from alpaca_focus.night.reported_exposures import ReportedExposure, ReportedExposures
from alpaca_focus.night.scheduler import RefocusScheduler
from alpaca_focus.ports import Clock
from alpaca_focus.service.control_wire import Request
from alpaca_focus.settings.models import FilterFocusSection, Settings

Said = dict[str, object]


async def carried_out(scheduler: RefocusScheduler, request: Request, settings: Settings) -> Said:
    """Carry out a command and say so.

    Raises:
        ConfigurationError: There is no such command, or it does not go with the settings.
    """
    match request.command:
        case "refocus" if request.arguments.get("if_due"):
            return await _refocused_if_due(scheduler)
        case "refocus":
            scheduler.requests.refocus()
            return {"said": "A refocus follows as soon as possible."}
        case "pause":
            scheduler.requests.pause()
            return {"said": "Paused: nothing is done by itself until `alpaca-focus resume`."}
        case "resume":
            scheduler.requests.resume()
            return {"said": "It goes on."}
        case "abort":
            return {"said": scheduler.abort()}
        case "compensation":
            return {"said": scheduler.requests.switch_compensation(on=request.arguments.get("enabled") is True)}
        case "tell":
            return {"said": _reported(scheduler, request.arguments, settings)}
        case "filter":
            return {"said": _reported_filter(scheduler, str(request.arguments.get("name", "")), settings)}
        case _:
            raise ConfigurationError(f"There is no command {request.command}.")


async def _refocused_if_due(scheduler: RefocusScheduler) -> Said:
    """Poll all devices and start a refocus that is due and may be made; `follows`: it is worth waiting for."""
    await scheduler.tick(fresh=True)
    decision = scheduler.decision
    if decision is None:
        return {"said": "Nothing can be done yet: the focuser does not answer. See the log.", "follows": False}
    if scheduler.doing:
        return {"said": f"There is {scheduler.doing} under way.", "follows": True}
    if not decision.due:
        return {"said": "Nothing is due.", "follows": False}
    waits_for = [reason for reason in decision.blocked_by if reason not in GAP_REASONS]
    if waits_for:
        return {
            "said": f"A refocus is due ({decision.reason}) and waits for: {', '.join(waits_for)}.",
            "follows": False,
        }
    return {"said": f"A refocus is due ({decision.reason}) and follows after the exposure.", "follows": True}


def _reported(scheduler: RefocusScheduler, arguments: Mapping[str, object], settings: Settings) -> str:
    what = arguments.get("what")
    if what == "image" and settings.imaging.folder is not None:
        return "The images are counted in imaging.folder alone."
    if what == "image":
        scheduler.requests.report_image(_positive(arguments, "hfd_px"))
        return "One image more."
    if what == "flip":
        scheduler.requests.report_flip()
        return "The mount has flipped."
    try:
        plan = Plan(str(what))
    except ValueError:
        raise ConfigurationError(
            f"Nobody can be told {what}: it is image, flip, or one of {', '.join(Plan)}."
        ) from None
    scheduler.requests.report_plan(plan)
    return f"The plan: {plan}."


def _reported_filter(scheduler: RefocusScheduler, name: str, settings: Settings) -> str:
    if settings.filter_wheel is not None:
        raise ConfigurationError(
            "The filter was not taken note of: there is a filter_wheel in the settings, which is asked itself. Leave "
            "`alpaca-focus filter` out of the script."
        )
    if not name:
        raise ConfigurationError("The filter has no name: give one, such as `alpaca-focus filter Ha`.")
    scheduler.requests.report_filter(name)
    instead = settings.focus.filters.get(name, FilterFocusSection()).focus_through
    if instead not in {None, name}:
        return (
            f"The filter: {name}. Refocusing will fail: focus.filters.{name} asks to focus through {instead}, and "
            "without a filter_wheel nothing can turn to it."
        )
    return f"The filter: {name}."


class ExposureCommands:
    """The commands `alpaca-focus exposure begin` and `alpaca-focus exposure end`.

    They are carried out without devices, too: the imaging goes on while the daemon waits for them or reads its settings
    anew.

    Attributes:
        reported: The exposures reported so far.

    Args:
        clock: Time.
    """

    def __init__(self, clock: Clock) -> None:
        self.reported = ReportedExposures(clock)
        self._unlisted: list[float | None] = []

    async def carry_out(
        self, scheduler: RefocusScheduler | None, arguments: Mapping[str, object], settings: Settings
    ) -> Said:
        """Take note of the begin or the end of an exposure.

        Returns:
            What was said; or what owns the optics, under `waits_for`: then it has not been taken note of.

        Raises:
            ConfigurationError: Exposures are known in another way.
        """
        way, what = settings.imaging.way, arguments.get("what")
        if way != "told":
            raise ConfigurationError(
                f"The exposure was not taken note of: imaging.way is {way}, and `alpaca-focus exposure` is for "
                "imaging.way: told."
            )
        if what == "begin":
            return await self._begun(scheduler, arguments, settings)
        if what == "end":
            return {"said": self._ended(scheduler, _positive(arguments, "hfd_px"), settings)}
        raise ConfigurationError(f"An exposure can begin or end, and not {what}.")

    def hand_over(self, scheduler: RefocusScheduler) -> None:
        """Let a new scheduler count the images that were reported while there was none."""
        for hfd_px in self._unlisted:
            scheduler.requests.report_image(hfd_px)
        self._unlisted.clear()

    async def _begun(
        self, scheduler: RefocusScheduler | None, arguments: Mapping[str, object], settings: Settings
    ) -> Said:
        exposure = ReportedExposure(seconds=_positive(arguments, "seconds"), dark=arguments.get("dark") is True)

        def take() -> None:
            self.reported.begin(exposure, download_s=settings.camera.download_timeout_s)

        if scheduler is None:
            take()
            return {"said": "The exposure begins. The daemon still waits for the devices."}
        waits_for = await scheduler.lend_camera(take, for_light=not exposure.dark)
        return {"waits_for": waits_for} if waits_for else {"said": "The exposure begins."}

    def _ended(self, scheduler: RefocusScheduler | None, hfd_px: float | None, settings: Settings) -> str:
        exposure = self.reported.end()
        if settings.imaging.folder is not None:
            return "The exposure has ended; the images are counted in imaging.folder alone."
        is_short = exposure.seconds is not None and exposure.seconds < settings.night.least_image_s
        if exposure.dark or is_short or (scheduler is not None and scheduler.state.plan in NO_LIGHTS):
            return "The exposure has ended; it does not count."
        if scheduler is None:
            self._unlisted.append(hfd_px)
        else:
            scheduler.requests.report_image(hfd_px)
        return "The exposure has ended: one image more."


def _positive(arguments: Mapping[str, object], name: str) -> float | None:
    value = arguments.get(name)
    return float(value) if isinstance(value, int | float) and value > 0 else None
