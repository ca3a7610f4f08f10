"""The dashboard of the installed command, in a real browser: a whole run, the buttons, and a daemon that is killed."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By

from alpaca_focus.settings.loader import load_yaml
from alpaca_focus.settings.models import Settings
from tests.browser import Browser, running_browser
from tests.ports import free_port
from tests.system.test_run_command import START, ended, is_away, position, told, watching

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def night_file(settings_file: Path, directory: Path) -> Path:
    text = settings_file.read_text()
    text = text.replace("backlash: {steps: 120}", "backlash: {steps: 120}, temperature_coefficient_steps_per_c: 2")
    settings_file.write_text(
        f"{text}compensation: {{enabled: true}}\n"
        f"mount: {{}}\nstorage: {{directory: {directory}}}\nweb: {{port: {free_port()}}}\n"
        "night: {poll_s: 0.1, watch_s: 0.5}\ntriggers: {images: 50}\n"
    )
    return settings_file


@pytest.fixture
def browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


def frames(page: Browser) -> int:
    return int(page.does("return document.querySelectorAll('#frames tr').length"))


def is_switched_on(page: Browser) -> bool:
    return page.does("return document.getElementById('compensation').ariaChecked") == "true"


def test_a_run_is_seen_live_through_to_its_end_and_after_a_kill(
    start: Start, browser: Browser, night_file: Path, directory: Path, simulator: str
) -> None:
    process = start("run", "--config", night_file)
    told(directory, watching)
    browser.open(f"http://127.0.0.1:{load_yaml(night_file, Settings).web.port}/")
    browser.until_text("sentence", "Watching")

    browser.click("pause")
    browser.until_text("said", "Paused")
    browser.until_text("sentence", "Paused")
    browser.click("pause")
    browser.until_text("said", "Resumed.")

    browser.click("refocus")
    browser.until_text("said", "A refocus follows as soon as possible.")
    browser.until_text("sentence", "A focus run is under way.")
    seen: list[int] = []
    while not browser.text("run-reason"):
        browser.until(lambda: not seen or frames(browser) > seen[-1] or browser.text("run-reason"))
        seen.append(frames(browser))
    assert len(set(seen)) >= 4, seen
    assert "Focused at position" in browser.text("run-reason")
    assert "best focus" in browser.text("run-line")
    browser.until_text("sentence", "nothing is due")
    browser.until_text("frame-line", "measured")
    assert browser.does("return document.getElementById('frame').naturalWidth") > 0
    browser.until_text("refocuses-title", "1 refocus")
    assert "A frame was measured" in browser.text("log")
    assert browser.complaints() == []

    browser.keep_picture("dashboard-run")
    focused_at = position(simulator)
    assert is_switched_on(browser)
    browser.click("compensation")
    browser.until_text("said", "The compensation is off")
    browser.until(lambda: not is_switched_on(browser))

    browser.click("refocus")
    is_away(directory, simulator, start=focused_at)
    browser.click("abort")
    browser.driver.find_element(By.CSS_SELECTOR, "#ask-abort button[value=yes]").click()
    browser.until_text("run-line", "Restored")
    told(directory, lambda status: status["state"] == "watching")
    assert position(simulator) == focused_at
    assert browser.complaints() == []

    browser.click("refocus")
    browser.until_text("sentence", "A focus run is under way.")
    is_away(directory, simulator, start=focused_at)
    process.send_signal(signal.SIGKILL)
    process.wait()
    browser.until_text("sentence", "No connection")
    process = start("run", "--config", night_file)
    told(directory, lambda status: watching(status) and position(simulator) == focused_at)
    browser.until(lambda: "No connection" not in browser.text("sentence"))
    browser.click("pause")
    browser.until_text("sentence", "Paused")
    assert focused_at != START
    code, log = ended(process)
    assert code == 0, log
    assert "Traceback" not in log
