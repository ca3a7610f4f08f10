"""The dashboard in a real browser."""

import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.browser import Browser, running_browser
from tests.fake_dashboard_server import STATIC, FakeDashboard, night, run, status

MOST_BYTES = 300_000
DARK = 8 / 255


@pytest.fixture(scope="module")
def one_browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


@pytest.fixture
def browser(one_browser: Browser) -> Iterator[Browser]:
    """The browser with nothing kept from the test before."""
    yield one_browser
    one_browser.does("localStorage.clear(); sessionStorage.clear()")
    one_browser.driver.get("about:blank")
    one_browser.complaints()


@pytest.fixture
def server() -> Iterator[FakeDashboard]:
    with FakeDashboard() as server:
        yield server


@pytest.fixture
def page(browser: Browser, server: FakeDashboard) -> Browser:
    browser.open(server.url)
    browser.until_text("sentence", "nothing is due")
    return browser


def points_drawn(page: Browser) -> bool:
    """Whether something is drawn in the chart of the run."""
    return bool(page.does("return document.querySelector('#curve canvas') !== null"))


def rows(page: Browser) -> list[str]:
    return [row.get_attribute("textContent") or "" for row in page.driver.find_elements(By.CSS_SELECTOR, "#frames tr")]


def test_a_run_is_seen_from_its_first_frame_to_its_end(page: Browser, server: FakeDashboard) -> None:
    assert not points_drawn(page)
    server.show_status(state="a focus run")
    server.show_run(run(0))
    page.until_text("sentence", "A focus run is under way.")
    page.until_text("curve", "Taking the first frame.")
    for frames in (1, 3, 9):
        server.show_run(run(frames))
        page.until_text("run-line", f"{frames} frame")
        assert len(rows(page)) == frames
        assert points_drawn(page)
    assert "clouds: 2 stars" in rows(page)[2]
    server.show_run(run(10, fitted=True))
    page.until_text("run-line", "best focus 25120 ± 4 steps")
    server.show_run(run(10, fitted=True, reason="Focused at position 25120."))
    server.show_status()
    page.until_text("run-reason", "Focused at position 25120.")
    page.until_text("sentence", "nothing is due")
    assert "10 frames, 9 of them usable" in page.does("return document.getElementById('curve').ariaLabel")
    assert page.complaints() == []


def test_each_button_gives_its_command_and_tells_what_the_daemon_said(page: Browser, server: FakeDashboard) -> None:
    page.click("refocus")
    page.until_text("said", "Done: refocus.")
    page.click("pause")
    page.until_text("said", "Done: pause.")
    server.show_status(paused=True)
    page.until_text("pause", "Resume")
    page.click("pause")
    page.until_text("said", "Done: resume.")
    assert page.driver.find_element(By.ID, "compensation").get_attribute("aria-checked") == "true"
    page.click("compensation")
    page.until_text("said", "Done: compensation.")
    assert server.commands == [
        ("refocus", {"if_due": False}),
        ("pause", {}),
        ("resume", {}),
        ("compensation", {"enabled": False}),
    ]
    server.refusal = "The daemon still waits for the devices."
    page.click("refocus")
    page.until_text("said", "The daemon still waits for the devices.")


def test_abort_asks_back(page: Browser, server: FakeDashboard) -> None:
    page.click("abort")
    page.until(lambda: page.does("return document.getElementById('ask-abort').open"))
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)  # the answer that does nothing has the focus
    page.until(lambda: not page.does("return document.getElementById('ask-abort').open"))
    assert server.commands == []
    page.click("abort")
    page.until(lambda: page.does("return document.getElementById('ask-abort').open"))
    page.driver.find_element(By.CSS_SELECTOR, "#ask-abort button[value=yes]").click()
    page.until_text("said", "Done: abort.")
    assert server.commands == [("abort", {})]


def test_the_token_is_asked_for_and_kept_for_the_tab_alone(page: Browser, server: FakeDashboard) -> None:
    word = "open-sesame"
    server.token = word

    def give(token: str) -> None:
        page.until(lambda: page.does("return document.getElementById('ask-token').open"))
        page.driver.find_element(By.ID, "token").send_keys(token)
        page.driver.find_element(By.CSS_SELECTOR, "#ask-token button[value=yes]").click()

    page.click("refocus")
    give("wrong")
    give("falsch, größer")
    give(word)
    page.until_text("said", "Done: refocus.")
    page.click("pause")
    page.until_text("said", "Done: pause.")
    assert word not in page.does("return JSON.stringify(localStorage) + document.documentElement.innerHTML")
    assert word not in str(server.paths)
    page.does("sessionStorage.clear()")
    page.open(server.url)
    page.until_text("sentence", "nothing is due")
    page.click("refocus")
    page.until(lambda: page.does("return document.getElementById('ask-token').open"))
    page.driver.find_element(By.CSS_SELECTOR, "#ask-token button[value=no]").click()
    page.until_text("said", "Commands need the token.")


