"""Settings written back into their file: what is not meant stays as it was."""

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.settings.loader import load_yaml
from alpaca_focus.settings.models import Settings
from alpaca_focus.settings.yaml_writer import edit_yaml, edited

TEXT = """\
# The refractor on the hill.
telescope:
    focal_length_mm: 530   # with the flattener
    aperture_mm: 106

focuser:  # on the left
    # measured in May
    backlash: {method: overshoot, steps: 120}
    step_size_um: 1.0
camera: {address: 'camera.local:11111'}  # quoted
"""


def test_one_value_changes_and_nothing_else() -> None:
    after = edited(TEXT, {"focuser.backlash.steps": 143}, source="night.yaml")
    assert after == TEXT.replace("steps: 120", "steps: 143")


def test_a_missing_section_is_made_in_the_files_own_indentation(tmp_path: Path) -> None:
    path = tmp_path / "night.yaml"
    path.write_text(TEXT)
    edit_yaml(path, {"filter_wheel.focus_offsets_steps": {"L": 0, "Ha": 25}}, Settings)
    assert path.read_text() == TEXT + "filter_wheel:\n    focus_offsets_steps:\n        L: 0\n        Ha: 25\n"
    wheel = load_yaml(path, Settings).filter_wheel
    assert wheel is not None
    assert wheel.focus_offsets_steps == {"L": 0, "Ha": 25}


def test_entries_of_a_mapping_keep_their_comments() -> None:
    text = "filter_wheel:\n  focus_offsets_steps:\n    L: 0\n    R: 3  # red\n    X: 9\n"
    after = edited(text, {"filter_wheel.focus_offsets_steps": {"L": 0, "R": 12, "Ha": 25}}, source="night.yaml")
    expected = "filter_wheel:\n  focus_offsets_steps:\n    L: 0\n    R: 12 # red\n    Ha: 25\n"
    # The column of a comment may move with its value's length.
    assert after.replace("  # red", " # red") == expected


def test_line_ends_and_a_byte_order_mark_stay(tmp_path: Path) -> None:
    path = tmp_path / "night.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    edit_yaml(path, {"focuser.backlash.steps": 143}, Settings)
    expected = TEXT.replace("steps: 120", "steps: 143").replace("\n", "\r\n")
    assert path.read_bytes() == b"\xef\xbb\xbf" + expected.encode()


def test_a_link_and_the_rights_of_the_file_stay(tmp_path: Path) -> None:
    path, link = tmp_path / "night.yaml", tmp_path / "link.yaml"
    path.write_text(TEXT)
    path.chmod(0o640)
    link.symlink_to(path)
    edit_yaml(link, {"focuser.backlash.steps": 143}, Settings)
    assert link.is_symlink()
    assert "143" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link.yaml", "night.yaml"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"focuser.backlash.steps": -4}, "focuser.backlash.steps"),
        ({"focuser.backlash.stepps": 4}, "there is no such setting"),
        ({"camera.address.port": 4}, "no section"),
    ],
)
def test_what_would_not_be_valid_is_not_written(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    path = tmp_path / "night.yaml"
    path.write_text(TEXT)
    with pytest.raises(ConfigurationError, match=message):
        edit_yaml(path, changes, Settings)
    assert path.read_text() == TEXT


def test_a_file_that_is_no_yaml_or_not_there_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "night.yaml"
    with pytest.raises(ConfigurationError, match="cannot be read"):
        edit_yaml(path, {"focuser.backlash.steps": 1}, Settings)
    path.write_text("telescope: [")
    with pytest.raises(ConfigurationError, match="not valid YAML, so nothing was written"):
        edit_yaml(path, {"focuser.backlash.steps": 1}, Settings)
    assert path.read_text() == "telescope: ["


comments = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=20).map(str.strip)


@given(first=comments, second=comments, steps=st.integers(1, 10**6))
def test_any_comment_survives(first: str, second: str, steps: int) -> None:
    text = f"# {first}\nfocuser:\n  backlash:\n    steps: 5 # {second}\n    arrive: in\n"
    assert edited(text, {"focuser.backlash.steps": steps}, source="x") == text.replace("steps: 5", f"steps: {steps}")
