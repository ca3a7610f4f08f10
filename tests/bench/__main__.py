"""Runs every measurement and writes docs/benchmarks.md."""

import os
import platform
import random
from datetime import UTC, datetime
from pathlib import Path

from tests.bench import bench_download, bench_focus, bench_measuring

PAGE = Path(__file__).parent.parent.parent / "docs" / "benchmarks.md"


def main() -> None:
    seed = int(os.environ.get("ALPACA_FOCUS_SEED", random.SystemRandom().randrange(2**31)))
    print(f"seed: {seed}")
    tables = []
    for bench in (bench_download.run, bench_measuring.run, bench_measuring.run_accuracy, bench_focus.run):
        table = bench(seed)
        print(table.markdown(), flush=True)
        tables.append(table.markdown())
    machine = f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}"
    introduction = (
        "# Benchmarks\n\n"
        f"Written by `make bench` on {datetime.now(UTC):%Y-%m-%d}: {machine}, seed {seed}. The method "
        "is said with each table; `ALPACA_FOCUS_SEED=N make bench` repeats a run.\n"
    )
    PAGE.write_text("\n".join([introduction, *tables]))


if __name__ == "__main__":
    main()
