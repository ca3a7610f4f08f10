"""The report of a night: its part of the history, the time when it is due, and its file."""

from datetime import date, datetime, timedelta
from operator import attrgetter
from pathlib import Path

import structlog

from alpaca_focus import __version__
from alpaca_focus.core.curves.calibration import Estimate
from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.core.night.focus_model import AVERAGE
from alpaca_focus.core.night.night_review import ReviewedNight, bounds_of, by_curves, by_stars, night_of, troubles
from alpaca_focus.core.values import SavedRun
from alpaca_focus.daemon.night_settings import zone_steps
from alpaca_focus.files.file_access import atomic_write
from alpaca_focus.files.report_page import report_page
from alpaca_focus.night.state_store import load_state
from alpaca_focus.ports import Sun
from alpaca_focus.settings.models import Settings
from alpaca_focus.store.learned_model import MOST_RUNS, model_by_run_temperature, model_by_sensor
from alpaca_focus.store.run_store import FILE_NAME, RunStore

FOLDER = "reports"
MOST_LIGHTS = 5000
QUIET = timedelta(hours=1)
"""Without a site a night is over after so long without an exposure."""
LEAST_SESSION = timedelta(hours=1)
"""A shorter session is a test and gets no report."""
MIDNIGHT_TO_NOON = timedelta(hours=12)

_log = structlog.get_logger(__name__)


def east_of(settings: Settings, at: datetime) -> timedelta:
    """Return how far local solar time, or without a site this computer's time zone, is ahead of UTC."""
    if settings.site is not None:
        return timedelta(hours=settings.site.longitude_deg / 15)
    return at.astimezone().utcoffset() or timedelta(0)


def last_night(settings: Settings, now: datetime) -> date:
    """Return the date of the present night, or of the last one."""
    return night_of(now, east_of(settings, now))


def review_night(settings: Settings, night: date, now: datetime) -> ReviewedNight:
    """Return everything that the history holds about a night.

    Raises:
        ConfigurationError: No storage.directory is set.
        StorageError: The history cannot be read.
    """
    directory = settings.storage.folder
    if directory is None:
        raise ConfigurationError("There is no history to report on. Set storage.directory.")
    begins, ends = bounds_of(night, east_of(settings, now))
    with RunStore(directory, read_only=True) as store:
        runs = store.runs(last=MOST_RUNS)
        lights = store.lights(last=MOST_LIGHTS)
        notices = store.notices(since=begins)
        state = load_state(store, now)
    of_night = [run for run in reversed(runs) if begins <= run.result.started_at < ends]
    is_of_night = state.saved_at is not None and begins <= state.saved_at < ends
    return ReviewedNight(
        telescope=settings.telescope.name,
        date=night,
        runs=tuple(of_night),
        lights=tuple(sorted((each for each in lights if begins <= each.ended_at < ends), key=attrgetter("ended_at"))),
        notices=tuple(each for each in notices if each.at < ends),
        ignored=state.history.ignored if is_of_night else {},
        zone_steps=_zone_steps(settings),
        tolerance=settings.night.tolerance_percent / 100,
        learned=_learned(runs),
        set_steps_per_c=settings.focuser.temperature_coefficient_steps_per_c,
        compensates=settings.compensation.enabled,
    )


def _zone_steps(settings: Settings) -> float | None:
    step_size_um = settings.focuser.step_size_um
    if step_size_um is None:
        return None
    # The critical focus zone does not depend on the size of the pixels.
    return zone_steps(settings, settings.telescope.train(pixel_size_um=1.0, step_size_um=step_size_um))


def _learned(runs: tuple[SavedRun, ...]) -> Estimate | None:
    """Return the temperature coefficient of the averaged temperature, or of the temperature saved with each run."""
    for model in (model_by_sensor(runs, AVERAGE), model_by_run_temperature(runs)):
        if model is not None:
            return next(iter(model.steps_per_c.values()))
    return None


