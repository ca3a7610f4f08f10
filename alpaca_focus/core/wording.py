"""How metrics, their values and texts of others are written for a person."""

from alpaca_focus.core.values import Measurement

ABBREVIATIONS = frozenset({"hfd", "hfr", "fwhm", "nsig"})
LONGEST_LINE = 100
"""Signs that are shown of a text of others."""


def metric_name(metric: str) -> str:
    """Return the name of a metric as the field writes it, for example "HFD" or "spectrum FWHM"."""
    return " ".join(word.upper() if word in ABBREVIATIONS else word for word in metric.split("_"))


def told(measurement: Measurement) -> str:
    """Say what a frame showed, for example "HFD 2.31 px", or why it showed nothing."""
    if not measurement.usable:
        return f"nothing ({measurement.reason})"
    return f"{metric_name(measurement.metric)} {measurement.value:.2f} {measurement.unit}".rstrip()


def one_line(text: str) -> str:
    """Return a text of others as it can stand in a line or a comment: printable, and not too long."""
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 3]}..."
