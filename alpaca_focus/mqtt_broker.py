"""From what the user has set for MQTT to what a client needs, the secrets read."""

from pathlib import Path

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.notify.mqtt_client import MqttSettings
from alpaca_focus.settings.mqtt import Mqtt


def broker_settings(wanted: Mqtt, *, telescope: str = "", named: str = "mqtt.password_file") -> MqttSettings:
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


def secret_lines(path: Path, setting: str) -> list[str]:
    """Return the lines of a file of secrets.

    Raises:
        ConfigurationError: It cannot be read; the message names the setting, and not what is in the file.
    """
    try:
        return [line.strip() for line in path.expanduser().read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigurationError(f"{setting}: {path} cannot be read ({why}).") from None
