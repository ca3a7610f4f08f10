"""Describes settings in a few lines, as the program understands them."""

from alpaca_focus.core.device_kinds import DEVICE_KINDS
from alpaca_focus.settings.interface_models import GuiderSection, MessagesSection, MqttSection, WebSection
from alpaca_focus.settings.models import BacklashSection, DeviceSection, FocusSection, Settings, TelescopeSection
from alpaca_focus.settings.night_models import TriggersSection

MESSAGES = tuple(name for name, field in MessagesSection.model_fields.items() if field.annotation is bool)


def describe(settings: Settings) -> tuple[str, ...]:
    """Return one line a subject: the telescope, each device with its address, the backlash, the focus run."""
    devices: dict[str, DeviceSection | None] = {name: getattr(settings, name) for name in DEVICE_KINDS}
    directory = settings.storage.directory
    return (
        _telescope(settings.telescope),
        *(_device(name, device, settings.alpaca.address) for name, device in devices.items() if device is not None),
        *(() if settings.guider is None else (_guider(settings.guider),)),
        f"imaging program: {_imaging(settings)}",
        _backlash(settings.focuser.backlash),
        _focus(settings.focus),
        f"history: {'none is kept' if directory is None else f'kept in {directory}'}",
        f"triggers: {_triggers(settings.triggers)}",
        f"compensation: {_compensation(settings)}",
        *(() if settings.messages is None else (f"messages: {_messages(settings.messages)}",)),
        *(() if settings.mqtt is None else (f"MQTT: {_mqtt(settings.mqtt)}",)),
        f"dashboard: {_web(settings.web)}",
    )


def describe_zone(settings: Settings) -> str:
    """Return one line on the critical focus zone."""
    step_size_um = settings.focuser.step_size_um
    # The zone does not depend on the pixels.
    train = settings.telescope.train(pixel_size_um=1.0, step_size_um=step_size_um or 1.0)
    steps = "" if step_size_um is None else f" = {train.critical_focus_zone_steps:.0f} steps"
    return f"critical focus zone: {train.critical_focus_zone_um:.0f} um{steps} (4.88 x wavelength x N^2 at 0.55 um)"


def _telescope(telescope: TelescopeSection) -> str:
    ratio = telescope.focal_length_mm / telescope.aperture_mm
    obstruction = f", {telescope.central_obstruction:.0%} obstructed" if telescope.central_obstruction else ""
    return f"{telescope.name}: {telescope.focal_length_mm:g} mm f/{ratio:.1f}{obstruction}"


def _device(name: str, device: DeviceSection, default_address: str) -> str:
    known_by = f", found by its unique id {device.unique_id}" if device.unique_id else ""
    return f"{name.replace('_', ' ')}: number {device.device_number} at {device.address or default_address}{known_by}"


def _guider(guider: GuiderSection) -> str:
    meanwhile = "is paused" if guider.mode == "pause" else "goes on"
    return (
        f"guider: PHD2 at {guider.address}, which {meanwhile} during a run; after it the star has to stay within "
        f"{guider.settle_px:g} px for {guider.settle_s:g} s"
    )


def _imaging(settings: Settings) -> str:
    imaging, gateway = settings.imaging, settings.gateway
    if imaging.way == "gateway":
        others = f" for {', '.join(gateway.allow)} and this computer" if gateway.allow else ""
        return (
            f"through the gateway at {gateway.listen}, port {gateway.port}{others}; an exposure is held back for "
            f"{gateway.patience_s:g} s at most"
        )
    way = "reports its exposures" if imaging.way == "told" else "its camera is watched"
    return way if imaging.folder is None else f"{way}; its frames are read in {imaging.folder}"


def _backlash(backlash: BacklashSection) -> str:
    if backlash.method == "none":
        return "backlash: not compensated"
    return f"backlash: {backlash.method} by {backlash.steps} steps, arriving {backlash.arrive}ward"


def _focus(focus: FocusSection) -> str:
    apart = f"{focus.step_steps} steps apart" if focus.step_steps else "spaced after the optics"
    return (
        f"focus run: {focus.points} points of {focus.exposure_s:g} s, {apart}; at most {focus.max_exposures} exposures "
        f"and {focus.max_duration_s:g} s"
    )


def _triggers(triggers: TriggersSection) -> str:
    parts = (
        triggers.temperature_c is not None and f"a change of {triggers.temperature_c:g} deg C",
        triggers.temperature_zones is not None
        and f"a change of temperature that moves focus by {triggers.temperature_zones:g} critical focus zones",
        triggers.images is not None and f"{triggers.images} images",
        triggers.minutes is not None and f"{triggers.minutes:g} minutes",
        triggers.filter_change != "nothing"
        and ("a filter change" if triggers.filter_change == "refocus" else "a filter without a known offset"),
        triggers.meridian_flip and "a meridian flip",
        triggers.hfd_rise_percent is not None and f"stars {triggers.hfd_rise_percent:g} % larger",
        triggers.altitude_deg is not None and f"{triggers.altitude_deg:g} degrees of altitude",
        triggers.uncertainty_zones is not None
        and f"a probable defocus of {triggers.uncertainty_zones:g} critical focus zones",
    )
    active = [part for part in parts if part]
    return f"a refocus after {', '.join(active)}" if active else "none, only on demand"


def _compensation(settings: Settings) -> str:
    coefficient = settings.focuser.temperature_coefficient_steps_per_c
    if not settings.compensation.enabled:
        return "off"
    return "on" if coefficient is None else f"{coefficient:+g} steps a degree, {settings.compensation.when}"


def _web(web: WebSection | None) -> str:
    if web is None:
        return "none"
    others = f"; {', '.join(web.allow)} may read as well" if web.allow else ""
    secret = " and give commands with the token" if web.allow and (web.token or web.token_file) else ""
    return f"at {web.listen}, port {web.port}{others}{secret}"


def _messages(messages: MessagesSection) -> str:
    # Their URLs are secrets.
    count = len(messages.services)
    where = f"by {count} service{'' if count == 1 else 's'}"
    if messages.services_file is not None:
        where = f"by the services in {messages.services_file}"
    off = [kind.replace("_", " ") for kind in MESSAGES if not messages.is_on(kind)]
    return where + (f"; none of {', '.join(off)}" if off else "")


def _mqtt(mqtt: MqttSection) -> str:
    as_user = "" if mqtt.user is None else f" as {mqtt.user}"
    return f"{mqtt.broker}{as_user}{', encrypted' if mqtt.tls else ''}; topics begin with {mqtt.prefix}"
