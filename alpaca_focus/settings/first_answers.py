"""What `alpaca-focus init` asks, because no device says it."""

from dataclasses import dataclass
from typing import Literal, get_args

Way = Literal["gateway", "watch", "told", "none"]
WAYS: tuple[str, ...] = get_args(Way)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What no device says.

    Attributes:
        name: What to call the telescope.
        focal_length_mm: Focal length.
        aperture_mm: Free aperture.
        central_obstruction: As a fraction of the aperture's diameter.
        pixel_size_um: Where the camera does not say it, else `None`.
        step_size_um: Where the focuser does not say it, else `None`.
        backlash_steps: Slack of the focuser; 0: not known.
        exposure_s: Exposure of a focus frame.
        way: How an imaging program and this one live together; none: there is no such program.
        directory: Where the runs are kept.
    """

    name: str
    focal_length_mm: float
    aperture_mm: float
    central_obstruction: float
    pixel_size_um: float | None = None
    step_size_um: float | None = None
    backlash_steps: int
    exposure_s: float
    way: Way
    directory: str
