"""Looking at the chosen devices: what they say of themselves, for the person and for the settings file."""

from collections.abc import Callable

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.core.found import FoundDevice, FoundFocuser, FoundObservatory, one_line
from alpaca_focus.devices.survey import look_at_camera, look_at_focuser, look_at_mount, look_at_wheel
from alpaca_focus.setting_up.choosing import Chosen
from alpaca_focus.setting_up.servers import tell_notes
from alpaca_focus.settings.first_answers import Answers
from alpaca_focus.settings.first_file import first_file
from alpaca_focus.settings.models import Settings
from alpaca_focus.settings.yaml_file import parse_yaml


async def look_at(chosen: Chosen, tell: Callable[[str], None]) -> FoundObservatory:
    """Read what the chosen devices say of themselves; one that was not connected before is disconnected again.

    Raises:
        ConfigurationError: The focuser is a relative one.
    """
    camera, focuser = await look_at_camera(chosen.camera), await look_at_focuser(chosen.focuser)
    wheel = None if chosen.filter_wheel is None else await look_at_wheel(chosen.filter_wheel)
    mount = None if chosen.mount is None else await look_at_mount(chosen.mount)
    for each in (camera, focuser, wheel, mount):
        if each is not None and each.notes:
            tell(
                f"{each.device.words[:1].upper()}{each.device.words[1:]} goes into the file without some of its facts:"
            )
            tell_notes(tell, each.notes)
    if focuser.absolute is False:
        raise ConfigurationError(
            f"{focuser.device.words} at {focuser.device.server} is a relative focuser: it does not know its position. "
            "Set it to absolute positions in its own server if it can do that, or choose another with --focuser NUMBER."
        )
    _warn(focuser, tell)
    return FoundObservatory(
        server=chosen.server,
        camera=camera,
        focuser=focuser,
        filter_wheel=wheel,
        mount=mount,
        observing_conditions=chosen.observing_conditions,
        safety_monitor=chosen.safety_monitor,
    )


def _warn(focuser: FoundFocuser, tell: Callable[[str], None]) -> None:
    if focuser.compensating:
        tell(
            f"{focuser.device.words} has its own temperature compensation switched on: switch it off in its server, or "
            "two will move it."
        )


def settings_text(found: FoundObservatory, answers: Answers, *, file_name: str, beside_schema: bool) -> str:
    """Return the settings file, which has been read back.

    Raises:
        SettingsError: It would be no valid settings file.
    """
    text = first_file(found, answers, file_name=file_name, beside_schema=beside_schema)
    parse_yaml(text, Settings, source=file_name)
    return text


def found_lines(found: FoundObservatory) -> tuple[str, ...]:
    """Return what was found, one line a device."""
    camera, focuser, wheel, mount = found.camera, found.focuser, found.filter_wheel, found.mount
    size = f"{camera.width_px} x {camera.height_px} pixels" if camera.width_px and camera.height_px else ""
    pixels = f"{camera.pixel_size_um:g} um a pixel" if camera.pixel_size_um else ""
    elsewhere = "" if camera.device.server == found.server else f"at {camera.device.server}"
    travel = f"positions 0 to {focuser.max_step}" if focuser.max_step else ""
    step = f"{focuser.step_size_um:g} um a step" if focuser.step_size_um else ""
    sensor = f"{focuser.temperature_c:.1f} C" if focuser.temperature_c is not None else "no thermometer"
    lines = [_line(camera.device, elsewhere, size, pixels), _line(focuser.device, travel, step, sensor)]
    if wheel is not None:
        lines.append(_line(wheel.device, one_line(", ".join(wheel.filters))))
    if mount is not None:
        optics = f"{mount.focal_length_mm:g} mm, aperture {mount.aperture_mm:g} mm" if mount.focal_length_mm else ""
        site = (
            f"at {mount.latitude_deg:.4g}, {mount.longitude_deg:.4g} degrees" if mount.latitude_deg is not None else ""
        )
        lines.append(_line(mount.device, optics, site))
    lines += [_line(each) for each in (found.observing_conditions, found.safety_monitor) if each is not None]
    return tuple(lines)


def _line(device: FoundDevice, *facts: str) -> str:
    said = ", ".join(filter(None, facts))
    return f"{device.words}: {said}" if said else device.words
