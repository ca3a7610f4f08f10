"""Settings of the imaging program, the gateway, PHD2, messages, MQTT and the dashboard."""

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

from alpaca_focus.settings.section import Duration, Section, checked_address, checked_networks

DEFAULT_GATEWAY_PORT = 11112
DEFAULT_GUIDER_ADDRESS = "127.0.0.1:4400"
DEFAULT_BROKER = "127.0.0.1:1883"
DEFAULT_WEB_PORT = 11180
LEAST_TOKEN = 12
_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*")


class ImagingSection(Section):
    """The imaging program that owns the camera."""

    way: Literal["watch", "gateway", "told"] = Field(
        default="watch",
        description="How its exposures are known: watch, the camera is looked at; gateway, it works through the "
        "Alpaca gateway of this program; told, it calls `alpaca-focus exposure begin` and `alpaca-focus exposure end`",
    )
    folder: str | None = Field(
        default=None,
        min_length=1,
        description="Folder that it saves its FITS files in, folders below it included: each new light frame counts "
        "and its stars are measured, and images are counted from there alone; ~ is the home folder; left out: none",
        examples=["~/Pictures/tonight"],
    )
    folder_pattern: str = Field(
        default="*",
        min_length=1,
        description="Which of the FITS files there (.fits, .fit, .fts, also packed as .gz or .fz), by their names "
        "without the folders; * stands for anything, and capital letters are the same as small ones",
        examples=["*_LIGHT_*"],
    )

    @field_validator("folder")
    @classmethod
    def _check_way(cls, folder: str | None, info: ValidationInfo) -> str | None:
        if folder is not None and info.data.get("way") == "gateway":
            raise ValueError(
                "the gateway sees every frame itself and measures it: take folder out, or write way: watch or told"
            )
        return folder


class GatewaySection(Section):
    """The Alpaca server that an imaging program connects to instead of the real devices."""

    listen: str = Field(
        default="127.0.0.1",
        min_length=1,
        description='Address to listen on; "0.0.0.0" is every address of this computer, and needs allow',
        examples=["127.0.0.1", "192.168.1.10"],
    )
    port: int = Field(default=DEFAULT_GATEWAY_PORT, ge=1, le=65535, description="Port to listen on")
    allow: list[str] = Field(
        default=[],
        validate_default=True,
        description="Addresses and networks that may connect besides this computer itself; Alpaca has no passwords",
        examples=[["192.168.1.20", "192.168.7.0/24"]],
    )
    discovery: bool = Field(default=True, description="Whether to answer Alpaca's discovery")
    patience_s: Duration = Field(
        default=45.0,
        description="Longest time for which an exposure is held back for a focus run, in seconds; a longer run is "
        "interrupted and goes on in the next gap. N.I.N.A. waits for 60 seconds after the end of an exposure, the "
        "download included",
    )
    idle_s: Duration = Field(
        default=60.0,
        description="After so long without an exposure a focus run does not wait for the next one, in seconds",
    )

    @field_validator("allow")
    @classmethod
    def _check_networks(cls, allow: list[str], info: ValidationInfo) -> list[str]:
        return checked_networks(allow, info.data.get("listen", ""), to_do="connect")


class GuiderSection(Section):
    """PHD2, and what it does during a focus run."""

    address: str = Field(
        default=DEFAULT_GUIDER_ADDRESS,
        description='Host name or IP address and port of PHD2\'s server, "host:port"; IPv6 as "[::1]:4400"',
        examples=[DEFAULT_GUIDER_ADDRESS, "observatory.local:4400"],
    )
    mode: Literal["pause", "wait"] = Field(
        default="pause",
        description="pause: guiding is paused during a focus run; wait: it goes on; either way the run ends when the "
        "guide star is steady again",
    )
    settle_px: float = Field(
        default=1.5,
        gt=0,
        le=50,
        description="Distance within which the guide star is steady, in pixels of the guide camera",
    )
    settle_s: Duration = Field(default=8.0, description="Time for which it has to stay within, in seconds")
    timeout_s: Duration = Field(
        default=60.0,
        description="Longest wait for the star to be steady, or for a calibration to end, in seconds; at least twice "
        "settle_s",
    )

    @field_validator("address")
    @classmethod
    def _check_address(cls, address: str) -> str:
        return checked_address(address, DEFAULT_GUIDER_ADDRESS)

    @field_validator("timeout_s")
    @classmethod
    def _check_timeout(cls, timeout_s: float, info: ValidationInfo) -> float:
        settle_s = info.data.get("settle_s", 0.0)
        if timeout_s < 2 * settle_s:
            raise ValueError(
                f"{timeout_s:g} is too small: the star needs time to become steady, and then {settle_s:g} s of settle_s"
            )
        return timeout_s


