"""What the user may set for the Alpaca gateway."""

from pydantic import Field, ValidationInfo, field_validator

from alpaca_focus.settings.networks import checked_networks
from alpaca_focus.settings.section import Duration, Section

DEFAULT_GATEWAY_PORT = 11112


class Gateway(Section):
    """The Alpaca server that an imaging program connects to instead of the real devices."""

    listen: str = Field(
        default="127.0.0.1",
        min_length=1,
        description='Address to listen on; "0.0.0.0" is every address of this computer, and needs allow',
        examples=["127.0.0.1", "192.168.1.10"],
    )
    port: int = Field(default=DEFAULT_GATEWAY_PORT, ge=1, le=65535, description="Port to listen on")
    allow: list[str] = Field(
        default=[],
        validate_default=True,
        description="Addresses and networks that may connect besides this computer itself; Alpaca has no passwords",
        examples=[["192.168.1.20", "192.168.7.0/24"]],
    )
    discovery: bool = Field(default=True, description="Whether to answer Alpaca's discovery")
    patience_s: Duration = Field(
        default=45.0,
        description="Longest time for which an exposure is held back for a focus run, in seconds; a longer run is "
        "interrupted and goes on in the next gap. N.I.N.A. waits for 60 seconds after the end of an exposure, the "
        "download included",
    )
    idle_s: Duration = Field(
        default=60.0,
        description="After so long without an exposure a focus run does not wait for the next one, in seconds",
    )

    @field_validator("allow")
    @classmethod
    def _check_networks(cls, allow: list[str], info: ValidationInfo) -> list[str]:
        return checked_networks(allow, info.data.get("listen", ""), to_do="connect")
