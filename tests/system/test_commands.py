"""What a person meets: the commands, their words and their exit codes."""

import json
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests.system.conftest import Run

ROOT = Path(__file__).parent.parent.parent
GOOD = "telescope: {focal_length_mm: 530, aperture_mm: 106}\n"


def position(address: str) -> int:
    reply = requests.get(f"http://{address}/simulator/v1/truth", timeout=5).json()
    return int(reply["motor_position"])


def test_the_demonstration_focuses_and_says_so(run: Run) -> None:
    result = run("demo")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Focused at position" in result.stdout
    assert "verify" in result.stdout
    assert "The simulator knows the true focus" in result.stdout
    assert result.stderr == ""


def test_focus_prints_one_json_object_for_machines(
    run: Run, settings_file: Path, simulator: str, simulate: str
) -> None:
    settings_file.write_text(settings_file.read_text().replace(simulator, simulate))
    result = run("focus", "--config", settings_file, "--json")
    assert result.returncode == 0, result.stdout + result.stderr
    told = json.loads(result.stdout)
    assert told["outcome"] == "focused"
    assert told["final_position"] == position(simulate)
    assert told["exposures"] == len(told["samples"]) >= 6
    assert result.stderr == ""


def test_a_failed_run_goes_home_and_exits_with_1(run: Run, settings_file: Path, simulator: str) -> None:
    requests.post(f"http://{simulator}/simulator/v1/faults", json={"kind": "clouds"}, timeout=5).raise_for_status()
    # Before another attempt it would wait.
    settings_file.write_text(settings_file.read_text().replace("focus: {", "focus: {retries: 0, "))
    result = run("focus", "--config", settings_file)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "Is the telescope covered" in result.stdout
    assert "back at position 25400" in " ".join(result.stdout.split())
    assert position(simulator) == 25400


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_aborted_run_goes_home_and_exits_with_130(
    number: signal.Signals, start: Callable[..., subprocess.Popen[str]], settings_file: Path, simulator: str
) -> None:
    process = start("focus", "--config", settings_file)
    while position(simulator) == 25400:
        time.sleep(0.02)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert "Aborting: the focuser goes back" in err
    assert "back at position 25400" in " ".join(out.split())
    assert position(simulator) == 25400


BAD_INPUT: dict[str, tuple[str, str]] = {
    "wrong address": (GOOD + 'alpaca: {address: "127.0.0.1:1"}\n', "nothing answers at 127.0.0.1:1"),
    "typo": (GOOD + "focuser:\n  backlsh: {steps: 5}\n", "night.yaml:3:3"),
    "no telescope": ("focus: {exposure_s: 3}\n", "telescope"),
    "not YAML": ("telescope: [\n", "night.yaml:"),
}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input_gets_one_sentence_and_exit_code_2(name: str, run: Run, tmp_path: Path) -> None:
    text, words = BAD_INPUT[name]
    file = tmp_path / "night.yaml"
    file.write_text(text)
    result = run("focus", "--config", file)
    assert result.returncode == 2
    assert words.lower() in result.stderr.lower()
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_device_of_the_wrong_kind_and_one_that_refuses_are_named(
    run: Run, settings_file: Path, simulator: str
) -> None:
    settings_file.write_text(settings_file.read_text() + "camera: {device_number: 3}\n")
    wrong = run("focus", "--config", settings_file)
    assert wrong.returncode == 2
    assert "no camera 3" in wrong.stderr
    assert "focuser 0" in wrong.stderr
    settings_file.write_text(settings_file.read_text().replace("device_number: 3", "device_number: 0"))
    fault = {"kind": "refuse-connect", "device": "camera"}
    requests.post(f"http://{simulator}/simulator/v1/faults", json=fault, timeout=5).raise_for_status()
    refused = run("focus", "--config", settings_file)
    assert refused.returncode == 2
    assert "does not answer on its cable" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1


def test_check_says_what_was_understood(run: Run) -> None:
    result = run("check", ROOT / "config" / "simulator.yaml")
    assert result.returncode == 0
    assert "critical focus zone: 67 um" in result.stdout
    assert "f/5.0" in result.stdout


@pytest.mark.parametrize("command", [("check",), ("run", "--config")])
def test_compensation_without_a_coefficient_is_one_sentence_and_its_remedy(
    command: tuple[str, ...], run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "night.yaml"
    file.write_text(
        "telescope: {focal_length_mm: 530, aperture_mm: 106}\ncompensation: {enabled: true}\n"
        "storage: {directory: runs}\n"
    )
    result = run(*command, file)
    assert result.returncode == 2
    assert "is good" not in result.stdout
    assert result.stderr == (
        "alpaca-focus: compensation.enabled needs the temperature coefficient. Set "
        "focuser.temperature_coefficient_steps_per_c: `alpaca-focus calibrate temperature` measures it.\n"
    )


def test_check_names_a_missing_file(run: Run) -> None:
    result = run("check", "/no/such/file.yaml")
    assert result.returncode == 2
    assert "/no/such/file.yaml" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_the_schema_is_the_published_one(run: Run) -> None:
    assert run("schema").stdout == (ROOT / "config" / "alpaca-focus.schema.json").read_text()


def test_a_port_in_use_is_one_sentence(run: Run, simulator: str) -> None:
    result = run("simulate", "--no-discovery", "--port", simulator.split(":")[1])
    assert result.returncode == 2
    assert "another program uses that port" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_the_simulator_refuses_an_unknown_deviation(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "observatory.yaml"
    file.write_text("quirks: [no-hatl]\n")
    result = run("simulate", "--config", file)
    assert result.returncode == 2
    assert "did you mean 'no-halt'" in result.stderr


def test_the_version_and_the_help_are_there(run: Run) -> None:
    assert run("--version").stdout.startswith("alpaca-focus ")
    help_text = run("--help").stdout
    for command in ("focus", "check", "schema", "simulate", "demo"):
        assert command in help_text


def test_the_readme_of_the_tests_counts_them_right(counts: Counter[str]) -> None:
    table = re.findall(r"^\| (\w+) \|.*\| (\d+) \|$", (ROOT / "tests" / "README.md").read_text(), re.MULTILINE)
    assert {kind: int(number) for kind, number in table} == counts, "run make counts"