@pytest.mark.parametrize(
    ("changes", "mark", "sentence"),
    [
        (
            {"due": ["8 images"], "blocked_by": ["exposure running", "not night"]},
            "waiting",
            "exposure running, and 1 more",
        ),
        ({"paused": True, "blocked_by": ["paused"]}, "waiting", "Paused"),
        ({"headline": "Focuser out of focus: it is at 26000"}, "trouble", "Focuser out of focus: it is at 26000."),
        ({"failures": 2, "hold_s": 300.0}, "trouble", "The last 2 focus runs failed"),
        ({"last_focus": None}, "waiting", "no refocus yet"),
        ({"state": "a move after the temperature"}, "working", "A move after the temperature is under way"),
        (
            {"compensation": status()["compensation"] | {"stopped": "It has gone too far."}},
            "trouble",
            "compensation stopped",
        ),
    ],
)
def test_the_state_is_shown_as_a_sentence_and_a_mark(
    page: Browser, server: FakeDashboard, changes: dict[str, object], mark: str, sentence: str
) -> None:
    server.show_status(**changes)
    page.until_text("sentence", sentence)
    assert page.does("return document.getElementById('now').dataset.mark") == mark


def test_a_daemon_that_waits_for_its_devices_is_shown(page: Browser, server: FakeDashboard) -> None:
    server.status = {"state": "waiting for the devices", "why": "The camera does not answer."}
    page.open(server.url)
    page.until_text("sentence", "Waiting for the devices.")
    assert page.text("more") == "The camera does not answer."
    assert page.complaints() == []


def test_triggers_show_how_near_they_are(page: Browser) -> None:
    page.until_text("triggers", "3 of 8")
    for wanted in ("25 of 60 min", "+6 of 15 %", "4 of 20°", "+0.4 °C since the last refocus"):
        assert wanted in page.text("triggers")
    shares = page.does("return [...document.querySelectorAll('meter')].map((each) => each.value)")
    assert shares == pytest.approx([3 / 8, 25 / 60, 6 / 15, 4 / 20, 12 / 40])


def test_what_the_devices_say_is_text_and_never_markup(page: Browser, server: FakeDashboard) -> None:
    nasty = "<img src=x onerror=alert(1)><b>bold"
    server.write_log(nasty, "error", why=nasty, filter=nasty)
    server.show_status(filter=nasty, due=[nasty], blocked_by=[nasty])
    server.show_run(run(2) | {"reason": nasty, "trigger": nasty, "metric": nasty})
    page.until_text("log", nasty)
    page.until_text("due", nasty)
    assert page.does("return document.querySelectorAll('b, img[src=x]').length") == 0
    assert page.complaints() == []


def test_times_are_those_of_the_browsers_zone(browser: Browser, server: FakeDashboard) -> None:
    server.run = run(3) | {"started_at": "2026-11-21T21:30:05+00:00"}
    server.night = night() | {
        "refocuses": [{"at": 1795298400.0, "position": 25100, "trigger": "time", "outcome": "focused"}]
    }
    for zone, begun, refocused in (("UTC", "21:30:05", "22:00"), ("Asia/Kathmandu", "03:15:05", "03:45")):
        browser.driver.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": zone})
        browser.open(server.url)
        browser.until_text("run-line", f"began {begun}")
        browser.until(lambda: browser.does("return document.getElementById('refocuses').textContent"))
        assert f"{refocused}, focused, position 25100" in browser.does(
            "return document.getElementById('refocuses').textContent"
        )
    browser.driver.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": ""})


def test_the_log_is_bounded_and_its_newest_line_comes_first(page: Browser, server: FakeDashboard) -> None:
    for number in range(230):
        server.write_log("The focuser has moved", position=number)
    page.until(lambda: page.does("return document.getElementById('log').textContent.includes('position 229')"))
    lines = page.does("return [...document.querySelectorAll('#log li')].map((each) => each.textContent)")
    assert len(lines) == 200
    assert "position 229" in lines[0]
    server.stop()
    page.until_text("sentence", "No connection")
    server.start()
    page.until_text("sentence", "nothing is due")
    server.write_log("Something else")
    page.until(lambda: page.does("return document.getElementById('log').textContent.includes('Something else')"))
    again = page.does("return [...document.querySelectorAll('#log li')].map((each) => each.textContent)")
    assert again[1:] == lines[:199]


def test_a_phone_needs_no_scrolling_sideways(browser: Browser, server: FakeDashboard) -> None:
    server.run = run(10, fitted=True, reason="Focused at position 25120: " + "a-very-long-word-" * 12)
    server.status = status(due=["8 images"], blocked_by=["exposure running", "mount not tracking"])
    browser.open(server.url, width=360, height=740)
    server.show_frame()
    server.write_log("A frame was measured", path="/" + "directory/" * 20)
    browser.until_text("run-line", "10 frames")
    browser.until_text("log", "directory")
    assert browser.does("return [document.documentElement.scrollWidth, window.innerWidth]") == [360, 360]
    too_wide = browser.does(
        "return [...document.querySelectorAll('body *')].filter((each) => each.getBoundingClientRect().right > 360.5)"
        ".map((each) => each.outerHTML.slice(0, 80))"
    )
    assert too_wide == []
    small = browser.does(
        "return [...document.querySelectorAll('header button, #commands button')]"
        ".filter((each) => each.getBoundingClientRect().height < 44).length"
    )
    assert small == 0


