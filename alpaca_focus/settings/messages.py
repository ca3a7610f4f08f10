"""What the user may set for messages to people."""

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from alpaca_focus.settings.section import Duration, Section


class Messages(Section):
    """Messages to people, by services that Apprise speaks."""

    services: list[SecretStr] = Field(
        default=[],
        description="Apprise URLs of the services; the documentation of Apprise lists them. They hold secrets: "
        "services_file keeps them out of this file",
        examples=[["ntfy://topic", "mailto://user:password@example.org"]],
    )
    services_file: str | None = Field(
        default=None,
        min_length=1,
        description="File with one Apprise URL a line, in place of services; lines with # are comments",
    )
    focus_failed: bool = Field(default=True, description="Whether a refocus that failed is told")
    degraded: bool = Field(
        default=True, description="Whether a doubtful focus is told, or a refocus undone because stars became worse"
    )
    sensor_lost: bool = Field(default=True, description="Whether it is told that the temperature is lost")
    device_lost: bool = Field(default=True, description="Whether it is told that a device does not answer at night")
    device_back: bool = Field(default=True, description="Whether it is told that it answers again")
    focuser_stranded: bool = Field(
        default=True, description="Whether it is told that the focuser could not be brought back"
    )
    night_report: bool = Field(default=True, description="Whether the report of the night is sent")
    repeat_s: Duration = Field(
        default=3600.0, description="Least time between two messages of one kind about one device, in seconds"
    )

    @field_validator("services", mode="before")
    @classmethod
    def _check_list(cls, services: object) -> object:
        # What is wrong is not quoted here: it holds secrets.
        if not isinstance(services, list) or not all(isinstance(each, str) for each in services):
            raise ValueError("write a list of Apprise URLs, each behind a dash and in quotes")
        return services

    @field_validator("services")
    @classmethod
    def _check_urls(cls, services: list[SecretStr]) -> list[SecretStr]:
        for number, each in enumerate(services, start=1):
            if "://" not in each.get_secret_value():
                raise ValueError(f"number {number} is no Apprise URL: one begins with the service's name and ://")
        return services

    @field_validator("services_file")
    @classmethod
    def _check_one(cls, services_file: str | None, info: ValidationInfo) -> str | None:
        if services_file is not None and info.data.get("services"):
            raise ValueError("there are services already: give either services or services_file")
        return services_file

    def is_on(self, kind: str) -> bool:
        """Tell whether notices of a kind are sent."""
        return bool(getattr(self, kind, False))