def write_report(path: Path, night: ReviewedNight, made_at: datetime) -> None:
    """Write the report atomically.

    Raises:
        ConfigurationError: The file cannot be written.
    """
    with atomic_write(path, "report") as file:
        file.write(report_page(night, made_at=made_at, version=__version__).encode())


def summary(night: ReviewedNight) -> str:
    """Return some sentences on the night, what went wrong first, for the message that goes with the report."""
    good, wrong = sum(run.is_good for run in night.runs), troubles(night)
    # On a phone the first of them must do; the report names all.
    more = f" The report names {len(wrong) - 1} more." if len(wrong) > 1 else ""
    sentences = [f"{wrong[0]}{more}"] if wrong else []
    sentences += [f"{good} of {len(night.runs)} refocuses were good." if night.runs else "There was no refocus."]
    stars, curves = by_stars(night).share, by_curves(night)
    if stars is not None:
        sentences.append(f"{100 * stars:.0f} % of the light frames had stars about as small as just after a refocus.")
    if curves is not None and curves.share is not None:
        sentences.append(
            f"By the V-curves the telescope was in the critical focus zone for {100 * curves.share:.0f} %."
        )
    return " ".join(sentences)


class ReportSchedule:
    """Decides when the report of a night is due.

    With a site and a limit for the sun, a night is over when the sun is above that limit between midnight and noon.
    Without them, it is over when at least an hour of work was followed by an hour without any; if work continues after
    that, the report is written once more.
    """

    def __init__(self, settings: Settings, sun: Sun | None) -> None:
        self._settings = settings
        self._sun = sun
        self._made: tuple[date, datetime] | None = None

    def report_due(self, now: datetime) -> Path | None:
        """Return the path of the report that is due, with its folder created; `None` if none is due.

        Raises:
            StorageError: The history cannot be read.
            ConfigurationError: The folder cannot be created.
        """
        directory = self._settings.storage.folder
        if directory is None or not (directory / FILE_NAME).is_file():
            return None
        night = last_night(self._settings, now)
        path = directory / FOLDER / f"{night.isoformat()}.html"
        if not self._is_over(now, night, has_report=path.is_file()):
            return None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"The folder {path.parent} cannot be created ({error.strerror}).") from error
        return path

    def made(self, now: datetime) -> None:
        """Record that the report has been written."""
        self._made = (last_night(self._settings, now), now)

    def _is_over(self, now: datetime, night: date, *, has_report: bool) -> bool:
        limit_deg = self._settings.night.sun_altitude_deg
        made_at = self._made[1] if self._made is not None and self._made[0] == night else None
        if self._sun is not None and limit_deg is not None:
            begins, _ = bounds_of(night, east_of(self._settings, now))
            is_morning = now >= begins + MIDNIGHT_TO_NOON
            if has_report or made_at is not None or not is_morning or self._sun.altitude_deg(now) <= limit_deg:
                return False
            return self._worked(night, now) is not None
        if has_report and made_at is None:
            # An earlier process has written it.
            return False
        worked = self._worked(night, now)
        if worked is None:
            return False
        first, last = worked
        is_new = made_at is None or last > made_at
        return is_new and last - first >= LEAST_SESSION and now - last >= QUIET

    def _worked(self, night: date, now: datetime) -> tuple[datetime, datetime] | None:
        """Return the times of the first and last work in a night; `None` if there was none."""
        directory = self._settings.storage.folder
        assert directory is not None  # noqa: S101 - `report_due` has checked it
        begins, ends = bounds_of(night, east_of(self._settings, now))
        with RunStore(directory, read_only=True) as store:
            runs, lights = store.runs(since=begins), store.lights(last=MOST_LIGHTS)
        times = [run.result.started_at for run in runs] + [light.ended_at for light in lights]
        of_night = [at for at in times if begins <= at < ends]
        return (min(of_night), max(of_night)) if of_night else None
