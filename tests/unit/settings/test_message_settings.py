"""The settings of messages and MQTT, which hold secrets."""

import pytest

from alpaca_focus.settings.describe import describe
from alpaca_focus.settings.loader import parse_yaml
from alpaca_focus.settings.models import Settings
from alpaca_focus.settings.problems import SettingsError

TELESCOPE = "telescope: {focal_length_mm: 500, aperture_mm: 100}\n"
SECRET = "hunter2secret"  # noqa: S105 - of nothing


def parsed(text: str) -> Settings:
    return parse_yaml(TELESCOPE + text, Settings, source="night.yaml")


@pytest.mark.parametrize(
    "text",
    [
        f"messages: {{services: tgram://{SECRET}/12}}",
        f"messages: {{services: [{SECRET}]}}",
        f"messages: {{services: [[{SECRET}]]}}",
        f"messages: {{services: ['json://{SECRET}'], services_file: some}}",
        f"mqtt: {{password: [{SECRET}]}}",
        f"mqtt: {{password: {SECRET}, password_file: some}}",
        f"mqtt: {{password: {SECRET}, prefix: 'a b'}}",
    ],
)
def test_the_message_about_a_mistake_hides_the_secret(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parsed(text)
    assert "night.yaml:2:" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_number_as_a_password_is_not_quoted() -> None:
    with pytest.raises(SettingsError, match="write it in quotes") as caught:
        parsed("mqtt: {password: 8472911}")
    assert "8472911" not in str(caught.value)


def test_secrets_are_not_in_the_text_of_the_settings() -> None:
    settings = parsed(f"messages: {{services: ['json://{SECRET}']}}\nmqtt: {{password: {SECRET}}}")
    assert SECRET not in repr(settings) + str(settings)
    assert settings.messages is not None
    assert [each.get_secret_value() for each in settings.messages.services] == [f"json://{SECRET}"]


def test_each_kind_is_on_until_it_is_turned_off() -> None:
    messages = parsed("messages: {degraded: false}").messages
    assert messages is not None
    assert messages.is_on("focus_failed")
    assert not messages.is_on("degraded")
    assert not messages.is_on("something else")


@pytest.mark.parametrize(("section", "first"), [("messages", "services"), ("mqtt", "broker")])
def test_an_empty_section_is_refused(section: str, first: str) -> None:
    with pytest.raises(SettingsError, match=f"write {first} below it"):
        parsed(f"{section}:\n")


def test_the_description_names_the_services_without_the_secrets() -> None:
    lines = describe(
        parsed(
            f"messages: {{services: ['json://{SECRET}'], device_back: false, degraded: false}}\n"
            f"mqtt: {{broker: 'house:1883', user: dob, password: {SECRET}}}"
        )
    )
    assert "messages: by 1 service; none of degraded, device back" in lines
    assert "MQTT: house:1883 as dob; topics begin with alpaca-focus" in lines
    assert SECRET not in "\n".join(lines)
