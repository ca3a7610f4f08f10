"""Measuring the stars of a 26 Mpx frame: time and memory against sep on the whole frame, and how right it is."""

import multiprocessing
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import sep

from alpaca_focus.core.values import Frame, Measurement
from alpaca_focus.imaging.measuring_functions import measure_metric
from alpaca_focus.imaging.stars import measure_stars
from tests.bench.table import Table
from tests.synthetic import Blur, DrawnField, add_star, drawn_blur, random_field

WIDTH_PX, HEIGHT_PX, STARS, SKY = 6248, 4176, 500, 400.0
ROUNDS = 9
FIELDS = 400
SIZES = ((2, 3), (3, 6), (6, 12), (12, 30), (30, 60))


def run(seed: int) -> Table:
    rows: list[tuple[str, ...]] = []
    for name, blur in (
        ("HFD 5 px", drawn_blur(seeing_fwhm_px=4.0, moffat=3.0)),
        ("rings of 25 px", drawn_blur(disc_px=30.0, obstruction=0.35, seeing_fwhm_px=4.0, moffat=3.0)),
    ):
        rows += _compared(name, _large_field(np.random.default_rng(seed), blur))
    return Table(
        title="Stars of a 26 Mpx frame",
        how=f"{WIDTH_PX} x {HEIGHT_PX} pixels of 16 bits, {STARS} stars of 10^4 to 10^6 electrons, sky {SKY:.0f}; one "
        f"process, {ROUNDS} rounds in turns, medians; `first` is the first call in its process. sep is `Background`, "
        "`extract` (5 sigma, 9 pixels) and `flux_radius` over the whole frame in float32. Extra memory is the rise of "
        "the process's peak over what it had with the frame in memory, in units of the frame (52 MB).",
        headings=("stars", "way", "first s", "median s", "times faster", "HFD px", "of truth", "extra memory"),
        rows=tuple(rows),
    )


def run_accuracy(seed: int) -> Table:
    rng = np.random.default_rng(seed)
    fields = [random_field(rng, 2.0, 60.0) for _ in range(FIELDS)]
    found = [(field, measure_stars(field.pixels, saturation_adu=65535)) for field in fields]
    rows = [_accuracy(f"{low} to {high} px", found, low, high) for low, high in SIZES]
    return Table(
        title="How right the HFD is",
        how=f"{FIELDS} drawn fields, refractors and obstructed telescopes, Gaussian and Moffat air, 1 to 40 stars of "
        "SNR 50 to 500, the truth from a fine grid before any pixel. `covered` is the share of fields whose truth lies "
        "within one standard error: 68 % would be perfect.",
        headings=("HFD", "fields", "not usable", "median departure", "rms departure", "covered"),
        rows=(*rows, _accuracy("all", found, 0, 1000)),
    )


def _accuracy(name: str, found: list[tuple[DrawnField, Measurement]], low: float, high: float) -> tuple[str, ...]:
    chosen = [(field, each) for field, each in found if low <= field.hfd_px < high]
    usable = [(field, each) for field, each in chosen if each.usable]
    departure = np.array([each.value / field.hfd_px - 1 for field, each in usable])
    sigmas = np.array([abs(each.value - field.hfd_px) / each.stderr for field, each in usable])
    return (
        name,
        str(len(chosen)),
        str(len(chosen) - len(usable)),
        f"{100 * np.median(departure):+.2f} %",
        f"{100 * np.sqrt(np.mean(departure**2)):.2f} %",
        f"{100 * np.mean(sigmas < 1):.0f} %",
    )


def _large_field(rng: np.random.Generator, blur: Blur) -> DrawnField:
    image = np.full((HEIGHT_PX, WIDTH_PX), SKY)
    places = []
    for flux in 10 ** rng.uniform(4, 6, STARS):
        x, y = rng.uniform(40, WIDTH_PX - 40), rng.uniform(40, HEIGHT_PX - 40)
        places.append(add_star(image, blur, x, y, flux))
    pixels = np.clip(rng.poisson(image) + rng.normal(0, 3, image.shape), 0, 65535).astype(np.uint16)
    return DrawnField(pixels, blur.hfd_px, tuple(places))


def _compared(name: str, field: DrawnField) -> list[tuple[str, ...]]:
    ways: dict[str, Callable[[np.ndarray], float]] = {"sep": _by_sep, "alpaca-focus": _by_us}
    first = {way: _in_own_process(way, field.pixels) for way in ways}
    times: dict[str, list[float]] = {way: [] for way in ways}
    values = {}
    for _ in range(ROUNDS):
        for way, work in ways.items():
            began_s = time.perf_counter()
            values[way] = work(field.pixels)
            times[way].append(time.perf_counter() - began_s)
    medians = {way: statistics.median(each) for way, each in times.items()}
    return [
        (
            name,
            way,
            f"{first[way][0]:.3f}",
            f"{medians[way]:.3f}",
            f"{medians['sep'] / medians[way]:.1f}",
            f"{values[way]:.2f}",
            f"{100 * (values[way] / field.hfd_px - 1):+.1f} %",
            f"{first[way][1] / field.pixels.nbytes:.2f}",
        )
        for way in ways
    ]


def _by_sep(pixels: np.ndarray) -> float:
    image = pixels.astype(np.float32)
    sky = sep.Background(image)
    sky.subfrom(image)
    sep.set_extract_pixstack(3_000_000)
    objects = sep.extract(image, 5.0, err=sky.globalrms, minarea=9)
    radius, flag = sep.flux_radius(image, objects["x"], objects["y"], 6.0 * objects["a"], 0.5, subpix=5)
    return 2 * float(np.median(radius[flag == 0]))


def _by_us(pixels: np.ndarray) -> float:
    frame = Frame(pixels=pixels, exposure_s=3.0, started_at=datetime.now(UTC), binning=1, saturation_adu=65535.0)
    return measure_metric("hfd", frame).value


def _in_own_process(way: str, pixels: np.ndarray) -> tuple[float, float]:
    """Return seconds and extra bytes of the first call in a fresh process."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_first_call, args=(theirs, way))
    child.start()
    ours.send(pixels)
    seconds, extra_bytes = ours.recv()
    child.join()
    return seconds, extra_bytes


def _first_call(pipe: Connection, way: str) -> None:
    pixels = pipe.recv()
    # A new peak is counted from here on.
    Path("/proc/self/clear_refs").write_text("5")
    before = _status_bytes("VmRSS")
    began_s = time.perf_counter()
    (_by_sep if way == "sep" else _by_us)(pixels)
    seconds = time.perf_counter() - began_s
    pipe.send((seconds, float(_status_bytes("VmHWM") - before)))


def _status_bytes(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return 1024 * int(line.split()[1])
