"""The frames that were measured while a folder is watched, and the curves in them."""

from alpaca_focus.files.best_focus import Curve
from alpaca_focus.files.curves import Row, curves_of_rows

LATEST_FRAMES = 40
"""Earlier frames take no part: in a night of many they tell of another temperature, and no longer of focus now."""


class Collected:
    """The measured frames by name: a frame that is written again takes the place of itself."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}

    def add(self, name: str, row: Row) -> None:
        """Take a frame's row, as `FileReport.as_dict` gives it; without a position it is of no use here."""
        self._rows.pop(name, None)
        if row.get("position") is not None:
            self._rows[name] = {**row, "file": name}

    def curves(self) -> tuple[Curve, ...]:
        """Return the curves of the latest frames that were measured as the last one was; none without a value."""
        usable = [row for row in self._rows.values() if row.get("usable")]
        if not usable:
            return ()
        kind = usable[-1].get("metric")
        latest = [row for row in usable if row.get("metric") == kind][-LATEST_FRAMES:]
        curves = curves_of_rows(latest, source="The frames")
        return tuple(curve for curve in curves if any(sample.measurement.usable for sample in curve.samples))
