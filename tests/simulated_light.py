"""The light of a simulated frame, before the camera adds its noise."""

import numpy as np
from numpy.typing import NDArray

from alpaca_focus.simulator.render import OpticalState, Renderer, RenderRequest


def expected_electrons(
    renderer: Renderer, state: OpticalState, exposure: RenderRequest, frame_number: int
) -> NDArray[np.float32]:
    """Return the expected electrons of every unbinned pixel, without noise, cosmic rays, full well and read-out."""
    scene = renderer._scene(state, exposure, frame_number)
    return renderer._expected(scene, renderer._window(exposure), exposure.exposure_s)
