"""What the user may set for the guider."""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from alpaca_focus.settings.address import checked_address
from alpaca_focus.settings.section import Duration, Section

DEFAULT_GUIDER_ADDRESS = "127.0.0.1:4400"


class Guider(Section):
    """PHD2, and what it does during a focus run."""

    address: str = Field(
        default=DEFAULT_GUIDER_ADDRESS,
        description='Host name or IP address and port of PHD2\'s server, "host:port"; IPv6 as "[::1]:4400"',
        examples=[DEFAULT_GUIDER_ADDRESS, "observatory.local:4400"],
    )
    mode: Literal["pause", "wait"] = Field(
        default="pause",
        description="pause: guiding is paused during a focus run; wait: it goes on; either way the run ends when the "
        "guide star is steady again",
    )
    settle_px: float = Field(
        default=1.5,
        gt=0,
        le=50,
        description="Distance within which the guide star is steady, in pixels of the guide camera",
    )
    settle_s: Duration = Field(default=8.0, description="Time for which it has to stay within, in seconds")
    timeout_s: Duration = Field(
        default=60.0,
        description="Longest wait for the star to be steady, or for a calibration to end, in seconds; at least twice "
        "settle_s",
    )

    @field_validator("address")
    @classmethod
    def _check_address(cls, address: str) -> str:
        return checked_address(address, DEFAULT_GUIDER_ADDRESS)

    @field_validator("timeout_s")
    @classmethod
    def _check_timeout(cls, timeout_s: float, info: ValidationInfo) -> float:
        settle_s = info.data.get("settle_s", 0.0)
        if timeout_s < 2 * settle_s:
            raise ValueError(
                f"{timeout_s:g} is too small: the star needs time to become steady, and then {settle_s:g} s of settle_s"
            )
        return timeout_s
