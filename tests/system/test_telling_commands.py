"""`alpaca-focus notify-test` and `report-night`, as a user runs them."""

from pathlib import Path

import numpy as np

from alpaca_focus.store.run_store import RunStore
from tests.kept_nights import KeptNight
from tests.system.conftest import Run
from tests.web_hook import WebHook

TELESCOPE = "telescope: {name: Big Dob, focal_length_mm: 530, aperture_mm: 106}\n"


def written(folder: Path, text: str) -> Path:
    settings = folder / "settings.yaml"
    settings.write_text(TELESCOPE + text)
    return settings


def test_a_test_message_goes_to_each_service(run: Run, tmp_path: Path) -> None:
    with WebHook() as hook:
        done = run("notify-test", "--config", written(tmp_path, f"messages: {{services: ['{hook.url}']}}\n"))
    assert (done.returncode, done.stdout) == (0, "service 1 (JSON): sent.\n"), done.stderr
    assert [each["title"] for each in hook.told] == ["Big Dob: a test"]


def test_a_service_that_fails_is_named_without_its_secret(run: Run, tmp_path: Path) -> None:
    with WebHook() as hook:
        hook.status = 500
        services = f"messages: {{services: ['{hook.url}', 'nonsense://hunter2']}}\n"
        done = run("notify-test", "--config", written(tmp_path, services))
    first, second = done.stdout.splitlines()
    assert done.returncode == 1
    assert first.startswith("service 1 (JSON): The service cannot be reached, or has refused the message")
    assert second.startswith("service 2: Apprise does not support this URL")
    assert "hunter2" not in done.stdout + done.stderr


def test_without_services_there_is_nothing_to_test(run: Run, tmp_path: Path) -> None:
    done = run("notify-test", "--config", written(tmp_path, ""))
    assert done.returncode == 2
    assert "names no services. Set messages.services" in done.stderr


def test_the_report_of_any_night_is_written(run: Run, tmp_path: Path, rng: np.random.Generator) -> None:
    night = KeptNight(rng)
    with RunStore(tmp_path / "kept") as store:
        for each in night.runs():
            store.save(each, trigger="time")
    settings = written(tmp_path, f"storage: {{directory: '{tmp_path / 'kept'}'}}\nfocuser: {{step_size_um: 2.0}}\n")
    page = tmp_path / "night.html"
    done = run("report-night", "--config", settings, "--date", "2026-01-14", "--out", page)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("The night of 2026-01-14: 9 of 9 refocuses were good. By the V-curves")
    assert "Big Dob: the night of 14 January 2026" in page.read_text()
    done = run("report-night", "--config", settings, "--out", page)
    assert "There was no refocus." in done.stdout
    assert "Nothing was recorded." in page.read_text()


def test_a_report_needs_a_history(run: Run, tmp_path: Path) -> None:
    done = run("report-night", "--config", written(tmp_path, ""), "--out", tmp_path / "night.html")
    assert done.returncode == 2
    assert "Set storage.directory" in done.stderr
