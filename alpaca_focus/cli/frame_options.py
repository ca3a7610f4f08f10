"""How `fit` and `watch` measure frames: the same options, under the same names as those of `measure`."""

from typing import Annotated

import typer

from alpaca_focus.files.file_report import Kind
from alpaca_focus.imaging.spectrum import TraceAxis

MetricOption = Annotated[Kind, typer.Option(help="What to measure; auto tells spectra from stars.")]
FirstOption = Annotated[
    int | None, typer.Option("--x0", help="First column of a spectrum's slice; a row if it is vertical.")
]
EndOption = Annotated[int | None, typer.Option("--x1", help="Column after the last one of the slice.")]
AxisOption = Annotated[TraceAxis, typer.Option(help="Which way a spectrum runs.")]
