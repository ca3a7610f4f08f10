"""Focus of a slit spectrograph by the width of the spectrum, judged by the signal that comes through the slit."""

import asyncio
import os
import random
import statistics
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from alpaca_focus.core.curves.learned_curve import learn_curve
from alpaca_focus.core.values import Outcome
from alpaca_focus.imaging.measuring_functions import measuring
from alpaca_focus.imaging.spectrum import SpectrumSettings, TraceAxis
from alpaca_focus.simulator.render import OpticalState, Renderer, RenderRequest
from alpaca_focus.simulator.settings import SensorSettings, SpectrographSettings
from tests.bench.session import Session
from tests.bench.skies import Night, drawn_night
from tests.bench.table import Table
from tests.simulated_light import expected_electrons

RUNS = 200
EXPOSURE_S = 10.0
SENSOR = SensorSettings(width_px=768, height_px=320)


@dataclass(frozen=True, kw_only=True)
class Slit:
    """How one run at a slit ended: what it lost of the best signal, as a share, and what it cost."""

    focused: bool
    lost: float
    exposures: int
    duration_s: float


def spectrum_night(seed: int) -> Night:
    """Draw a telescope with a slit spectrograph behind it."""
    chance, night = random.Random(seed + 3), drawn_night(seed)
    observatory = night.observatory.model_copy(
        update={
            "sensor": SENSOR,
            "telescope": night.observatory.telescope.model_copy(update={"optical_model": "geometric"}),
            "spectrograph": SpectrographSettings(
                enabled=True,
                slit_width_arcsec=chance.uniform(1.5, 4.0),
                star_magnitude=chance.uniform(4.0, 8.0),
                slant_deg=chance.uniform(-0.5, 0.5),
            ),
        }
    )
    return replace(night, observatory=observatory)


spectrum_fwhm = measuring("spectrum_fwhm", SpectrumSettings(axis=TraceAxis.HORIZONTAL))


async def slit_runs(night: Night) -> tuple[Slit, Slit | None]:
    """Focus with nothing known, let focus wander, and focus again."""
    session = Session(night)
    base = night.sweep_settings()
    settings = replace(
        base, exposure=replace(base.exposure, exposure_s=EXPOSURE_S), slope_per_step=None, least=None, points=6
    )
    first, result = await session.focus(settings, spectrum_fwhm)
    told = Slit(
        focused=first.focused, lost=_lost_signal(session), exposures=first.exposures, duration_s=first.duration_s
    )
    if result.outcome is not Outcome.FOCUSED or result.fit is None:
        return told, None
    profile = learn_curve(result.samples, result.fit, before=None, temperature_c=None, learned_at=result.started_at)
    place = round(profile.best_position + night.wander_zones * night.zone_steps)
    await session.observatory.focuser.move_to(place)
    known = profile.known_curve(expected_position=place)
    again, _ = await session.focus(replace(settings, known=known), spectrum_fwhm)
    return told, Slit(
        focused=again.focused, lost=_lost_signal(session), exposures=again.exposures, duration_s=again.duration_s
    )


def _lost_signal(session: Session) -> float:
    """Truth: the share of the best signal that this focus loses, at the mean seeing, with the star in the slit."""
    night = session.night
    settings = night.observatory
    sky = settings.sky.model_copy(update={"guiding_rms_arcsec": 0.0})
    request = RenderRequest(exposure_s=EXPOSURE_S, num_x=SENSOR.width_px, num_y=SENSOR.height_px)
    dark = settings.spectrograph.model_copy(update={"star_magnitude": 25.0})
    with_star, without = (
        Renderer(settings.telescope, SENSOR, sky, spectrograph, settings.seed)
        for spectrograph in (settings.spectrograph, dark)
    )

    def signal(defocus_um: float) -> float:
        state = OpticalState(defocus_um=defocus_um, seeing_fwhm_arcsec=sky.seeing_fwhm_arcsec)
        light, sky_light = (
            float(np.sum(expected_electrons(renderer, state, request, 0), dtype=float))
            for renderer in (with_star, without)
        )
        return light - sky_light

    zone_um = night.train.critical_focus_zone_um
    best = max(signal(share * zone_um) for share in (-0.2, -0.1, 0.0, 0.1, 0.2))
    return 1 - signal(session.observatory.away_steps * settings.focuser.step_size_um) / best


def _one(seed: int) -> tuple[Slit, Slit | None]:
    return asyncio.run(slit_runs(spectrum_night(seed)))


def run(seed: int) -> Table:
    chance = random.Random(seed)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        both = list(pool.map(_one, [chance.randrange(2**31) for _ in range(RUNS)]))
    rows = [
        _row("first time", [first for first, _ in both]),
        _row("learned", [again for _, again in both if again is not None]),
    ]
    return Table(
        title="Slit spectrograph",
        how=f"Focus by the width of the spectrum, {EXPOSURE_S:.0f} s a frame, slits of 1.5 to 4 arcsec, telescopes, "
        "seeing and backlash as above, geometric optics, nothing known of the optics but the critical focus zone. "
        "Signal lost against the best that can be reached at that seeing.",
        headings=("runs", "number", "not focused", "exposures", "seconds", "median lost", "95 %", "largest"),
        rows=tuple(rows),
    )


def _row(name: str, runs: list[Slit]) -> tuple[str, ...]:
    lost = sorted(each.lost for each in runs if each.focused)
    return (
        name,
        str(len(runs)),
        str(len(runs) - len(lost)),
        f"{statistics.median(each.exposures for each in runs):.0f}",
        f"{statistics.median(each.duration_s for each in runs):.0f}",
        f"{100 * statistics.median(lost):.2f} %",
        f"{100 * lost[int(0.95 * (len(lost) - 1))]:.2f} %",
        f"{100 * lost[-1]:.2f} %",
    )
