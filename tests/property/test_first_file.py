"""Whatever devices are called and whatever is answered: the first settings file says just that."""

from dataclasses import fields
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from alpaca_focus.core.device_kinds import (
    DEVICE_KINDS,
    DiscoveredCamera,
    DiscoveredDevice,
    DiscoveredFacts,
    DiscoveredFocuser,
    DiscoveredMount,
    DiscoveredWheel,
)
from alpaca_focus.core.discovered import DiscoveredObservatory
from alpaca_focus.settings.loader import parse_yaml
from alpaca_focus.settings.models import Settings
from alpaca_focus.settings.section import HIGHEST_POSITION
from alpaca_focus.settings.yaml_tree import read_tree
from alpaca_focus.settings.yaml_values import read_document
from alpaca_focus.setup.first_devices import WAYS, Answers, ImagingWay
from alpaca_focus.setup.first_file import first_file
from tests.discovered import observatory

TRAPS = [
    *("yes", "no", "on", "Off", "null", "~", "22:30", "010", "1e3", "0x1F", "1_000", ".inf", ".nan", "2026-01-01", "="),
    *(
        "a: b",
        "a #b",
        "'",
        '"',
        "\\",
        "- x",
        "? x",
        "!x",
        "&a",
        "*a",
        "%YAML",
        "---",
        "...",
        "<<",
        "{",
        "[]",
        ", ",
        "@",
    ),
    *("\n", "\r\n", "\t", "\x00", "\x1b[2J", "\x85", "\u2028", "\ufeff", "\U0001f52d", "é", "x\n  y: 1", "# a\nb: 2"),
]
# Half characters cannot be written in UTF-8 at all; they are tested apart.
WORDS = st.lists(st.sampled_from(TRAPS) | st.text(max_size=8), min_size=1, max_size=5).map("".join).filter(bool)
# The home folder of an unknown user is refused.
FOLDERS = WORDS.filter(lambda text: not text.startswith("~") or text[1:2] in {"", "/"})
WILD = WORDS | st.text(st.characters(), max_size=200)
SERVERS = st.sampled_from(["127.0.0.1:11111", "observatory.local:80", "[2001:db8::1]:11111"])
POSITIVE = st.floats(1e-3, 999.0, allow_nan=False)


def devices(kind: str) -> st.SearchStrategy[DiscoveredDevice]:
    return st.builds(
        DiscoveredDevice,
        kind=st.just(kind),
        number=st.integers(0, 2**32 - 1),
        name=WILD,
        unique_id=WILD | st.just(""),
        server=SERVERS,
    )


@st.composite
def observatories(draw: st.DrawFn) -> DiscoveredObservatory:
    camera = st.builds(
        DiscoveredCamera,
        device=devices("camera"),
        pixel_size_um=st.none() | POSITIVE,
        width_px=st.none() | st.integers(1, 20_000),
        height_px=st.none() | st.integers(1, 20_000),
        sensor=WILD,
    )
    focuser = st.builds(
        DiscoveredFocuser,
        device=devices("focuser"),
        max_step=st.none() | st.integers(1, 2 * HIGHEST_POSITION),
        step_size_um=st.none() | POSITIVE,
        temperature_c=st.none() | st.floats(-60, 60),
    )
    optional: list[st.SearchStrategy[DiscoveredFacts]] = [
        st.builds(DiscoveredWheel, device=devices("filterwheel"), filters=st.lists(WILD, max_size=9).map(tuple)),
        st.builds(
            DiscoveredMount,
            device=devices("telescope"),
            latitude_deg=st.none() | st.floats(-90, 90),
            longitude_deg=st.floats(-180, 180),
        ),
        st.builds(DiscoveredFacts, device=devices("observingconditions")),
        st.builds(DiscoveredFacts, device=devices("safetymonitor")),
    ]
    others = [draw(each) for each in optional if draw(st.booleans())]
    return observatory(draw(camera), draw(focuser), *others, server=draw(SERVERS))


@st.composite
def answers(draw: st.DrawFn) -> Answers:
    aperture_mm = draw(st.floats(1.0, 2_000.0))
    way: ImagingWay = draw(st.sampled_from(WAYS))  # type: ignore[arg-type]
    return Answers(
        name=draw(WORDS.filter(lambda name: len(name) <= 100)),
        focal_length_mm=aperture_mm * draw(st.floats(1.1, 39.0)),
        aperture_mm=aperture_mm,
        central_obstruction=draw(st.floats(0.0, 0.7)),
        pixel_size_um=draw(st.none() | POSITIVE),
        step_size_um=draw(st.none() | POSITIVE),
        backlash_steps=draw(st.integers(0, HIGHEST_POSITION)),
        exposure_s=draw(st.floats(1e-6, 600.0)),
        way=way,
        directory=draw(FOLDERS),
    )


def address_of(server: str, device: DiscoveredDevice) -> str | None:
    return None if device.server == server else device.server


@given(observatories(), answers(), WILD, st.booleans())
def test_a_first_file_says_what_was_found_and_answered(
    found: DiscoveredObservatory, said: Answers, file_name: str, beside_schema: bool
) -> None:
    text = first_file(found, said, file_name=file_name, beside_schema=beside_schema)
    settings = parse_yaml(text.encode().decode(), Settings, source="x")
    root = read_tree(text)
    assert root is not None
    data = read_document(root).data
    assert isinstance(data, dict)
    assert settings.storage.folder == Path(said.directory).expanduser()
    read = {
        "name": settings.telescope.name,
        "focal_length_mm": settings.telescope.focal_length_mm,
        "aperture_mm": settings.telescope.aperture_mm,
        "central_obstruction": settings.telescope.central_obstruction,
        "pixel_size_um": settings.camera.pixel_size_um,
        "step_size_um": settings.focuser.step_size_um,
        "backlash_steps": settings.focuser.backlash.steps,
        "exposure_s": settings.focus.exposure_s,
        "way": said.way if said.way == "none" else settings.imaging.way,
        "directory": data["storage"]["directory"],
    }
    assert read == {each.name: getattr(said, each.name) for each in fields(Answers)}
    assert settings.alpaca.address == found.server
    for section in DEVICE_KINDS:
        device = found.devices[section].device if section in found.devices else None
        there = getattr(settings, section)
        assert (there is None) == (device is None)
        if device is not None:
            assert (there.device_number, there.unique_id) == (device.number, None)
            assert there.address == address_of(found.server, device)
    assert set(data) <= {
        *DEVICE_KINDS,
        "telescope",
        "alpaca",
        "storage",
        "imaging",
        "focus",
        "site",
        "thermometer",
        "triggers",
    }


@given(answers(), st.text(st.characters(categories=["Cs"]), min_size=1, max_size=3))
def test_half_a_character_is_replaced(said: Answers, half: str) -> None:
    device = DiscoveredDevice(kind="camera", number=0, name=half, unique_id=half, server="127.0.0.1:1")
    devices = {"camera": DiscoveredCamera(device=device), "focuser": DiscoveredFocuser(device=device)}
    found = DiscoveredObservatory(server="127.0.0.1:1", devices=devices)
    telling = Answers(**{each.name: getattr(said, each.name) for each in fields(Answers)} | {"name": half})
    text = first_file(found, telling, file_name=half, beside_schema=False)
    settings = parse_yaml(text.encode().decode(), Settings, source="x")
    assert settings.telescope.name == "\ufffd" * len(half)
