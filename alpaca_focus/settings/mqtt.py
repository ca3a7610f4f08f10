"""What the user may set for MQTT."""

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

from alpaca_focus.settings.address import checked_address
from alpaca_focus.settings.section import Section

DEFAULT_BROKER = "127.0.0.1:1883"


class Mqtt(Section):
    """The MQTT broker that hears of the night, and may give commands."""

    broker: str = Field(
        default=DEFAULT_BROKER,
        description='Host name or IP address and port of the broker, "host:port"; IPv6 as "[::1]:1883"',
        examples=[DEFAULT_BROKER, "homeassistant.local:1883"],
    )
    user: str | None = Field(default=None, min_length=1, description="User name; left out: none is asked for")
    password: SecretStr | None = Field(default=None, description="Password; password_file keeps it out of this file")
    password_file: str | None = Field(
        default=None, min_length=1, description="File whose first line is the password, in place of password"
    )
    prefix: str = Field(
        default="alpaca-focus",
        pattern=r"^[^#+/\s$][^#+\s]{0,100}$",
        description="Beginning of all topics; the telescope's name follows",
    )
    tls: bool = Field(default=False, description="Whether the connection is encrypted; most brokers then use port 8883")

    @field_validator("broker")
    @classmethod
    def _check_broker(cls, broker: str) -> str:
        return checked_address(broker, DEFAULT_BROKER)

    @field_validator("password", mode="before")
    @classmethod
    def _check_text(cls, password: object) -> object:
        # A wrong one is not quoted here: it is secret all the same.
        if not isinstance(password, str) or not password:
            raise ValueError("write it in quotes, or take the line out")
        return password

    @field_validator("password_file")
    @classmethod
    def _check_one(cls, password_file: str | None, info: ValidationInfo) -> str | None:
        if password_file is not None and info.data.get("password") is not None:
            raise ValueError("there is a password already: give either password or password_file")
        return password_file


class MqttAlone(BaseModel):
    """The section of the broker out of the settings of a telescope; what else is in them does not matter."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    mqtt: Mqtt | None = None