class MessagesSection(Section):
    """Messages to people, by services that Apprise speaks."""

    services: list[SecretStr] = Field(
        default=[],
        description="Apprise URLs of the services; the documentation of Apprise lists them. They hold secrets: "
        "services_file keeps them out of this file",
        examples=[["ntfy://topic", "mailto://user:password@example.org"]],
    )
    services_file: str | None = Field(
        default=None,
        min_length=1,
        description="File with one Apprise URL a line, in place of services; lines with # are comments",
    )
    focus_failed: bool = Field(default=True, description="Whether a refocus that failed is told")
    degraded: bool = Field(
        default=True, description="Whether a doubtful focus is told, or a refocus undone because stars became worse"
    )
    sensor_lost: bool = Field(default=True, description="Whether it is told that the temperature is lost")
    device_lost: bool = Field(default=True, description="Whether it is told that a device does not answer at night")
    device_back: bool = Field(default=True, description="Whether it is told that it answers again")
    focuser_stranded: bool = Field(
        default=True, description="Whether it is told that the focuser could not be brought back"
    )
    night_report: bool = Field(default=True, description="Whether the report of the night is sent")
    repeat_s: Duration = Field(
        default=3600.0, description="Least time between two messages of one kind about one device, in seconds"
    )

    @field_validator("services", mode="before")
    @classmethod
    def _check_list(cls, services: object) -> object:
        # What is wrong is not quoted here: it holds secrets.
        if not isinstance(services, list) or not all(isinstance(each, str) for each in services):
            raise ValueError("write a list of Apprise URLs, each behind a dash and in quotes")
        return services

    @field_validator("services")
    @classmethod
    def _check_urls(cls, services: list[SecretStr]) -> list[SecretStr]:
        for number, each in enumerate(services, start=1):
            if "://" not in each.get_secret_value():
                raise ValueError(f"number {number} is no Apprise URL: one begins with the service's name and ://")
        return services

    @field_validator("services_file")
    @classmethod
    def _check_one(cls, services_file: str | None, info: ValidationInfo) -> str | None:
        if services_file is not None and info.data.get("services"):
            raise ValueError("there are services already: give either services or services_file")
        return services_file

    def is_on(self, kind: str) -> bool:
        """Tell whether notices of a kind are sent."""
        return bool(getattr(self, kind, False))


class MqttSection(Section):
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

    mqtt: MqttSection | None = None


class WebSection(Section):
    """The server of the dashboard, the REST API and /metrics."""

    listen: str = Field(
        default="127.0.0.1",
        min_length=1,
        description='Address to listen on; "0.0.0.0" is every address of this computer, and needs allow',
        examples=["127.0.0.1", "192.168.1.10"],
    )
    port: int = Field(default=DEFAULT_WEB_PORT, ge=1, le=65535, description="Port to listen on")
    allow: list[str] = Field(
        default=[],
        validate_default=True,
        description="Addresses and networks that may look besides this computer itself",
        examples=[["192.168.1.20", "192.168.7.0/24"]],
    )
    names: list[str] = Field(
        default=[],
        description="Names by which this computer is asked for besides its own, as behind a reverse proxy",
        examples=[["observatory.example.org"]],
    )
    token: SecretStr | None = Field(
        default=None,
        description="What other computers must know to give commands, at least 12 letters, digits or signs; left out: "
        "they can only look",
    )
    token_file: str | None = Field(
        default=None,
        min_length=1,
        description="File whose first line is the token, instead of token; ~ is the home folder",
        examples=["~/.config/alpaca-focus/token"],
    )

    @field_validator("allow")
    @classmethod
    def _check_networks(cls, allow: list[str], info: ValidationInfo) -> list[str]:
        return checked_networks(allow, info.data.get("listen", ""), to_do="look")

    @field_validator("names")
    @classmethod
    def _check_names(cls, names: list[str]) -> list[str]:
        for name in names:
            if not _HOST_NAME.fullmatch(name):
                raise ValueError(f'"{name}" is no host name: write it without http:// and without a port')
        return [name.lower() for name in names]

    @field_validator("token", mode="before")
    @classmethod
    def _check_text(cls, token: object) -> object:
        if token is not None and not isinstance(token, str | SecretStr):
            # The usual message would tell it.
            raise ValueError("it is no text: write it in quotes")
        return token

    @field_validator("token")
    @classmethod
    def _check_token(cls, token: SecretStr | None) -> SecretStr | None:
        trouble = "" if token is None else token_trouble(token.get_secret_value())
        if trouble:
            raise ValueError(trouble)
        return token

    @field_validator("token_file")
    @classmethod
    def _check_one(cls, token_file: str | None, info: ValidationInfo) -> str | None:
        if token_file is not None and info.data.get("token") is not None:
            raise ValueError("there is token already: give either of them")
        return token_file


def token_trouble(token: str) -> str:
    """Return why something is no token, as a clause that does not tell it; empty: it is one."""
    if len(token) < LEAST_TOKEN:
        return f"it is too short to be a secret: take at least {LEAST_TOKEN} letters, digits or signs"
    if not all("!" <= sign <= "~" for sign in token):
        return "it has spaces or letters that a browser cannot send: take those of the English alphabet, digits, signs"
    return ""
