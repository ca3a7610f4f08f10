"""The settings of the dashboard; no message contains the token."""

import pytest

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.settings.describe import describe
from alpaca_focus.settings.interface_models import WebSection, token_problem
from alpaca_focus.settings.loader import parse_yaml
from alpaca_focus.settings.models import Settings

TELESCOPE = "telescope: {focal_length_mm: 530, aperture_mm: 106}\n"
TOKEN = "abcdefghijkl123"  # noqa: S105 - made up


def parsed(web: str) -> Settings:
    return parse_yaml(f"{TELESCOPE}web: {web}\n", Settings, source="night.yaml")


def test_the_dashboard_serves_only_this_computer_by_default() -> None:
    web = parse_yaml(TELESCOPE, Settings, source="night.yaml").web
    assert web == WebSection(listen="127.0.0.1", port=11180, allow=[], names=[], token=None, token_file=None)
    assert parsed("null").web is None


@pytest.mark.parametrize(
    ("web", "problem"),
    [
        ("{port: 0}", "web.port"),
        ("{allow: [somewhere]}", '"somewhere" is neither an address nor a network such as 192.168.1.0/24'),
        ("{listen: 0.0.0.0}", "only this computer is allowed, and 0.0.0.0 is for others"),
        ("{token: short}", "web.token: it is too short to be a secret"),
        ("{token: 'abc def ghi jkl'}", "web.token: it has spaces or letters that a browser cannot send"),
        ("{token: äöüäöüäöüäöü}", "web.token: it has spaces or letters that a browser cannot send"),
        (
            f"{{token: {TOKEN}, token_file: /x}}",
            "web.token_file: token is given already: write either token or token_file",
        ),
        ("{token_file: ''}", "web.token_file"),
        ("{token: 123456789012345}", "web.token: it is no text: write it in quotes"),
        ("{token: [abcdefghijklmnop]}", "web.token: it is no text"),
    ],
)
def test_invalid_settings_are_refused_without_quoting_the_token(web: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parsed(web)
    assert problem in str(caught.value)
    for secret in ("short,", "123456789012345", "abcdefghij", "abc def"):
        assert secret not in str(caught.value)


def test_the_token_is_not_shown() -> None:
    settings = parsed(f"{{listen: 0.0.0.0, allow: [192.168.1.0/24], token: {TOKEN}}}")
    assert settings.web is not None
    assert settings.web.token is not None
    assert settings.web.token.get_secret_value() == TOKEN
    assert TOKEN not in repr(settings)
    assert TOKEN not in settings.model_dump_json()
    lines = describe(settings)
    assert lines[-1] == (
        "dashboard: at 0.0.0.0, port 11180; 192.168.1.0/24 may read as well and give commands with the token"
    )
    assert describe(parsed("null"))[-1] == "dashboard: none"


@pytest.mark.parametrize(
    ("token", "is_one"), [("a" * 12, True), ("!~" * 6, True), ("a" * 11, False), ("", False), ("a" * 12 + "\n", False)]
)
def test_what_may_be_a_token(token: str, is_one: bool) -> None:
    assert (token_problem(token) == "") is is_one


def test_names_are_host_names() -> None:
    assert parsed("{names: [Observatory.example.org, pi]}").web == WebSection(names=["observatory.example.org", "pi"])
    for wrong in ("http://pi", "pi:80", "a..b", "-pi", "*", "''"):
        with pytest.raises(ConfigurationError, match="is no host name"):
            parsed(f"{{names: [{wrong!r}]}}" if wrong != "''" else "{names: ['']}")
