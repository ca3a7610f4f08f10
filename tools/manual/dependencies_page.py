"""What the daemon is installed with: the libraries of `pyproject.toml`, each with its reason and its weight here."""

import platform
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
LINE = re.compile(r'^    "(?P<requirement>[^"]+)", # (?P<reason>.+)$', re.MULTILINE)
MB = 1e6
INTRODUCTION = """# What it is installed with

The libraries that `alpaca-focus` requires, why, and what they weigh on disk, with all that they alone bring
along. The page is made from `pyproject.toml` and from the environment that the manual is built in ({where}). All of
them have wheels for 64-bit ARM, so that a Raspberry Pi compiles nothing.

| library | version | MB | with what it brings | what for |
| --- | --- | ---: | ---: | --- |
"""


@dataclass(frozen=True, slots=True)
class Library:
    """A required library.

    Attributes:
        name: As `pyproject.toml` has it.
        reason: What for.
        version: That is installed.
        own_mb: What it weighs.
        brought: Names of those that are there for it alone.
        brought_mb: What it weighs with them.
    """

    name: str
    reason: str
    version: str
    own_mb: float
    brought: tuple[str, ...]
    brought_mb: float


def page() -> str:
    """Return the page as Markdown."""
    found = libraries()
    rows = [
        f"| {each.name} | {each.version} | {each.own_mb:.1f} | {each.brought_mb:.1f}"
        f"{_listed(each.brought)} | {each.reason} |"
        for each in sorted(found, key=lambda each: -each.brought_mb)
    ]
    required = [each.name for each in found]
    needed = sorted(_closure(required))
    all_mb = sum(_weight_mb(name) for name in needed)
    return (
        INTRODUCTION.format(where=f"{platform.system()} on {platform.machine()}")
        + "\n".join(rows)
        + f"\n\nTogether {all_mb:.0f} MB in {len(needed)} libraries; what several of them bring is counted in this sum "
        "alone.\n"
    )


def libraries() -> tuple[Library, ...]:
    """Return the libraries of `pyproject.toml`.

    Raises:
        ValueError: One has no reason.
    """
    text = PROJECT.read_text()
    required = tomllib.loads(text)["project"]["dependencies"]
    reasons = {found["requirement"]: found["reason"] for found in LINE.finditer(text)}
    missing = [each for each in required if each not in reasons]
    if missing:
        raise ValueError(f"pyproject.toml gives no reason for {', '.join(missing)}")
    names = [Requirement(each).name for each in required]
    return tuple(
        _library(name, reasons[each], [other for other in names if other != name])
        for name, each in zip(names, required, strict=True)
    )


def _library(name: str, reason: str, others: Sequence[str]) -> Library:
    brought = sorted(_closure([name]) - _closure(others) - {canonicalize_name(name)})
    own_mb = _weight_mb(name)
    return Library(
        name=name,
        reason=reason,
        version=distribution(name).version,
        own_mb=own_mb,
        brought=tuple(brought),
        brought_mb=own_mb + sum(_weight_mb(each) for each in brought),
    )


def _listed(names: Sequence[str]) -> str:
    return f" ({', '.join(names)})" if names else ""


def _closure(names: Sequence[str]) -> set[str]:
    """Return the names with all that they need."""
    found: set[str] = set()
    left = [canonicalize_name(name) for name in names]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += _needs(name)
    return found


@cache
def _needs(name: str) -> tuple[str, ...]:
    found = []
    for text in distribution(name).requires or ():
        needed = Requirement(text)
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        try:
            distribution(needed.name)
        except PackageNotFoundError as error:
            raise ValueError(f"{name} needs {needed.name}, which is not installed") from error
        found.append(canonicalize_name(needed.name))
    return tuple(found)


@cache
def _weight_mb(name: str) -> float:
    """Return what the files of a library weigh on disk, compiled ones included."""
    paths = [Path(str(each.locate())) for each in distribution(name).files or ()]
    return sum(path.stat().st_size for path in paths if path.is_file()) / MB
