"""One tree of errors, split by what the caller should do about them.

Every message is a whole sentence for a person: what happened, to which device, what to do.

    AlpacaFocusError
      ConfigurationError        a person must change a setting or a cable; trying again does not help
        RunsAlready             another alpaca-focus has the devices and the storage.directory: ask or stop that one
      DeviceError               a device; `device` names it
        DeviceUnreachable       no answer in time or no connection: may come back, reconnect and try again later
          DeviceTimeout         the deadline of the call has passed
        DeviceRefused           the device answered with an error: the same request will fail again
          NotSupported          the device does not implement this (Alpaca 0x400, 0x40C)
          NotConnected          the device is not connected to its hardware (Alpaca 0x407)
          InvalidValue          a value out of the device's range (Alpaca 0x401)
          CameraTaken           another program exposes with the camera: wait for its next gap
        DeviceMisbehaved        the answer makes no sense or the device did not do what it said
      RunFailed                 a focus run cannot go on (clouds, bad curve, limits): restore and say why
      RunAborted                somebody or something asked the run to stop: restore
      FileUnreadable            a file holds no image that can be read: leave it out and go on with the others
      StorageTrouble            the history cannot be read or written: go on without it and say so
      DaemonNotRunning          no daemon runs with this storage.directory: start it
      DaemonUnresponsive        the daemon runs and gives no answer that can be used: look into its log
"""


class AlpacaFocusError(Exception):
    """Anything that this program raises on purpose."""


class ConfigurationError(AlpacaFocusError):
    """A person must change a setting, an address or a cable first."""


class RunsAlready(ConfigurationError):
    """Another alpaca-focus runs with the same storage.directory."""


class DeviceError(AlpacaFocusError):
    """A device failed; `device` names it as the user knows it."""

    def __init__(self, device: str, message: str) -> None:
        super().__init__(message)
        self.device = device


class DeviceUnreachable(DeviceError):
    """No answer: refused, dropped or silent. It may come back."""


class DeviceTimeout(DeviceUnreachable):
    """The deadline of the call has passed."""


class DeviceRefused(DeviceError):
    """The device answered with an Alpaca error.

    Attributes:
        number: The Alpaca error number, or the HTTP status of a refused request.
        device_message: What the device itself said.
    """

    def __init__(self, device: str, message: str, *, number: int, device_message: str) -> None:
        super().__init__(device, message)
        self.number = number
        self.device_message = device_message


class NotSupported(DeviceRefused):
    """The device does not implement what was asked."""


class NotConnected(DeviceRefused):
    """The device is not connected to its hardware."""


class InvalidValue(DeviceRefused):
    """The device takes no such value."""


class CameraTaken(DeviceRefused):
    """The camera is busy with an exposure of another program."""


class DeviceMisbehaved(DeviceError):
    """The device's answer makes no sense, or it did not do what it claimed."""


class RunFailed(AlpacaFocusError):
    """The focus run cannot go on; the runner restores the start."""


class RunAborted(AlpacaFocusError):
    """The focus run was asked to stop; the runner restores the start."""


class FileUnreadable(AlpacaFocusError):
    """A file holds no image that can be read; the message names the file."""


class StorageTrouble(AlpacaFocusError):
    """The history of runs cannot be read or written; no run fails for that."""


class DaemonNotRunning(AlpacaFocusError):
    """No daemon runs that a command could be given to; the message says how to start it."""


class DaemonUnresponsive(AlpacaFocusError):
    """The daemon did not answer a command in time, or not in a way that makes sense; it may have carried it out."""
