"""What MkDocs calls while it builds the manual."""

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent.parent
if str(ROOT) not in sys.path:
    # The command `mkdocs` does not import from the present folder.
    sys.path.insert(0, str(ROOT))

from tools.manual import (  # noqa: E402 - not before the path
    commands_page,
    curve_figures,
    dependencies_page,
    machines_page,
    night_figures,
    settings_page,
    words_page,
)
from tools.manual.drawing import svg  # noqa: E402
from tools.manual.outside import loads_from_elsewhere  # noqa: E402

PAGES: Mapping[str, Callable[[], str]] = MappingProxyType(
    {
        "reference/settings.md": settings_page.page,
        "reference/commands.md": commands_page.page,
        "reference/rest-api.md": machines_page.api_page,
        "reference/metrics.md": machines_page.metrics_page,
        "reference/words.md": words_page.page,
        "reference/dependencies.md": dependencies_page.page,
        "changes.md": (ROOT / "CHANGELOG.md").read_text,
    }
)
DRAWINGS = {**curve_figures.DRAWINGS, **night_figures.DRAWINGS}
FIGURE = re.compile(r"<!-- figure (\w+) -->")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made from the program."""
    for path, text in PAGES.items():
        files.append(File.generated(config, path, content=text()))
    return files


def on_page_content(html: str, **_: object) -> str:
    """Put the figures where the pages want them."""
    return FIGURE.sub(
        lambda found: f'<figure class="drawn" data-search-exclude>{_figure(found.group(1))}</figure>', html
    )


def on_post_build(config: Any) -> None:
    """Check that no page loads anything from elsewhere: it is read in observatories without a network."""
    found = loads_from_elsewhere(Path(config.site_dir))
    if found:
        raise PluginError("The manual would load from elsewhere:\n" + "\n".join(found))


def _figure(name: str) -> str:
    if name not in DRAWINGS:
        raise PluginError(f"There is no figure {name}. There are {', '.join(DRAWINGS)}.")
    return svg(name, DRAWINGS[name])
