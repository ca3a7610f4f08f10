"""What the user may set for the dashboard, the REST API and the meters."""

import re

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from alpaca_focus.settings.networks import checked_networks
from alpaca_focus.settings.section import Section

DEFAULT_WEB_PORT = 11180
LEAST_TOKEN = 12
_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*")


class Web(Section):
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
