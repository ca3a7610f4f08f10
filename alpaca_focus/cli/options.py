"""Options that many commands have."""

from pathlib import Path
from typing import Annotated

import typer

ConfigOption = Annotated[Path, typer.Option("--config", "-c", metavar="FILE", help="The settings, a YAML file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
