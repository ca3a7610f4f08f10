"""Runs the measurements and writes docs/benchmarks.md: all of them, or those named on the command line."""

import os
import platform
import random
import re
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from tests.bench import (
    bench_dashboards,
    bench_download,
    bench_engine,
    bench_faults,
    bench_focus,
    bench_gateway,
    bench_idle,
    bench_measuring,
    bench_night,
    bench_spectrograph,
    bench_start,
    bench_step_size,
)
from tests.bench.table import Table

PAGE = Path(__file__).parent.parent.parent / "docs" / "benchmarks.md"
INTRODUCTION = (
    "# Benchmarks\n\n"
    "Written by `make bench`; the method stands with each table. `make bench ONLY=engine` measures one of them anew "
    "and leaves the others; `ALPACA_FOCUS_SEED=N make bench` repeats a run.\n"
)
BENCHES: Mapping[str, Callable[[int], Table]] = MappingProxyType(
    {
        "download": bench_download.run,
        "gateway": bench_gateway.run,
        "measuring": bench_measuring.run,
        "accuracy": bench_measuring.run_accuracy,
        "engine": bench_engine.run,
        "step_size": bench_step_size.run,
        "faults": bench_faults.run,
        "spectrograph": bench_spectrograph.run,
        "http": bench_focus.run,
        "night": bench_night.run,
        "fired": bench_night.run_fired,
        "start": bench_start.run,
        "idle": bench_idle.run,
        "dashboards": bench_dashboards.run,
    }
)


def main() -> None:
    names = sys.argv[1:] or list(BENCHES)
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        sys.exit(f"There is no bench {unknown[0]}: there are {', '.join(BENCHES)}.")
    seed = int(os.environ.get("ALPACA_FOCUS_SEED", random.SystemRandom().randrange(2**31)))
    print(f"seed: {seed}")
    for name in names:
        section = _section(name, seed)
        print(section, flush=True)
        _put(name, section)


def _section(name: str, seed: int) -> str:
    machine = f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}"
    measured = f"Measured on {datetime.now(UTC):%Y-%m-%d}: {machine}, seed {seed}.\n"
    return f"<!-- {name} -->\n{BENCHES[name](seed).markdown()}\n{measured}"


def _put(name: str, section: str) -> None:
    """Write a section into the page in place of the one before."""
    text = PAGE.read_text() if PAGE.exists() else ""
    sections = dict(re.findall(r"(?ms)^<!-- (\w+) -->\n(.*?)(?=^<!-- |\Z)", text))
    sections[name] = section.split("\n", 1)[1]
    ordered = [f"<!-- {each} -->\n{sections[each].rstrip()}\n" for each in BENCHES if each in sections]
    PAGE.write_text("\n".join([INTRODUCTION, *ordered]))


if __name__ == "__main__":
    main()
