"""Opens and closes the gateway as the settings require."""

from functools import partial
from ipaddress import ip_network
from typing import Self

from alpaca_focus import __version__
from alpaca_focus.alpaca.running import ServerStartError
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.core.device_kinds import DEVICE_KINDS
from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.core.metrics import METRICS, MetricKind
from alpaca_focus.daemon.engine_link import EngineLink
from alpaca_focus.gateway.service import Gateway, GatewaySettings, RealDevice
from alpaca_focus.ports import Clock
from alpaca_focus.run.camera_marker import camera_marker
from alpaca_focus.run.device_adapters import address_of
from alpaca_focus.run.restore_marker import is_set
from alpaca_focus.service.control_server import Handler
from alpaca_focus.settings.models import Settings


class DaemonGateway:
    """Keeps the gateway open across reloads of the settings, unless its own settings change.

    A context manager; construct it in the daemon's event loop.

    Attributes:
        gateway: `None`: the settings switch no gateway on, or it could not listen.
    """

    def __init__(self, answer: Handler, clock: Clock) -> None:
        self.link = EngineLink(answer)
        self._clock = clock
        self._wanted: tuple[GatewaySettings, tuple[RealDevice, ...]] | None = None
        self.gateway: Gateway | None = None

    def __enter__(self) -> Self:
        """Return this link; `follow` opens the gateway."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the gateway."""
        self._close()
        self.link.close()

    def follow(self, settings: Settings) -> None:
        """Open, close or keep the gateway, as the settings require.

        Raises:
            ConfigurationError: The gateway cannot listen at the address that is set.
        """
        self.link.measures_stars = METRICS[settings.focus.metric].kind is MetricKind.STARS
        self.link.is_focuser_away = partial(is_set, settings.storage.folder)
        wanted = gateway_settings(settings) if settings.imaging.way == "gateway" else None
        if wanted == self._wanted:
            return
        self._close()
        if wanted is None:
            return
        how, devices = wanted
        gateway = Gateway(devices, self.link, self._clock, how, camera_marker(settings))
        try:
            gateway.open()
        except ServerStartError as error:
            raise ConfigurationError(f"{error.strerror} Check gateway.listen and gateway.port.") from error
        self.gateway, self._wanted = gateway, wanted

    def _close(self) -> None:
        if self.gateway is not None:
            self.gateway.close()
        self.gateway, self._wanted = None, None


def gateway_settings(settings: Settings) -> tuple[GatewaySettings, tuple[RealDevice, ...]]:
    """Return the gateway's settings and the real devices behind it."""
    wanted = settings.gateway
    return (
        GatewaySettings(
            listen=wanted.listen,
            port=wanted.port,
            allowed=tuple(ip_network(each, strict=False) for each in ("127.0.0.0/8", "::1/128", *wanted.allow)),
            discovery=wanted.discovery,
            patience_s=wanted.patience_s,
            idle_s=wanted.idle_s,
            least_image_s=settings.night.least_image_s,
            any_case=wanted.any_case,
            location=settings.telescope.name,
            version=__version__,
        ),
        tuple(
            RealDevice(
                device_type=DeviceType(kind.alpaca_type),
                authority=address.authority,
                device_number=address.device_number,
                unique_id=address.unique_id or "",
            )
            for kind in DEVICE_KINDS.values()
            if kind.has_virtual_device and (section := getattr(settings, kind.section)) is not None
            for address in (address_of(section, settings),)
        ),
    )
