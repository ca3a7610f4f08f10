"""What a built site loads from elsewhere: nothing, or it would not be whole without a network."""

import re
from html.parser import HTMLParser
from pathlib import Path

from typing_extensions import override

LOADED_BY = {
    "script": ("src",),
    "img": ("src", "srcset"),
    "iframe": ("src",),
    "source": ("src", "srcset"),
    "video": ("src", "poster"),
    "audio": ("src",),
    "embed": ("src",),
    "object": ("data",),
    "image": ("href", "xlink:href"),
    "use": ("href", "xlink:href"),
    "link": ("href",),
    "input": ("src",),
    "form": ("action",),
}
"""Attributes whose address a browser requests by itself."""
LOADED_LINKS = frozenset({"stylesheet", "icon", "preconnect", "preload", "prefetch", "dns-prefetch", "modulepreload"})
ELSEWHERE = re.compile(r"\s*(?:https?:)?//", re.IGNORECASE)
IN_STYLES = re.compile(r"(?:url\(|@import)\s*['\"]?\s*(?:https?:)?//[^)'\"\s]*", re.IGNORECASE)


def loads_from_elsewhere(folder: Path) -> list[str]:
    """Return one line for each file and address that a browser would load from another computer; links do not count."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".html":
            found += [f"{path.relative_to(folder)}: {each}" for each in in_html(path.read_text())]
        elif path.suffix in {".css", ".svg"}:
            found += [f"{path.relative_to(folder)}: {each}" for each in IN_STYLES.findall(path.read_text())]
    return found


def in_html(text: str) -> list[str]:
    """Return the addresses of elsewhere that a page loads."""
    reader = _Reader()
    reader.feed(text)
    return reader.found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._in_style = False

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_style = tag == "style"
        given = {name: value or "" for name, value in attrs}
        self.found += IN_STYLES.findall(given.get("style", ""))
        if tag == "link" and LOADED_LINKS.isdisjoint(given.get("rel", "").split()):
            return
        self.found += [given[name] for name in LOADED_BY.get(tag, ()) if ELSEWHERE.match(given.get(name, ""))]

    @override
    def handle_endtag(self, tag: str) -> None:
        self._in_style = False

    @override
    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.found += IN_STYLES.findall(data)
