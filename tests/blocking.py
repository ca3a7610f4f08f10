"""The asynchronous HTTP client for tests that are not asynchronous."""

import asyncio
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alpaca_focus.alpaca import images, management


def fetch_image(authority: str, device_number: int = 0, **limits: Any) -> NDArray[np.generic]:
    """Return the image of a camera's last exposure."""
    return asyncio.run(images.fetch_image(authority, device_number, **({"timeout_s": 30.0} | limits)))


def list_devices(authority: str) -> tuple[management.ConfiguredDevice, ...] | None:
    """Return the devices of a server, `None` if it has no management API."""
    return asyncio.run(management.list_devices(authority, 10.0))