def test_at_night_everything_is_red_and_stays_so(browser: Browser, server: FakeDashboard) -> None:
    server.run = run(10, fitted=True, reason="Focused.")
    server.write_log("The focuser goes back", "warning")
    browser.open(server.url, width=360, height=740, light=True)
    server.show_frame()
    browser.until_text("run-line", "10 frames")
    browser.click("night")
    browser.picture(whole=True)
    browser.until(lambda: browser.does("return document.getElementById('frame').naturalWidth > 0"))
    by_night = browser.pixels(whole=True)
    assert by_night[..., 1:].max() <= DARK
    assert by_night[..., 0].max() > 0.8
    browser.open(server.url, width=360, height=740, light=True)
    assert browser.pixels()[..., 1:].max() <= DARK
    browser.until_text("run-line", "10 frames")
    browser.click("abort")
    browser.until(lambda: browser.does("return document.getElementById('ask-abort').open"))
    assert browser.pixels()[..., 1:].max() <= DARK
    browser.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    browser.click("night")
    assert browser.pixels().mean() > 0.5


def test_before_the_first_run_the_last_one_of_the_history_is_shown(browser: Browser, server: FakeDashboard) -> None:
    server.runs = {7: run(9, fitted=True, reason="Focused the night before.")}
    browser.open(server.url)
    browser.until_text("run-reason", "Focused the night before.")
    server.show_run(run(2))
    browser.until_text("run-line", "Under way")
    assert len(rows(browser)) == 2


def test_a_lost_connection_is_told_and_comes_back_by_itself(page: Browser, server: FakeDashboard) -> None:
    server.stop()
    page.until_text("sentence", "No connection")
    assert not page.driver.find_element(By.ID, "refocus").is_enabled()
    server.status = status(paused=True)
    server.run = run(5)
    server.start()
    page.until_text("sentence", "Paused")
    page.until_text("run-line", "5 frames")
    assert page.driver.find_element(By.ID, "refocus").is_enabled()
    server.show_status()
    page.until_text("sentence", "nothing is due")


def test_the_last_frame_is_fetched_only_while_it_can_be_seen(browser: Browser, server: FakeDashboard) -> None:
    browser.open(server.url, width=360, height=400)
    browser.until_text("sentence", "nothing is due")
    server.show_frame()
    server.write_log("The frame is there")
    browser.until(lambda: browser.does("return document.getElementById('log').textContent.includes('is there')"))
    assert "/api/v1/frame.png" not in server.paths
    browser.does("document.getElementById('frame-part').scrollIntoView()")
    browser.until_text("frame-line", "30 stars measured")
    assert "30 stars measured" in browser.does("return document.getElementById('frame').alt")


def test_the_keyboard_reaches_everything_and_every_control_has_a_name(page: Browser) -> None:
    reached = []
    for _ in range(5):
        page.driver.switch_to.active_element.send_keys(Keys.TAB)
        reached.append(page.does("return document.activeElement.id"))
        assert page.does("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert reached == ["night", "refocus", "pause", "abort", "compensation"]
    nameless = page.does(
        "return [...document.querySelectorAll('button, input, meter, [role=img], [tabindex]')].filter((each) =>"
        " !each.textContent.trim() && !each.ariaLabel && !each.labels?.length && !each.getAttribute('aria-labelledby'))"
        ".map((each) => each.outerHTML)"
    )
    assert nameless == []


def test_the_page_is_small_and_asks_nobody_else(page: Browser, server: FakeDashboard) -> None:
    page.until(lambda: "/api/v1/night" in server.paths)
    assert sum(file.stat().st_size for file in STATIC.rglob("*") if file.is_file()) < MOST_BYTES
    requests = [
        message["params"]["request"]["url"]
        for entry in page.driver.get_log("performance")
        if (message := json.loads(entry["message"])["message"])["method"] == "Network.requestWillBeSent"
    ]
    assert requests
    assert {urlsplit(url).hostname for url in requests if urlsplit(url).scheme in {"http", "https"}} == {"127.0.0.1"}
    assert page.complaints() == []


def test_pictures_for_the_documentation(browser: Browser, server: FakeDashboard) -> None:
    server.run = run(10, fitted=True, reason="Focused at position 25120 +- 4 steps, verified by a fresh frame.")
    server.night = night()
    for position in (24800, 24880, 24960):
        server.write_log("The focuser has moved", position=position)
    browser.open(server.url)
    server.show_frame()
    browser.until_text("run-line", "10 frames")
    browser.until_text("frame-line", "30 stars")
    browser.until_text("refocuses-title", "4 refocuses")
    browser.keep_picture("dashboard")
    browser.size(360, 740)
    browser.keep_picture("dashboard-phone")
    browser.size(360, 740)
    browser.click("night")
    browser.keep_picture("dashboard-night")
    assert browser.complaints() == []
