"""Quirks, the deviations of real Alpaca servers from the standard, and personalities, servers with several quirks.

The interceptor changes requests and replies; the other quirks are in the simulated devices.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

QUIRKS: Mapping[str, str] = MappingProxyType(
    {
        # Images
        "content-length-without-header": "Content-Length of an image leaves out the 44 bytes of its header.",
        "image-errors-as-raw-bytes": "An error instead of an image is sent as bare text.",
        "image-error-number-zero": "An error instead of an image has error number 0.",
        "json-images-only": "Images are JSON, whatever the client requests.",
        "imagebytes-unasked": "Images are ImageBytes, whatever the client requests.",
        "int32-for-everything": "Images are sent as Int32, twice as long as needed.",
        "header-from-present-numx": "The image's header has the present NumX and NumY, not the frame's.",
        "transaction-zero": "Transaction numbers are always 0.",
        "byte-frames": "Frames have 8 bits.",
        "three-planes": "Frames have three planes, as those of some colour cameras.",
        "planes-in-wrong-order": "Frames have three planes, and the planes come first.",
        "readout-mode-changes-size": "The fast read-out mode halves the frame's width and height.",
        "same-frame-twice": "The first download after an exposure returns the previous frame.",
        "clipped-at-bias": "Pixels are clipped at the bias, so that half of them are equal.",
        # Camera
        "image-ready-stale": "ImageReady and CameraState are those of the previous frame for 0.2 s.",
        "idle-before-ready": "The state is Idle for 1.4 s before ImageReady becomes true.",
        "state-stays-download": "The state stays at Download after a frame.",
        "second-exposure-accepted": "A second StartExposure is accepted in silence and ends the first.",
        "ghost-frame-after-abort": "Seconds after an abort a frame becomes ready.",
        "zero-exposure-error": "An exposure of 0 s leaves the state Error until it is aborted.",
        "startx-ignored": "StartX stays 0.",
        "subframe-race": "Setting NumY sets NumX to the whole width again.",
        "binning-applied-twice": "NumX and NumY are divided by the binning when it is set.",
        "gain-reads-off-by-one": "Gain reads one less than was set.",
        "no-abort": "Exposures cannot be aborted.",
        # Focuser
        "focuser-slow-start": "The first motion comes after 0.5 s, then 10 steps a second.",
        "is-moving-never": "IsMoving is never true.",
        "is-moving-stuck": "IsMoving stays true after the first move.",
        "beyond-limits-accepted": "Moves below 0 and beyond MaxStep are accepted.",
        "beyond-limits-refused": "Moves below 0 and beyond MaxStep are an error, instead of ending at the end.",
        "max-step-20-million": "MaxStep is 20 million.",
        "no-halt": "Halt is not implemented.",
        "no-step-size": "StepSize is not implemented.",
        "no-temperature": "Temperature is not implemented.",
        "no-temp-comp": "TempComp is not implemented.",
        "stops-short": "Every move ends a few steps short.",
        # Wheel
        "filter-offsets-unsigned": "Negative focus offsets are sent as unsigned 32 bit numbers.",
        "wheel-position-never-minus-one": "Position is that of the target while the wheel turns.",
        # Mount
        "pier-side-reversed": "SideOfPier reports the opposite side.",
        "pier-side-constant": "SideOfPier is always east.",
        "pier-side-unknown": "SideOfPier is always unknown.",
        "destination-side-missing": "DestinationSideOfPier is not implemented.",
        "at-park-late": "AtPark becomes true 8 s late.",
        "slewing-false-during-slew": "Slewing is never true.",
        # Protocol
        "no-management": "There is no management API.",
        "no-discovery": "Discovery is not answered.",
        "unknown-device-as-200": "A missing device is an Alpaca error in a reply with HTTP status 200.",
        "unknown-device-as-404": "A missing device is HTTP status 404.",
        "http-422": "Bad parameters are HTTP status 422.",
        "no-error-number": "Replies without an error have no ErrorNumber and no ErrorMessage.",
        "numbers-unique-across-types": "Devices are numbered through, so that the focuser is number 1.",
        "numbers-change": "Devices have other numbers after each start.",
        "parameters-in-query": "A PUT takes its parameters from the query, not from the form.",
        "slow-first-reply": "The first reply of each device takes 2 s.",
    }
)


@dataclass(frozen=True, slots=True)
class Personality:
    """A server with several quirks."""

    sentence: str
    quirks: tuple[str, ...]


PERSONALITIES: Mapping[str, Personality] = MappingProxyType(
    {
        "indigo-like": Personality(
            "A bus with an Alpaca service on top: states lag, images claim the wrong length.",
            ("content-length-without-header", "image-ready-stale", "no-step-size", "filter-offsets-unsigned"),
        ),
        "indi-like": Personality(
            "A bridge to another protocol: setters race, some members are missing.",
            ("subframe-race", "idle-before-ready", "no-halt", "pier-side-unknown", "unknown-device-as-404"),
        ),
        "alpacapi-like": Personality(
            "A server in C on a small computer: images as JSON, states that stay.",
            ("json-images-only", "state-stays-download", "gain-reads-off-by-one", "transaction-zero"),
        ),
        "python-minimal": Personality(
            "A small Python server: no management, no discovery, bare replies.",
            ("no-management", "no-discovery", "no-error-number", "http-422", "no-temperature", "no-temp-comp"),
        ),
        "python-lazy": Personality(
            "A Python server that waits and repeats itself.",
            ("slow-first-reply", "same-frame-twice", "is-moving-never", "wheel-position-never-minus-one"),
        ),
    }
)


def active_quirks(personality: str | None, quirks: Iterable[str]) -> frozenset[str]:
    """Return the names of all active quirks.

    Raises:
        ValueError: A personality or quirk is unknown.
    """
    names = set(quirks)
    if personality is not None:
        _check("personality", personality, PERSONALITIES)
        names.update(PERSONALITIES[personality].quirks)
    for name in names:
        _check("quirk", name, QUIRKS)
    return frozenset(names)


def _check(what: str, name: str, known: Mapping[str, object]) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
        raise ValueError(f"there is no {what} {name!r}; {hint}")
