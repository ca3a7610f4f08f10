"""The manual's figures, and that it loads nothing from elsewhere."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mkdocs.exceptions import PluginError

from tools.manual import hooks
from tools.manual.drawing import INK, Drawing, svg
from tools.manual.hooks import DRAWINGS, on_page_content, on_post_build
from tools.manual.outside import in_html, loads_from_elsewhere

DOCS = Path(__file__).parent.parent.parent.parent / "docs"


def dot(figure: Any) -> None:
    axes = figure.subplots()
    axes.plot([1, 2], [1, 2], color=INK)
    axes.set(xlabel="position, steps")


def test_a_figure_takes_its_colours_from_the_page() -> None:
    drawn = svg("dot", Drawing('A line & "more"', dot))
    assert "#0102" not in drawn
    assert "var(--figure-ink)" in drawn
    assert "position, steps" in drawn
    assert 'aria-label="A line &amp; &quot;more&quot;"' in drawn


def test_figures_of_one_page_do_not_share_names() -> None:
    first, second = (set(re.findall(r' id="([^"]+)"', svg(name, Drawing("A line", dot)))) for name in ("a", "b"))
    assert first
    assert not first & second


def test_a_figure_is_the_same_each_time() -> None:
    assert svg("pair", DRAWINGS["pair"]) == svg("pair", DRAWINGS["pair"])


def test_every_figure_is_shown_and_every_one_shown_is_there() -> None:
    shown = [name for path in DOCS.rglob("*.md") for name in hooks.FIGURE.findall(path.read_text())]
    assert sorted(shown) == sorted(DRAWINGS)


def test_every_figure_has_a_description() -> None:
    assert all(len(drawing.description) > 80 and drawing.description.endswith(".") for drawing in DRAWINGS.values())


def test_a_figure_that_is_not_there_fails_the_build() -> None:
    assert on_page_content("<p>Nothing.</p>") == "<p>Nothing.</p>"
    with pytest.raises(PluginError, match="There is no figure moon"):
        on_page_content("<!-- figure moon -->")


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://cdn.example.org/a.js"></script>',
        '<script src="//cdn.example.org/a.js"></script>',
        '<link rel="stylesheet" href="http://example.org/a.css">',
        '<link rel="preconnect" href="https://fonts.example.org" crossorigin>',
        '<img alt="" src="https://example.org/a.png">',
        '<div style="background: url(https://example.org/a.png)"></div>',
        "<style>@import 'https://example.org/a.css';</style>",
        "<svg><image href='https://example.org/a.png'/></svg>",
    ],
)
def test_what_is_loaded_from_elsewhere_is_found(text: str) -> None:
    assert len(in_html(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        '<a href="https://example.org">A link</a>',
        '<script src="assets/a.js"></script>',
        '<link rel="canonical" href="https://example.org/page/">',
        '<svg xmlns:xlink="http://www.w3.org/1999/xlink"><use xlink:href="#a"/></svg>',
        "<p>url(https://example.org/a.png) in a text</p>",
    ],
)
def test_links_and_texts_are_nothing_loaded(text: str) -> None:
    assert in_html(text) == []


def test_a_site_that_loads_from_elsewhere_is_not_built(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text('<img src="here.png">')
    (tmp_path / "a.css").write_text("p { background: url('here.png') }")
    on_post_build(SimpleNamespace(site_dir=tmp_path))
    (tmp_path / "a.css").write_text("p { background: url('//example.org/a.png') }")
    assert loads_from_elsewhere(tmp_path) == ["a.css: url('//example.org/a.png"]
    with pytest.raises(PluginError, match="would load from elsewhere"):
        on_post_build(SimpleNamespace(site_dir=tmp_path))
