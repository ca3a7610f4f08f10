"""Whatever text is loaded: settings or a `ConfigurationError` whose lines can be found in the text; nothing else."""

import re
from difflib import SequenceMatcher
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from alpaca_focus.settings.loader import load_yaml, parse_yaml
from alpaca_focus.settings.models import Settings
from alpaca_focus.settings.problems import SettingsError

EXAMPLE = (Path(__file__).parents[2] / "config" / "sct.yaml").read_text(encoding="utf-8")
SIGNS = [
    *"[]{},:?-|>!&*%@`'\"#~\\\t\n\r\x00\x07\x85\u2028\ufeff\ud800é",
    *(": ", "- ", "? ", "<<: ", "&a ", "*a", "!!int ", "!x ", "---\n", "...\n", "\r\n", "  ", "%YAML 1.1\n---\n"),
    *('"\\x', '"\\U7fffffff"', ".nan", ".inf", "1e999", "0x", "010", "1e3", "yes", "null", "9" * 60, "'1'"),
    *("telescope: ", "focus: ", "points: "),
]
ATOMS = {
    "focus": {"exposure_s": "2.5", "binning": "2", "gain": "100", "points": "11", "max_exposures": "50"},
    "focuser": {"step_size_um": "1.2", "min_position": "5", "settle_s": "1", "stall_timeout_s": "9"},
    "camera": {"address": "'pc:1'", "device_number": "1", "unique_id": "abc", "download_timeout_s": "5"},
}


def check_answer(text: str) -> None:
    """Load a text; an error must have one line a problem, in order, each at a place that exists."""
    try:
        parse_yaml(text, Settings, source="night.yaml")
    except SettingsError as error:
        check_lines(str(error).split("\n"), error, text)


def check_lines(lines: list[str], error: SettingsError, text: str) -> None:
    assert len(lines) == len(error.problems) >= 1
    places = [re.match(r"night\.yaml(?::(\d+):(\d+))?: .+", line) for line in lines]
    assert all(places), lines
    numbers = [int(place[1] or 0) for place in places if place]
    assert numbers == sorted(numbers)
    assert numbers[-1] <= len(re.split("\r\n|[\r\n\x85\u2028\u2029]", text))


@given(st.lists(st.tuples(st.integers(0, len(EXAMPLE)), st.integers(0, 12), st.sampled_from(SIGNS)), max_size=6))
def test_a_damaged_file_is_refused_in_words(edits: list[tuple[int, int, str]]) -> None:
    text = EXAMPLE
    for start, length, sign in edits:
        text = text[:start] + sign + text[start + length :]
    check_answer(text)


@given(st.lists(st.sampled_from(SIGNS) | st.text(max_size=5), max_size=30).map("".join))
def test_random_text_is_refused_in_words(text: str) -> None:
    check_answer(text)


@given(st.binary(max_size=60))
def test_random_bytes_are_refused_in_words(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "night.yaml"
    path.write_bytes(content)
    with pytest.raises(SettingsError):
        load_yaml(path, Settings)


@given(st.data())
def test_the_message_about_a_typo_names_the_nearest_name(data: st.DataObject) -> None:
    section = data.draw(st.sampled_from(sorted(ATOMS)))
    right = data.draw(st.sampled_from(sorted(ATOMS[section])))
    wrong = data.draw(typos(right))
    names = list(type(getattr(Settings.model_construct(), section)).model_fields)
    assume(wrong not in names)
    text = f"telescope: {{focal_length_mm: 530, aperture_mm: 106}}\n{section}:\n  {wrong}: {ATOMS[section][right]}\n"
    with pytest.raises(SettingsError) as caught:
        parse_yaml(text, Settings, source="night.yaml")
    suggested = re.fullmatch(
        rf"night\.yaml:3:3: {section}\.{wrong}: there is no such setting\. Did you mean '(\w+)'\?", str(caught.value)
    )
    assert suggested
    assert suggested[1] in names
    assert similarity(suggested[1], wrong) >= similarity(right, wrong)


def similarity(name: str, typed: str) -> float:
    return SequenceMatcher(None, typed, name).ratio()


@st.composite
def typos(draw: st.DrawFn, name: str) -> str:
    """One letter left out, doubled, replaced, or exchanged with the next."""
    place = draw(st.integers(0, len(name) - 2))
    before, letter, follower, after = name[:place], name[place], name[place + 1], name[place + 2 :]
    other = draw(st.sampled_from("abcdefghijklmnopqrstuvwxyz"))
    return draw(
        st.sampled_from(
            [
                before + follower + after,
                before + letter + letter + follower + after,
                before + other + follower + after,
                before + follower + letter + after,
            ]
        )
    )


@given(st.dictionaries(st.sampled_from(sorted(ATOMS)), st.integers(0, 2), min_size=1), st.integers(0, 5), st.data())
def test_a_wrong_value_is_found_at_its_line_and_column(
    indents: dict[str, int], comments: int, data: st.DataObject
) -> None:
    sections = list(indents)
    wrong_section = data.draw(st.sampled_from(sections))
    numeric = sorted(set(ATOMS[wrong_section]) - {"address", "unique_id"})
    wrong_name = data.draw(st.sampled_from(numeric))
    lines = ["telescope: {focal_length_mm: 530, aperture_mm: 106}", *["# comment"] * comments]
    expected = ""
    for section in sections:
        lines.append(f"{section}:")
        indent = " " * (indents[section] + 1)
        for name, value in ATOMS[section].items():
            wrong = section == wrong_section and name == wrong_name
            lines.append(f"{indent}{name}:  {'wrong' if wrong else value}")
            if wrong:
                expected = f"night.yaml:{len(lines)}:{len(indent) + len(name) + 4}: {section}.{name}: 'wrong' is text: "
    with pytest.raises(SettingsError) as caught:
        parse_yaml("\n".join(lines), Settings, source="night.yaml")
    assert str(caught.value).startswith(expected)
    assert len(caught.value.problems) == 1
