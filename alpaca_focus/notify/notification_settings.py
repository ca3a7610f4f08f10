"""Builds the MQTT and notification settings, with secrets resolved."""

from collections.abc import Sequence
from pathlib import Path

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.notify.messages import Service
from alpaca_focus.notify.mqtt_client import MqttSettings
from alpaca_focus.settings.interface_models import MessagesSection, MqttSection
from alpaca_focus.settings.loader import secret_lines
from alpaca_focus.settings.models import Settings


def services_of(section: MessagesSection) -> tuple[Service, ...]:
    """Return the services for messages.

    Raises:
        ConfigurationError: The file with their URLs cannot be read.
    """
    if section.services_file is None:
        urls: Sequence[str] = [each.get_secret_value() for each in section.services]
    else:
        lines = secret_lines(Path(section.services_file), "messages.services_file")
        urls = [line for line in lines if line and not line.startswith("#")]
    return tuple(Service(url, number) for number, url in enumerate(urls, start=1))


def mqtt_settings(settings: Settings) -> MqttSettings:
    """Return the broker of the settings.

    Raises:
        ConfigurationError: The password cannot be read, or there is no section mqtt.
    """
    if settings.mqtt is None:
        raise ConfigurationError("The settings have no section mqtt.")
    return broker_settings(settings.mqtt, telescope=settings.telescope.name)


def broker_settings(section: MqttSection, *, telescope: str = "", named: str = "mqtt.password_file") -> MqttSettings:
    """Return the broker of a section mqtt.

    Args:
        section: The section.
        telescope: Name of the telescope to publish; empty for a listener.
        named: The user's name for the password file, for the message.

    Raises:
        ConfigurationError: The password cannot be read.
    """
    password = None if section.password is None else section.password.get_secret_value()
    if section.password_file is not None:
        password = next(iter(secret_lines(Path(section.password_file), named)), "")
    host, _, port = section.broker.rpartition(":")
    return MqttSettings(
        host=host.strip("[]"),
        port=int(port),
        user=section.user,
        password=password,
        prefix=section.prefix,
        telescope=telescope,
        tls=section.tls,
    )
