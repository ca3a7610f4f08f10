"""What YAML text means, and how it meets a model that is not our own."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Annotated

import pytest
from pydantic import BaseModel, ConfigDict, Field

from alpaca_focus.settings.loader import parse_yaml
from alpaca_focus.settings.problems import SettingsError
from alpaca_focus.settings.yaml_tree import read_tree
from alpaca_focus.settings.yaml_values import Plain, read_document


class Sky(StrEnum):
    CLEAR = "clear"
    CLOUDY = "cloudy"


class Site(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    height_m: float = 0.0


class World(BaseModel):
    """A model with kinds of fields that our own settings do not have, not strict by itself."""

    model_config = ConfigDict(extra="forbid")
    sky: Sky = Sky.CLEAR
    dark: bool = True
    sites: list[Site] = []
    colour: tuple[int, int, int] = (0, 0, 0)
    notes: dict[str, int] = {}
    numbered: Mapping[Annotated[int, Field(ge=2)], float] = {}
    log: PurePosixPath | None = None
    either: int | Site = 0
    few: Annotated[list[int], Field(max_length=2)] = []
    short: Annotated[str, Field(max_length=3, pattern="^[a-z]*$")] = ""


def data_of(text: str) -> Plain:
    root = read_tree(text)
    assert root is not None
    return read_document(root).data


def answer_to(text: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        parse_yaml(text, World, source="world.yaml")
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("-7", -7),
        ("+7", 7),
        ("1e3", 1000.0),
        ("-.5", -0.5),
        ("5.", 5.0),
        ("1.5E-2", 0.015),
        ("true", True),
        ("FALSE", False),
        ("yes", "yes"),
        ("off", "off"),
        ("22:30", "22:30"),
        ("1_000", "1_000"),
        ("2026-01-02", "2026-01-02"),
        ("127.0.0.1:11111", "127.0.0.1:11111"),
        ("null", None),
        ("'5'", "5"),
        ('"true"', "true"),
        ("two words", "two words"),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: Plain) -> None:
    got = data_of(f"a: {text}\n")
    assert got == {"a": value}
    assert isinstance(got, dict)
    assert type(got["a"]) is type(value)


def test_a_yaml_1_1_directive_does_not_change_what_values_mean() -> None:
    assert data_of("%YAML 1.1\n---\na: 010\nb: yes\n") == {"a": 10, "b": "yes"}


def test_aliases_and_merge_keys_are_followed() -> None:
    text = "base: &b {x: 1, y: 2}\nother: &o {y: 7, z: 3}\nsame: *b\nboth:\n  y: 5\n  <<: [*b, *o]\n"
    assert data_of(text) == {
        "base": {"x": 1, "y": 2},
        "other": {"y": 7, "z": 3},
        "same": {"x": 1, "y": 2},
        "both": {"y": 5, "x": 1, "z": 3},
    }


def test_a_quoted_merge_sign_is_an_ordinary_name() -> None:
    assert data_of("'<<': 5\n") == {"<<": 5}


def test_an_anchor_may_be_set_anew() -> None:
    assert data_of("a: &x 1\nb: *x\nc: &x 2\nd: *x\n") == {"a": 1, "b": 1, "c": 2, "d": 2}


def test_enumerations_tuples_and_paths_are_written_as_text_and_lists() -> None:
    world = parse_yaml("sky: cloudy\ncolour: [1, 2, 3]\nlog: /var/log/x\nnotes: {a: 1}\n", World, source="world.yaml")
    assert world == World(sky=Sky.CLOUDY, colour=(1, 2, 3), log=PurePosixPath("/var/log/x"), notes={"a": 1})


def test_names_may_be_whole_numbers_where_the_model_numbers_things() -> None:
    assert parse_yaml("numbered: {4: 0.5, 11: 1}\n", World, source="world.yaml").numbered == {4: 0.5, 11: 1.0}


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("dark: yes\n", "1:7: dark: 'yes' is text: write true or false"),
        ("dark: 'true'\n", "1:7: dark: 'true' is text: write true without quotes"),
        ("dark: 1\n", "1:7: dark: 1 is a number: write true or false"),
        ("sky: foggy\n", "1:6: sky: 'foggy' is not one of the choices: write 'clear' or 'cloudy'"),
        ("sites:\n  - name: a\n  - nme: b\n", "3:5: sites[1].nme: there is no such setting. Did you mean 'name'?"),
        ("sites:\n  - name: a\n  - height_m: 5\n", "3:5: sites[1].name: this setting is required and missing"),
        ("sites:\n  - name: a\n    height_m: high\n", "3:15: sites[0].height_m: 'high' is text: write a number"),
        ("sites: [{name: a}, 5]\n", "1:20: sites[1]: 5 is a number: write its settings below it"),
        ("sites: {name: a}\n", "1:1: sites: this is a group of settings: write a list"),
        ("notes: {a: x}\n", "1:12: notes.a: 'x' is text: write a whole number"),
        ("numbered: {4: x}\n", "1:15: numbered.4: 'x' is text: write a number"),
        ("numbered: {1: 0.5}\n", "1:12: numbered.1: 1 is too small: it must be at least 2"),
        ("numbered: {four: 0.5}\n", "1:12: numbered.four: 'four' is text: write a whole number"),
        ("few: [1, 2, 3]\n", "1:1: few: the list is too long: it may have 2 item(s)"),
        ("short: abcd\n", "1:8: short: 'abcd' is too long: write at most 3 character(s)"),
        ("short: AB\n", "1:8: short: 'AB' is not of the form ^[a-z]*$"),
    ],
)
def test_a_foreign_model_gets_the_same_answers(text: str, answer: str) -> None:
    (line,) = answer_to(text)
    assert line.startswith(f"world.yaml:{answer}")


def test_each_branch_of_an_alternative_answers_at_the_same_place() -> None:
    lines = answer_to("either: {name: a, height_m: x}\n")
    assert lines == [
        "world.yaml:1:1: either: this is a group of settings: write a whole number",
        "world.yaml:1:29: either.height_m: 'x' is text: write a number",
    ]
