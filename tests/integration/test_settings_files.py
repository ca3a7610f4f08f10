"""Settings files on disk: the examples, the published schema, and files that cannot be read."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.daemon.night_settings import triggers
from alpaca_focus.notify.home_assistant import Topics
from alpaca_focus.settings.describe import describe, describe_zone
from alpaca_focus.settings.loader import load_yaml
from alpaca_focus.settings.models import Settings, json_schema, schema_text
from alpaca_focus.settings.yaml_tree import read_tree
from alpaca_focus.settings.yaml_values import read_document

CONFIG = Path(__file__).parents[2] / "config"
EXAMPLES = sorted(CONFIG.glob("*.yaml"))
SCHEMA_FILE = CONFIG / "alpaca-focus.schema.json"
TELESCOPE = b"telescope: {focal_length_mm: 530, aperture_mm: 106}\n"
JSON_TYPES = {
    "object": dict,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
    "array": list,
}


def message_for(path: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_yaml(path, Settings)
    return str(caught.value)


def complaints(value: Any, schema: dict[str, Any], root: dict[str, Any], path: str) -> Iterator[str]:
    """Yield where a value breaks the schema, for the keywords that our schema uses."""
    if "$ref" in schema:
        yield from complaints(value, root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root, path)
    if "anyOf" in schema and all(list(complaints(value, branch, root, path)) for branch in schema["anyOf"]):
        yield f"{path}: fits no alternative"
    if "type" in schema and not _is_of_type(value, schema["type"]):
        yield f"{path}: is not of type {schema['type']}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: is none of {schema['enum']}"
    if "const" in schema and value != schema["const"]:
        yield f"{path}: is not {schema['const']}"
    if value < schema.get("minimum", value) or value > schema.get("maximum", value) if _is_number(value) else False:
        yield f"{path}: is out of bounds"
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield from complaints(item, schema["items"], root, f"{path}[{index}]")
    if isinstance(value, dict) and "properties" in schema:
        yield from (f"{path}: lacks {name}" for name in schema.get("required", ()) if name not in value)
        for name, child in value.items():
            if name in schema["properties"]:
                yield from complaints(child, schema["properties"][name], root, f"{path}.{name}")
            else:
                yield f"{path}: has the unknown {name}"


def _is_of_type(value: Any, name: str) -> bool:
    return isinstance(value, JSON_TYPES[name]) and isinstance(value, bool) is (name == "boolean")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def test_there_are_examples() -> None:
    assert {path.name for path in EXAMPLES} >= {"simulator.yaml", "refractor.yaml", "sct.yaml"}


def test_the_table_of_the_examples_has_each_of_them() -> None:
    table = (CONFIG / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"\[([a-z]+\.yaml)\]\(([a-z]+\.yaml)\)", table)
    assert sorted(file for _, file in named) == [path.name for path in EXAMPLES]
    assert all(name == file for name, file in named)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_loads_and_can_be_described(path: Path) -> None:
    settings = load_yaml(path, Settings)
    assert f"at {settings.alpaca.address}" in "\n".join((*describe(settings), describe_zone(settings)))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_triggers_of_an_example_have_all_that_they_need(path: Path) -> None:
    settings = load_yaml(path, Settings)
    set_ones = settings.triggers.model_dump(exclude_defaults=True)
    assert len(triggers(settings, 50.0)) >= len(set_ones)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_fits_the_published_schema_and_names_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    root = read_tree(text)
    assert root is not None
    schema = json_schema()
    assert list(complaints(read_document(root).data, schema, schema, path.name)) == []
    first_line = text.splitlines()[0]
    assert first_line == f"# yaml-language-server: $schema=./{SCHEMA_FILE.name}"


def test_the_schema_check_of_these_tests_finds_mistakes() -> None:
    schema = json_schema()
    wrong = {"telescope": {"focal_length_mm": "530", "name": "x"}, "focus": {"points": 99}, "sky": 1}
    assert list(complaints(wrong, schema, schema, "file")) == [
        "file.telescope: lacks aperture_mm",
        "file.telescope.focal_length_mm: is not of type number",
        "file.focus.points: is out of bounds",
        "file: has the unknown sky",
    ]


def test_the_published_schema_is_that_of_the_models() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text(), (
        "write alpaca_focus.settings.models.schema_text() to config/alpaca-focus.schema.json"
    )


def test_the_two_telescopes_on_one_computer_share_nothing_that_must_be_their_own() -> None:
    east, west = (load_yaml(CONFIG / f"{name}.yaml", Settings) for name in ("east", "west"))
    ports = [settings.gateway.port for settings in (east, west)]
    for settings in (east, west):
        assert settings.imaging.way == "gateway"
        assert settings.web is not None
        assert settings.guider is not None
        ports += [settings.web.port, int(settings.guider.address.rpartition(":")[2])]
    assert len(set(ports)) == len(ports) == 6
    assert east.storage.directory == "/var/lib/alpaca-focus/east"
    assert west.storage.directory == "/var/lib/alpaca-focus/west"
    for own in ("camera", "focuser", "filter_wheel", "mount"):
        numbers = {getattr(settings, own).device_number for settings in (east, west)}
        assert numbers == {0, 1}, own


def test_the_two_telescopes_on_one_computer_share_a_broker_and_no_topic() -> None:
    bases = []
    for name in ("east", "west"):
        settings = load_yaml(CONFIG / f"{name}.yaml", Settings)
        assert settings.mqtt is not None
        assert settings.mqtt.broker == "127.0.0.1:1883"
        topics = Topics(settings.mqtt.prefix, settings.telescope.name)
        assert topics.base == f"alpaca-focus/{name}"
        bases.append(topics.node)
    assert len(set(bases)) == 2


def test_the_spectrograph_measures_a_spectrum() -> None:
    focus = load_yaml(CONFIG / "spectrograph.yaml", Settings).focus
    assert (focus.metric, focus.spectrum.axis) == ("spectrum_fwhm", "horizontal")


def test_the_simulator_example_fits_the_simulated_observatory() -> None:
    settings = load_yaml(CONFIG / "simulator.yaml", Settings)
    assert settings.alpaca.address == "127.0.0.1:11111"
    assert settings.telescope.focal_length_mm / settings.telescope.aperture_mm == pytest.approx(5.0)
    assert settings.focuser.backlash.model_dump() == {"method": "overshoot", "steps": 120, "arrive": "in"}
    assert settings.focus.exposure_s == 2.0


PATHS = """imaging: {folder: frames}
storage: {directory: runs}
thermometer: {file: celsius}
messages: {services_file: services}
mqtt: {password_file: password}
web: {token_file: token}
"""


def paths_in(settings: Settings) -> list[str | None]:
    assert settings.messages is not None
    assert settings.mqtt is not None
    assert settings.web is not None
    return [
        settings.imaging.folder,
        settings.storage.directory,
        settings.thermometer.file,
        settings.messages.services_file,
        settings.mqtt.password_file,
        settings.web.token_file,
    ]


def test_relative_paths_start_from_the_folder_of_the_settings_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("east", "elsewhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "east" / "night.yaml").write_bytes(TELESCOPE + PATHS.encode())
    monkeypatch.chdir(tmp_path / "elsewhere")
    names = ("frames", "runs", "celsius", "services", "password", "token")
    expected = [str(tmp_path / "east" / name) for name in names]
    assert paths_in(load_yaml(tmp_path / "east" / "night.yaml", Settings)) == expected
    # However the file is named.
    monkeypatch.chdir(tmp_path / "east")
    assert paths_in(load_yaml(Path("night.yaml"), Settings)) == expected


def test_no_setting_of_a_file_or_folder_is_left_out() -> None:
    definitions = {"Settings": json_schema()} | json_schema()["$defs"]
    named = {
        f"{section}.{name}"
        for section, schema in definitions.items()
        for name, setting in schema["properties"].items()
        if re.match(r"(File|Folder)\b", setting.get("description", ""))
    }
    assert len(named) == len(PATHS.splitlines())


def test_a_home_folder_is_expanded_and_an_unknown_one_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    path = tmp_path / "night.yaml"
    path.write_bytes(TELESCOPE + b"storage: {directory: ~/runs}\n")
    assert load_yaml(path, Settings).storage.folder == tmp_path / "home" / "runs"
    path.write_bytes(TELESCOPE + b"storage: {directory: ~nobody-of-that-name/runs}\n")
    assert "the home folder of ~nobody-of-that-name is unknown: write the whole path" in message_for(path)


def test_a_folder_at_the_old_place_is_reported_until_it_is_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "east").mkdir()
    (tmp_path / "runs").mkdir()
    path = tmp_path / "east" / "night.yaml"
    path.write_bytes(TELESCOPE + b"storage: {directory: runs}\n")
    monkeypatch.chdir(tmp_path)
    warned: list[str] = []
    load_yaml(path, Settings, warn=warned.append)
    (sentence,) = warned
    assert sentence == (
        f"{tmp_path}/east/runs does not exist, but {tmp_path}/runs does: relative paths in the settings start from the "
        "folder of the settings file. Move it there, or write the whole path."
    )
    (tmp_path / "runs").rename(tmp_path / "east" / "runs")
    load_yaml(path, Settings, warn=warned.append)
    assert len(warned) == 1


def test_a_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "night.yaml"
    assert message_for(path) == f"{path}: there is no such file: check the name and the directory"


def test_a_directory(tmp_path: Path) -> None:
    assert message_for(tmp_path) == f"{tmp_path}: this is a directory: name the YAML file in it"


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "night.yaml"
    monkeypatch.setattr(Path, "open", refuse)
    assert message_for(path) == f"{path}: this user may not read the file: check its owner and permissions"


def test_a_path_through_a_file(tmp_path: Path) -> None:
    (tmp_path / "night.yaml").write_bytes(TELESCOPE)
    path = tmp_path / "night.yaml" / "more.yaml"
    assert message_for(path) == f"{path}: the file cannot be read: Not a directory"


def test_a_name_that_no_file_can_have() -> None:
    assert message_for(Path("night\0.yaml")).startswith(r"'night\x00.yaml': this cannot be the name of a file")


def test_a_file_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "night.yaml"
    path.write_bytes("# ä\r\ntelescope:\r\n  name: ".encode() + "Réfracteur\r\n".encode("latin-1"))
    assert message_for(path) == f"{path}:3:10: byte 0xE9 is not UTF-8: save the file as UTF-8"


def test_a_file_in_utf_16(tmp_path: Path) -> None:
    path = tmp_path / "night.yaml"
    path.write_bytes(TELESCOPE.decode().encode("utf-16"))
    assert message_for(path) == f"{path}: the file is UTF-16: save it as UTF-8"


def test_a_file_of_the_largest_size_is_read_and_a_larger_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "night.yaml"
    filled = TELESCOPE + b"#" * (1_048_576 - len(TELESCOPE))
    path.write_bytes(filled)
    assert load_yaml(path, Settings).telescope.aperture_mm == 106.0
    path.write_bytes(filled + b"#")
    assert message_for(path) == f"{path}: the file is larger than 1 MiB: this is not a settings file"


def test_windows_line_ends_and_a_byte_order_mark_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "night.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + TELESCOPE + b"focus:\r\n  points: 11\r\n")
    assert load_yaml(path, Settings).focus.points == 11
