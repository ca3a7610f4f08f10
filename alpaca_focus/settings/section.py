"""What all sections of the settings have in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

HIGHEST_POSITION = 2_147_483_647
"""Alpaca sends positions as signed 32-bit numbers."""

Duration = Annotated[float, Field(gt=0, le=86_400)]
Steps = Annotated[int, Field(ge=0, le=HIGHEST_POSITION)]


class Section(BaseModel):
    """Strict, frozen, nothing unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
