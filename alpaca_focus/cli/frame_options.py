"""How `fit` and `watch` measure frames: the same options, under the same names as those of `measure`."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from alpaca_focus.core.metrics import MEASUREMENTS
from alpaca_focus.files.best_focus import DECIDERS
from alpaca_focus.files.report import AUTO
from alpaca_focus.imaging.spectrum import TraceAxis

if TYPE_CHECKING:
    MeasuredAs: TypeAlias = str
    Decider: TypeAlias = str
else:
    # Made of the table of metrics, which a type checker cannot follow.
    MeasuredAs = StrEnum("MeasuredAs", {name.upper(): name for name in (*MEASUREMENTS, AUTO)})
    Decider = StrEnum("Decider", {name.upper(): name for name in DECIDERS})

MetricOption = Annotated[MeasuredAs, typer.Option(help="What to measure; auto tells spectra from stars.")]
FirstOption = Annotated[
    int | None, typer.Option("--x0", help="First column of a spectrum's slice; a row if it is vertical.")
]
EndOption = Annotated[int | None, typer.Option("--x1", help="Column after the last one of the slice.")]
AxisOption = Annotated[TraceAxis, typer.Option(help="Which way a spectrum runs.")]
