"""One tree of errors, split by what the caller should do about them.

Every message is a sentence for a person: what happened, to which device, and what to do.

    AlpacaFocusError
      ConfigurationError        a person must change a setting or a cable; trying again does not help
        AlreadyRunning          another alpaca-focus has the devices and the storage.directory: use or stop that one
      DeviceError               a device; `device` names it
        DeviceUnreachable       no answer in time or no connection: may come back, reconnect and try again later
          DeviceTimeout         the deadline of the call has passed
        DeviceRefused           the device answered with an error: the same request will fail again
          NotSupported          the device does not implement this (Alpaca 0x400, 0x40C)
          NotConnected          the device is not connected to its hardware (Alpaca 0x407)
          InvalidValue          a value out of the device's range (Alpaca 0x401)
          CameraTaken           another program exposes with the camera: wait for its next gap
        DeviceMisbehaved        the answer makes no sense, or the device did not do what it confirmed
          FrameLost             the camera sent no frame of the exposure: expose again, once
      RunFailed                 a focus run cannot go on (clouds, bad curve, limits): restore and report the reason
      RunAborted                the run was requested to stop: restore
      FileUnreadable            a file holds no readable image: skip it and go on with the others
      StorageError              the history cannot be read or written: go on without it and log it
      DaemonNotRunning          no daemon runs with this storage.directory: start it
      DaemonUnresponsive        the daemon runs and gives no usable answer: read its log
"""


class AlpacaFocusError(Exception):
    """Base class of all errors that this program raises on purpose."""


class ConfigurationError(AlpacaFocusError):
    """A person must change a setting, an address or a cable first."""


class AlreadyRunning(ConfigurationError):
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
        number: Alpaca error number, or HTTP status of a refused request; 0 if there is neither.
    """

    def __init__(self, device: str, message: str, *, number: int = 0) -> None:
        super().__init__(device, message)
        self.number = number


class NotSupported(DeviceRefused):
    """The device does not implement the request."""


class NotConnected(DeviceRefused):
    """The device is not connected to its hardware."""


class InvalidValue(DeviceRefused):
    """The value is out of the device's range."""


class CameraTaken(DeviceRefused):
    """Another program is exposing with the camera."""


class DeviceMisbehaved(DeviceError):
    """The device's answer makes no sense, or it did not do what it confirmed."""


class FrameLost(DeviceMisbehaved):
    """The camera did not send the frame of an exposure; another exposure may help."""


class RunFailed(AlpacaFocusError):
    """The focus run cannot go on; the runner restores the start."""


class RunAborted(AlpacaFocusError):
    """The focus run was requested to stop; the runner restores the start."""


class FileUnreadable(AlpacaFocusError):
    """A file holds no readable image; the message names the file."""


class StorageError(AlpacaFocusError):
    """The history of runs cannot be read or written, which fails no run."""


class DaemonNotRunning(AlpacaFocusError):
    """There is no daemon to send a command to; the message explains how to start one."""


class DaemonUnresponsive(AlpacaFocusError):
    """The daemon did not answer a command in time or sensibly; it may have carried it out."""
