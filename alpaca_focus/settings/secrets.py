"""Secrets that the settings keep in files of their own."""

import contextlib
from pathlib import Path

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.settings.web import Web, token_trouble


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


def token_of(web: Web) -> str | None:
    """Return what others must know to give commands; `None`: they cannot.

    Raises:
        ConfigurationError: Its file cannot be read, or holds no token.
    """
    if web.token is not None:
        return web.token.get_secret_value()
    if web.token_file is None:
        return None
    path = Path(web.token_file).expanduser()
    try:
        with contextlib.closing(path.open(encoding="utf-8")) as file:
            token = file.readline(4096).strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigurationError(
            f"web.token_file {path} cannot be read ({why}). Write a token into its first line, readable by this user."
        ) from error
    trouble = token_trouble(token)
    if trouble:
        raise ConfigurationError(f"The first line of web.token_file {path} is no token: {trouble}.")
    return token
