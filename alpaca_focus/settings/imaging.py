"""What the user may set for living together with an imaging program."""

from typing import Literal

from pydantic import Field

from alpaca_focus.settings.section import Section


class Imaging(Section):
    """The imaging program that owns the camera."""

    way: Literal["watch", "gateway", "told"] = Field(
        default="watch",
        description="How its exposures are known: watch, the camera is looked at; gateway, it works through the "
        "Alpaca gateway of this program; told, it calls `alpaca-focus exposure begin` and `alpaca-focus exposure end`",
    )
