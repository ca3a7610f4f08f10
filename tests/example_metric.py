"""A metric that only the tests have: a row, a measuring function, and a sweep by it.

Run as a program, with the package that has it first in the path: sweeps, and prints the run as JSON.
"""

import json
import math
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from alpaca_focus.core.metrics import result_text
from alpaca_focus.core.values import FocusResult, Frame, Measurement, Outcome
from alpaca_focus.files.pictures import curve_of_run
from alpaca_focus.imaging.measuring_functions import measuring
from alpaca_focus.web.pages import METRICS_SCRIPT
from tests.fakes import FakeFocuser, FakeSky, walk_through

NAME = "sharpness"
ROW = """    Metric(
        name="sharpness",
        label="Sharpness",
        unit="ADU^0.5",
        kind=MetricKind.FRAME,
        description="how steep the light is",
        explanation="how steep the light is",
        blur=Blur.RECIPROCAL,
        value_format=".3f",
        error_format=".3f",
    ),
"""
FUNCTION = '''

@measures("sharpness")
def _sharpness(frame: Frame) -> Measurement:
    """Return the fourth root of the mean squared gradient, which for Gaussian stars goes as 1 / width."""
    import numpy as np

    down, across = np.gradient(frame.pixels.astype(float))
    value = float(np.mean(down**2 + across**2)) ** 0.25
    return Measurement(metric="", value=value, stderr=0.01 * value)
'''


def drawn_pixels(hfd_px: float) -> NDArray[np.uint16]:
    """Return a frame with one star of that size."""
    rows, columns = np.ogrid[:160, :160]
    sigma = hfd_px / 2.3548
    light = np.exp(-((rows - 80) ** 2 + (columns - 80) ** 2) / (2 * sigma**2)) * 4e5 / (2 * math.pi * sigma**2)
    return np.rint(100 + light).astype(np.uint16)


def main() -> None:
    """Sweep a fake focuser by the metric, and print what came of it."""
    focuser = FakeFocuser()
    sky = FakeSky(focuser, np.random.default_rng(5), seeing_scatter=0.02)
    measure = measuring(NAME)

    def measured() -> Measurement:
        return measure(
            Frame(
                pixels=drawn_pixels(sky.hfd_px()),
                exposure_s=2.0,
                started_at=datetime(2026, 1, 1, tzinfo=UTC),
                binning=1,
                saturation_adu=65535,
            )
        )

    sky.measurement = measured  # type: ignore[method-assign]
    swept = walk_through(focuser, sky).result
    result = FocusResult(
        outcome=Outcome.FOCUSED,
        reason="",
        start_position=focuser.start,
        final_position=swept.position,
        fit=swept.fit,
        samples=tuple(swept.samples),
        verification=swept.verification,
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        duration_s=60.0,
        exposures=len(swept.samples),
    )
    (fitted,), _ = curve_of_run(1, result)
    print(
        json.dumps(
            {
                "model": swept.fit.model,
                "off_steps": focuser.tube - sky.best_tube,
                "verification": result_text(swept.verification.measurement),
                "heading": fitted.curve.heading,
                "dashboard": METRICS_SCRIPT,
            }
        )
    )


if __name__ == "__main__":
    main()
