"""What the thermometers have in common that are a file or a page with a text."""

import logging
from dataclasses import dataclass

from alpaca_focus.core.temperature import temperature_of_text

LONGEST_BYTES = 65536
"""No file or page with a temperature is longer; a longer one is something else, and is not read to its end."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Missing:
    """There is nothing to read; `reason` is a clause that says why."""

    reason: str


class TextReadings:
    """The readings of one source; it logs when they cease and when they come back, and not each one that is missing.

    Args:
        name: What to call the source in a message.

    Attributes:
        trouble: Why the last answer says no temperature, as a clause; empty: it says one.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._is_missing = False
        self.trouble = ""

    def take(self, answer: bytes | Missing) -> float | None:
        """Return the temperature in degrees Celsius that an answer says, `None` if it says none that makes sense."""
        match answer:
            case Missing(reason):
                reading_c = None
            case content if len(content) > LONGEST_BYTES:
                reading_c, reason = None, f"it is longer than {LONGEST_BYTES} bytes"
            case content:
                reading_c = temperature_of_text(_decoded(content))
                reason = "it does not begin with a number of degrees Celsius that makes sense"
        if reading_c is None and not self._is_missing:
            _log.warning("%s gives no temperature: %s. It is asked again each time.", self._name, reason)
        elif reading_c is not None and self._is_missing:
            _log.info("%s gives a temperature again: %.1f C.", self._name, reading_c)
        self._is_missing = reading_c is None
        self.trouble = reason if reading_c is None else ""
        return reading_c


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:  # small devices write the degree sign as one byte
        return content.decode("latin-1")
