"""Who is told of the night, as the settings name them: the broker, and the services of messages; the secrets read."""

from collections.abc import Sequence
from pathlib import Path

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.notify.messages import Service
from alpaca_focus.notify.mqtt_client import MqttSettings
from alpaca_focus.settings.interface_models import MessagesSection, MqttSection
from alpaca_focus.settings.loader import secret_lines
from alpaca_focus.settings.models import Settings


def services_of(wanted: MessagesSection) -> tuple[Service, ...]:
    """Return the services that messages are sent to.

    Raises:
        ConfigurationError: Their file cannot be read.
    """
    if wanted.services_file is None:
        urls: Sequence[str] = [each.get_secret_value() for each in wanted.services]
    else:
        lines = secret_lines(Path(wanted.services_file), "messages.services_file")
        urls = [line for line in lines if line and not line.startswith("#")]
    return tuple(Service(url, number) for number, url in enumerate(urls, start=1))


def mqtt_settings(settings: Settings) -> MqttSettings:
    """Return where the broker is.

    Raises:
        ConfigurationError: The password cannot be read, or none is wanted.
    """
    wanted = settings.mqtt
    if wanted is None:
        raise ConfigurationError("There is no section mqtt in the settings.")
    return broker_settings(wanted, telescope=settings.telescope.name)


def broker_settings(wanted: MqttSection, *, telescope: str = "", named: str = "mqtt.password_file") -> MqttSettings:
    """Return where the broker is.

    Args:
        wanted: As it was set.
        telescope: Name of the telescope that is told of; empty: who asks only listens.
        named: What the user calls the file of the password, for the message.

    Raises:
        ConfigurationError: The password cannot be read.
    """
    password = None if wanted.password is None else wanted.password.get_secret_value()
    if wanted.password_file is not None:
        password = next(iter(secret_lines(Path(wanted.password_file), named)), "")
    host, _, port = wanted.broker.rpartition(":")
    return MqttSettings(
        host=host.strip("[]"),
        port=int(port),
        user=wanted.user,
        password=password,
        prefix=wanted.prefix,
        telescope=telescope,
        tls=wanted.tls,
    )
