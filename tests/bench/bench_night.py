"""A whole night with and without what keeps it in focus, and what the daemon did in it."""

import functools
import statistics

from tests.bench.night import EXPOSURE_S, FACTOR, MODES, NightLog, lived
from tests.bench.table import Table

HOURS = 10.0
BEST = "compensation and triggers"
HOW = f"""{HOURS:g} simulated hours, {FACTOR:g} times as fast as the clock, over real HTTP: an imaging program takes
frames of {EXPOSURE_S:g} s through five filters with different focus offsets and asks the daemon between them whether
it needs the camera. 106 mm f/5, backlash 80 steps. The air cools by 6 to 9 degrees, focus moves by
30 steps a degree of the tube, which lags behind the sensor, and the daemon is set to 27; focus moves
by 20 steps with altitude, of which it knows nothing. Clouds for 42 minutes, a thermometer without
readings for 30, a meridian flip, and the daemon is killed twice at random moments (kill -9). All
begin with a refocus. *In the zone*: the share of the frames taken no farther from focus than half
of the critical focus zone (4.88 x wavelength x N^2), the tube's true place in the middle of the
exposure; *one zone*: no farther than all of it."""


@functools.cache
def night(seed: int, mode: str) -> NightLog:
    return lived(seed, HOURS, **MODES[mode])


def run(seed: int) -> Table:
    rows = []
    for mode in MODES:
        lived_through = night(seed, mode)
        away = [abs(each.away_zones) for each in lived_through.images]
        row = (
            mode,
            str(len(away)),
            f"{100 * lived_through.share_within(0.5):.1f} %",
            f"{100 * lived_through.share_within(1.0):.1f} %",
            f"{statistics.median(away):.2f}",
            f"{max(away):.2f}",
            str(len(lived_through.runs)),
            f"{sum(each.result.duration_s for each in lived_through.runs) / 60:.0f}",
            f"{lived_through.real_s:.0f}",
        )
        print(*row, sep=", ", flush=True)
        rows.append(row)
    return Table(
        title="A night",
        how=HOW,
        headings=(
            "what keeps it",
            "frames",
            "in the zone",
            "one zone",
            "median, zones",
            "largest",
            "focus runs",
            "simulated minutes for them",
            "real seconds",
        ),
        rows=tuple(rows),
    )


def run_fired(seed: int) -> Table:
    lived_through = night(seed, BEST)
    start = lived_through.runs[0].result.started_at
    rows = [
        (
            f"{(each.result.started_at - start).total_seconds() / 3600:.2f}",
            each.trigger,
            each.result.filter_name or "-",
            "-" if each.result.temperature_c is None else f"{each.result.temperature_c:.1f}",
            each.result.outcome.value,
            str(each.result.exposures),
        )
        for each in lived_through.runs
    ]
    killed = ", ".join(lived_through.kills)
    return Table(
        title="What fired in that night",
        how=f"The night with {BEST}, in hours from its first run. The daemon was killed while it did: {killed}.",
        headings=("hours", "triggers", "filter", "deg C", "outcome", "exposures"),
        rows=tuple(rows),
    )
