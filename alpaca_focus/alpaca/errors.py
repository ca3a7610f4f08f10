"""Alpaca error numbers, and the two kinds of refusal of a request."""

from enum import IntEnum

from typing_extensions import override


class ErrorNumber(IntEnum):
    """Reserved error numbers of the ASCOM Alpaca API Reference, section "Error numbers"."""

    NOT_IMPLEMENTED = 0x400
    INVALID_VALUE = 0x401
    VALUE_NOT_SET = 0x402
    NOT_CONNECTED = 0x407
    PARKED = 0x408
    SLAVED = 0x409
    INVALID_OPERATION = 0x40B
    ACTION_NOT_IMPLEMENTED = 0x40C
    OPERATION_CANCELLED = 0x40E
    UNSPECIFIED = 0x4FF
    DRIVER_BASE = 0x500
    """First of the numbers whose meaning the driver defines, up to `DRIVER_MAX`."""
    DRIVER_MAX = 0xFFF


class AlpacaError(Exception):
    """A device understood the request and refused it: HTTP 200 with an error number and the device's message."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(number, message)
        self.number = number
        self.message = message

    @override
    def __str__(self) -> str:
        return f"{self.message} (Alpaca error 0x{self.number:X})"


class BadRequest(Exception):
    """A malformed request: HTTP 400 with this sentence as plain text."""
