"""Settings of the imaging program, the gateway, PHD2, messages, MQTT and the dashboard."""

import re
from functools import partial
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

from alpaca_focus.settings.section import (
    Duration,
    FilePath,
    ListeningSection,
    Port,
    Section,
    Text,
    checked_address,
    either,
)

DEFAULT_GATEWAY_PORT = 11112
DEFAULT_GUIDER_ADDRESS = "127.0.0.1:4400"
DEFAULT_BROKER = "127.0.0.1:1883"
DEFAULT_WEB_PORT = 11180
LEAST_TOKEN = 12
_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*")


class ImagingSection(Section):
    """The imaging program that owns the camera."""

    way: Literal["watch", "gateway", "told"] = Field(
        "watch",
        description="How its exposures become known: watch, the camera is polled; gateway, it works through the "
        "Alpaca gateway of this program; told, it calls `alpaca-focus exposure begin` and `alpaca-focus exposure end`",
    )
    folder: FilePath | None = Field(
        None,
        description="Folder that it saves its FITS files in, folders below it included: each new light frame counts "
        "and its stars are measured, and images are counted from there alone; ~ is the home folder; left out: none",
        examples=["~/Pictures/tonight"],
    )
    folder_pattern: Text = Field(
        "*",
        description="Which of the FITS files there (.fits, .fit, .fts, also packed as .gz or .fz), by their names "
        "without the folders; * stands for any text, and case does not matter",
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


class GatewaySection(ListeningSection):
    """The Alpaca server that an imaging program connects to instead of the real devices; Alpaca has no passwords."""

    port: Port = Field(DEFAULT_GATEWAY_PORT, description="Port to listen on")
    discovery: bool = Field(default=True, description="Whether to answer Alpaca's discovery")
    compensate_backlash: bool = Field(
        default=True,
        description="Whether the imaging program's own moves of the focuser are made with the backlash taken up, as "
        "those of a focus run, by the steps of focuser.backlash",
    )
    patience_s: Duration = Field(
        45.0,
        description="Longest delay of an exposure by a focus run, in seconds; a longer run is interrupted and "
        "continues in the next gap. N.I.N.A. waits for 60 seconds after the end of an exposure, the download included",
    )
    idle_s: Duration = Field(
        60.0, description="Time without an exposure after which a focus run does not wait for the next one, in seconds"
    )
    any_case: bool = Field(
        default=False,
        description="Whether to accept the parameter names of a program's commands in any case; set it only for a "
        "program that gets HTTP 400 with the right spelling",
    )


class GuiderSection(Section):
    """PHD2 and its guiding during a focus run."""

    address: Annotated[str, AfterValidator(partial(checked_address, example=DEFAULT_GUIDER_ADDRESS))] = Field(
        DEFAULT_GUIDER_ADDRESS,
        description='Host name or IP address and port of PHD2\'s server, "host:port"; IPv6 as "[::1]:4400"',
        examples=[DEFAULT_GUIDER_ADDRESS, "observatory.local:4400"],
    )
    mode: Literal["pause", "wait"] = Field(
        "pause",
        description="pause: guiding is paused during a focus run; wait: guiding continues; in both modes the run ends "
        "when the guide star is steady again",
    )
    settle_px: float = Field(
        1.5, gt=0, le=50, description="Largest distance of a steady guide star, in pixels of the guide camera"
    )
    settle_s: Duration = Field(8.0, description="Time for which the guide star must stay within settle_px, in seconds")
    timeout_s: Duration = Field(
        60.0,
        description="Longest wait for the star to be steady, or for a calibration to end, in seconds; at least twice "
        "settle_s",
    )

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
    """Messages to people, by the services that Apprise supports."""

    services: list[SecretStr] = Field(
        [],
        description="Apprise URLs of the services; the documentation of Apprise lists them. They hold secrets; "
        "services_file keeps them out of this file",
        examples=[["ntfy://topic", "mailto://user:password@example.org"]],
    )
    services_file: FilePath | None = Field(
        None, description="File with one Apprise URL a line, in place of services; lines with # are comments"
    )
    focus_failed: bool = Field(default=True, description="Whether a failed refocus is reported")
    degraded: bool = Field(
        default=True,
        description="Whether a doubtful focus is reported, a refocus undone because stars became worse, or a focuser "
        "that others have moved",
    )
    sensor_lost: bool = Field(default=True, description="Whether the loss of the temperature is reported")
    device_lost: bool = Field(default=True, description="Whether a device that does not answer at night is reported")
    device_back: bool = Field(default=True, description="Whether it is reported that a lost device answers again")
    focuser_stranded: bool = Field(
        default=True, description="Whether it is reported that the focuser could not be restored to its position"
    )
    night_report: bool = Field(default=True, description="Whether the report of the night is sent")
    repeat_s: Duration = Field(
        3600.0, description="Shortest time between two messages of one kind about one device, in seconds"
    )

    @field_validator("services", mode="before")
    @classmethod
    def _check_list(cls, services: object) -> object:
        # The value is not quoted, because it holds secrets.
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

    _check_one = field_validator("services_file")(either("services"))

    def is_on(self, kind: str) -> bool:
        """Return whether notices of a kind are sent."""
        return bool(getattr(self, kind, False))


class MqttSection(Section):
    """The MQTT broker that the state of the night is published to, and that may send commands."""

    broker: Annotated[str, AfterValidator(partial(checked_address, example=DEFAULT_BROKER))] = Field(
        DEFAULT_BROKER,
        description='Host name or IP address and port of the broker, "host:port"; IPv6 as "[::1]:1883"',
        examples=[DEFAULT_BROKER, "homeassistant.local:1883"],
    )
    user: Text | None = Field(None, description="User name; left out: none is needed")
    password: SecretStr | None = Field(None, description="Password; password_file keeps it out of this file")
    password_file: FilePath | None = Field(
        None, description="File whose first line is the password, in place of password"
    )
    prefix: str = Field(
        "alpaca-focus",
        pattern=r"^[^#+/\s$][^#+\s]{0,100}$",
        description="Beginning of all topics; the telescope's name follows",
    )
    tls: bool = Field(default=False, description="Whether the connection is encrypted; most brokers then use port 8883")

    @field_validator("password", mode="before")
    @classmethod
    def _check_text(cls, password: object) -> object:
        # The value is not quoted, because a wrong one is a secret too.
        if not isinstance(password, str) or not password:
            raise ValueError("write it in quotes, or take the line out")
        return password

    _check_one = field_validator("password_file")(either("password"))


class MqttAlone(BaseModel):
    """The settings of the broker alone, read from the settings file of a telescope; other sections are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    mqtt: MqttSection | None = None


class WebSection(ListeningSection):
    """The server of the dashboard, the REST API and /metrics."""

    port: Port = Field(DEFAULT_WEB_PORT, description="Port to listen on")
    names: list[str] = Field(
        [],
        description="Further host names under which the server is reached, for example behind a reverse proxy",
        examples=[["observatory.example.org"]],
    )
    token: SecretStr | None = Field(
        None,
        description="Secret with which other computers may give commands, at least 12 letters, digits or signs; left "
        "out: they can only read",
    )
    token_file: FilePath | None = Field(
        None,
        description="File whose first line is the token, instead of token; ~ is the home folder",
        examples=["~/.config/alpaca-focus/token"],
    )

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
            # The usual message would quote the secret.
            raise ValueError("it is no text: write it in quotes")
        return token

    @field_validator("token")
    @classmethod
    def _check_token(cls, token: SecretStr | None) -> SecretStr | None:
        problem = "" if token is None else token_problem(token.get_secret_value())
        if problem:
            raise ValueError(problem)
        return token

    _check_one = field_validator("token_file")(either("token"))


def token_problem(token: str) -> str:
    """Return why a text is no token, as a clause that does not quote it; empty for a valid token."""
    if len(token) < LEAST_TOKEN:
        return f"it is too short to be a secret: take at least {LEAST_TOKEN} letters, digits or signs"
    if not all("!" <= sign <= "~" for sign in token):
        return "it has spaces or letters that a browser cannot send: take those of the English alphabet, digits, signs"
    return ""
