"""How metrics and their values are written for a person."""

from alpaca_focus.core.values import Measurement

ABBREVIATIONS = frozenset({"hfd", "hfr", "fwhm", "nsig"})


def metric_name(metric: str) -> str:
    """Return the name of a metric as the field writes it, for example "HFD" or "spectrum FWHM"."""
    return " ".join(word.upper() if word in ABBREVIATIONS else word for word in metric.split("_"))


def told(measurement: Measurement) -> str:
    """Say what a frame showed, for example "HFD 2.31 px", or why it showed nothing."""
    if not measurement.usable:
        return f"nothing ({measurement.reason})"
    return f"{metric_name(measurement.metric)} {measurement.value:.2f} {measurement.unit}".rstrip()
