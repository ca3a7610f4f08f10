"""`alpaca-focus init` without questions, up to the file."""

import inspect
from functools import partial
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from alpaca_focus.cli.init_command import init
from alpaca_focus.core.device_kinds import DEVICE_KINDS
from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.devices.survey import survey_device
from alpaca_focus.settings.loader import load_yaml, parse_yaml
from alpaca_focus.settings.models import MountSection, Settings
from alpaca_focus.setup import surveying
from alpaca_focus.simulator.observatory import Observatory
from tests.served_devices import HANG, Faults, ServedCamera, ServedFocuser, ServedMount, serve

commands = typer.Typer()
commands.command()(init)


def refusal_of(*arguments: str | Path) -> str:
    result = CliRunner().invoke(commands, [*map(str, arguments)])
    assert isinstance(result.exception, ConfigurationError), result.output
    return str(result.exception)


def test_a_file_is_written_and_the_next_commands_are_listed(observatory: Observatory, tmp_path: Path) -> None:
    file = tmp_path / "my night.yaml"
    (tmp_path / "alpaca-focus.schema.json").write_text("{}")
    options = ["--address", observatory.address, "--way", "gateway", "--backlash", "120", "--name", "it's: #1"]
    result = CliRunner().invoke(commands, [str(file), *options])
    assert result.exit_code == 0, result.output
    assert file.read_text().startswith("# yaml-language-server: $schema=./alpaca-focus.schema.json\n")
    settings = load_yaml(file, Settings)
    assert (settings.telescope.name, settings.imaging.way) == ("it's: #1", "gateway")
    assert f"Written: {file}" in result.stdout
    assert f"alpaca-focus doctor --config '{file}'" in result.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alpaca-focus.schema.json", "my night.yaml"]


def test_a_file_that_is_there_is_left_unless_it_is_forced(observatory: Observatory, tmp_path: Path) -> None:
    file = tmp_path / "night.yaml"
    file.write_text("mine")
    assert f"{file} is there already" in refusal_of(file, "--address", observatory.address)
    assert file.read_text() == "mine"
    forced = CliRunner().invoke(commands, [str(file), "--address", observatory.address, "--yes", "--force"])
    assert forced.exit_code == 0, forced.output
    assert load_yaml(file, Settings).alpaca.address == observatory.address


def test_the_standard_output_gets_nothing_but_the_file(observatory: Observatory) -> None:
    result = CliRunner().invoke(commands, ["-", "--address", observatory.address])
    assert result.exit_code == 0, result.output
    assert parse_yaml(result.stdout, Settings, source="-").telescope.aperture_mm == 106.0
    assert "Found at" in result.stderr


def test_invalid_options_are_refused_before_any_device_is_connected(tmp_path: Path) -> None:
    file = tmp_path / "night.yaml"
    assert refusal_of(file, "--aperture", "-3").startswith("--aperture -3.0: ")
    assert "name a file in it" in refusal_of(tmp_path)
    assert "not a regular file" in refusal_of("/dev/null", "--force")
    assert "no folder" in refusal_of(tmp_path / "nowhere" / "night.yaml")
    assert "has no valid port" in refusal_of(file, "--address", "here:x")
    assert not file.exists()


def test_what_is_missing_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    file = tmp_path / "night.yaml"
    with serve([ServedCamera(), ServedFocuser()], Faults()) as server:
        message = refusal_of(file, "--address", f"127.0.0.1:{server.port}")
    assert message == (
        "There is no value for the focal length, the aperture and the travel of one step of the focuser. Add "
        "--focal-length MM, --aperture MM and --step-size UM."
    )
    assert not file.exists()


def test_a_guider_is_no_mount_unless_it_is_named(tmp_path: Path) -> None:
    guider = ServedMount(**dict.fromkeys(("canslew", "canslewasync", "cansettracking", "tracking", "canpark"), False))
    optics = ["--focal-length", "480", "--aperture", "80", "--step-size", "1.2"]
    with serve([ServedCamera(), ServedFocuser(), guider, ServedMount(canslew=True)], Faults()) as server:
        options = ["--address", f"127.0.0.1:{server.port}", *optics]
        chosen = CliRunner().invoke(commands, [str(tmp_path / "found.yaml"), *options])
        named = CliRunner().invoke(commands, [str(tmp_path / "named.yaml"), *options, "--mount", "0"])
    assert (chosen.exit_code, named.exit_code) == (0, 0), chosen.output + named.output
    assert 'mount 0 "Test mount" can neither slew, track nor park, and is left out as a guider.' in chosen.output
    numbers = [each.device_number for name in ("found", "named") if (each := _mount_in(tmp_path / f"{name}.yaml"))]
    assert numbers == [1, 0]


def _mount_in(file: Path) -> MountSection | None:
    return load_yaml(file, Settings).mount


def test_each_kind_of_device_has_an_option_for_its_number() -> None:
    assert set(DEVICE_KINDS) <= set(inspect.signature(init).parameters)


def test_a_relative_focuser_is_refused(tmp_path: Path) -> None:
    with serve([ServedCamera(), ServedFocuser(absolute=False)], Faults()) as server:
        message = refusal_of(tmp_path / "night.yaml", "--address", f"127.0.0.1:{server.port}")
    assert "is a relative focuser" in message


def test_a_device_that_falls_silent_is_reported_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surveying, "survey_device", partial(survey_device, timeout_s=0.3))
    file, faults = tmp_path / "night.yaml", Faults(instead={"sensorname": HANG})
    with serve([ServedCamera(), ServedFocuser()], faults) as server:
        options = ["--focal-length", "480", "--aperture", "80", "--step-size", "1.2"]
        result = CliRunner().invoke(commands, [str(file), "--address", f"127.0.0.1:{server.port}", *options])
    assert result.exit_code == 0, result.output
    assert result.output.count("did not answer SensorName") == 1
    assert load_yaml(file, Settings).focuser.step_size_um == 1.2
