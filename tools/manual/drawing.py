"""Figures that take their colours from the page around them, so that they suit its light and its dark mode."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from io import StringIO
from typing import Any

from alpaca_focus.core.optics import OpticalTrain

INK, FAINT = "#010203", "#010204"
BLUE, ORANGE, GREEN, RED = "#010205", "#010206", "#010207", "#010208"
IN_CSS = {
    INK: "var(--figure-ink)",
    FAINT: "var(--figure-faint)",
    BLUE: "var(--figure-blue)",
    ORANGE: "var(--figure-orange)",
    GREEN: "var(--figure-green)",
    RED: "var(--figure-red)",
}
"""Colours that stand for those of the page's style."""
SEED = 5
"""The same figures each time."""
TRAIN = OpticalTrain(
    focal_length_mm=530, aperture_mm=106, central_obstruction=0.0, pixel_size_um=3.76, step_size_um=1.0
)
"""The telescope that most figures are about."""
WIDTH_INCH, HEIGHT_INCH = 7.2, 3.5
STYLE: Any = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": "none",
    "legend.frameon": False,
    "lines.linewidth": 1.8,
}


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure of the manual.

    Attributes:
        description: What it shows, for readers who cannot see it.
        draw: Draws it; is given a matplotlib figure.
        height_inch: Its height.
    """

    description: str
    draw: Callable[[Any], None]
    height_inch: float = HEIGHT_INCH


def svg(name: str, drawing: Drawing) -> str:
    """Return a figure as an element that can stand in a page.

    Args:
        name: Keeps what it defines apart from what other figures of the page define.
        drawing: What to draw.
    """
    # Slow to import, and of no use where no figure is drawn.
    import matplotlib as mpl  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    with mpl.rc_context(STYLE | {"svg.hashsalt": name}):
        figure = Figure(figsize=(WIDTH_INCH, drawing.height_inch), layout="constrained")
        drawing.draw(figure)
        file = StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _for_a_page(file.getvalue(), drawing.description)


def _for_a_page(text: str, description: str) -> str:
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", text)
    for colour, name in IN_CSS.items():
        text = text.replace(colour, name)
    head, rest = text.split(">", 1)
    view = re.search(r'viewBox="[^"]*"', head)
    assert view is not None  # noqa: S101 - matplotlib always writes one
    rest = re.sub(r"\n\s*", "\n", rest)
    return f'<svg {view.group()} role="img" aria-label="{escape(description)}" xmlns:xlink="http://www.w3.org/1999/xlink">{rest}'
