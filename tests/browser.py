"""A headless Chromium for the tests of the dashboard."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from PIL import Image
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By

ALL_TESTS = "ALPACA_FOCUS_ALL_TESTS"
PICTURES = "ALPACA_FOCUS_PICTURES"
PICTURES_FOLDER = Path(__file__).parent.parent / "docs" / "pictures"
PATIENCE_S = 30.0
"""Seconds until a test gives up."""


def missing(what: str) -> None:
    """Skip the test with a reason; fail it where every test has to run."""
    reason = f"{what} is not installed: make system-deps"
    if os.environ.get(ALL_TESTS) == "1":
        pytest.fail(reason)
    pytest.skip(reason)


class Browser:
    """One window, and what the tests ask of it.

    Attributes:
        driver: Selenium's own.
    """

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def open(self, url: str, *, width: int = 1280, height: int = 1000, light: bool = False) -> None:
        self.size(width, height)
        scheme = {"name": "prefers-color-scheme", "value": "light" if light else "dark"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.get(url)

    def size(self, width: int, height: int) -> None:
        """Set the size of the page itself, which a window cannot make as narrow as a phone's."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def text(self, identifier: str) -> str:
        return str(self.driver.find_element(By.ID, identifier).text)

    def click(self, identifier: str) -> None:
        self.driver.find_element(By.ID, identifier).click()

    def does(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def until(self, is_so: Callable[[], Any]) -> Any:
        """Wait until it is so, and return it."""
        ends_at = time.monotonic() + PATIENCE_S
        while time.monotonic() < ends_at:
            found = is_so()
            if found:
                return found
            time.sleep(0.05)
        raise AssertionError(
            f"it never came to pass; the page says: {self.driver.find_element(By.TAG_NAME, 'body').text}"
        )

    def until_text(self, identifier: str, wanted: str) -> None:
        self.until(lambda: wanted in self.text(identifier))

    def picture(self, *, whole: bool = False) -> bytes:
        """Return a screenshot as PNG: of what is in sight, or of the whole page."""
        if not whole:
            return bytes(self.driver.get_screenshot_as_png())
        height = self.does("return document.documentElement.scrollHeight")
        width = self.does("return window.innerWidth")
        self.size(width, height)
        # The picture of the last frame is fetched only once it is in sight.
        self.until(lambda: self.does("return [...document.images].every((each) => each.hidden || each.complete)"))
        return bytes(self.driver.get_screenshot_as_png())

    def pixels(self, *, whole: bool = False) -> np.ndarray:
        """Return a screenshot as values from 0 to 1, by row, column and colour."""
        return np.asarray(matplotlib.image.imread(BytesIO(self.picture(whole=whole)), format="png"))[..., :3]

    def keep_picture(self, name: str) -> None:
        """Keep a screenshot in the documentation, when asked for."""
        if os.environ.get(PICTURES) == "1":
            PICTURES_FOLDER.mkdir(parents=True, exist_ok=True)
            picture = Image.open(BytesIO(self.picture(whole=True))).convert("RGB")
            picture.quantize(128).save(PICTURES_FOLDER / f"{name}.png", optimize=True)

    def complaints(self) -> list[str]:
        """Return what the browser's console has complained of since the call before."""
        return [str(entry["message"]) for entry in self.driver.get_log("browser") if entry["level"] != "INFO"]


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Start Chromium; skip or fail the test where there is none."""
    program, driver_program = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver_program is None:
        missing("chromium" if program is None else "chromium-driver")
    options = ChromeOptions()
    options.binary_location = program or ""
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-proxy-server",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options=options, service=ChromeService(executable_path=driver_program))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
