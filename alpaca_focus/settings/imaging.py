"""What the user may set for living together with an imaging program."""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from alpaca_focus.settings.section import Section


class Imaging(Section):
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
