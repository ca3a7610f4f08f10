"""The report of a night as one page of HTML: no script, nothing loaded from elsewhere, for screen, phone and paper."""

import math
from collections.abc import Sequence
from datetime import datetime
from html import escape

from alpaca_focus.core.curve_models import curve_value
from alpaca_focus.core.expectation import AVERAGE
from alpaca_focus.core.metrics import label_of
from alpaca_focus.core.night_review import (
    Night,
    ReviewedRun,
    Share,
    advice,
    by_curves,
    by_stars,
    not_known,
    temperature_of,
)
from alpaca_focus.core.values import Fit, Outcome, Sample
from alpaca_focus.files.chart import Chart, Range, range_of

STYLE = """
:root { color-scheme: light dark; --ink: #1d2530; --paper: #ffffff; --soft: #5d6875; --line: #d9dee4; --card: #f5f7f9;
  --a: #1f5fa8; --b: #c23b22; --c: #2a7f3f; --warn: #8a5a00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e3e7ec; --paper: #12161b; --soft: #98a3b0; --line: #2d3540;
  --card: #1a2028; --a: #6fb0f5; --b: #f08a70; --c: #6ecb86; --warn: #e0b25a; } }
@media print { :root { --ink: #000; --paper: #fff; --soft: #444; --line: #bbb; --card: #fff; --a: #1f5fa8; --b: #c23b22;
  --c: #2a7f3f; --warn: #8a5a00; } section, figure, .tile { break-inside: avoid; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: .5rem 0 0; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p { margin: .4rem 0; } .soft, figcaption, footer { color: var(--soft); font-size: .9rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .6rem; margin: 1rem 0; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .8rem; }
.tile b { display: block; font-size: 1.4rem; line-height: 1.3; }
.curves { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: .8rem; }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  padding: .5rem .7rem; margin-bottom: .8rem; }
figcaption b { color: var(--ink); } .bad, .bad b { color: var(--b); } .doubt { color: var(--warn); }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.n, th.n { text-align: right; white-space: nowrap; } td.t { white-space: nowrap; }
li, p { overflow-wrap: anywhere; } svg { display: block; width: 100%; height: auto; }
@media screen { .broad { overflow-x: auto; } .broad svg { min-width: 36rem; } }
svg text { fill: var(--soft); font: 11px system-ui, sans-serif; }
.grid { stroke: var(--line); stroke-width: 1; } .axis { stroke: var(--soft); stroke-width: 1; }
.a { stroke: var(--a); fill: none; stroke-width: 1.6; } .b { stroke: var(--b); fill: none; stroke-width: 1.6; }
.c { stroke: var(--c); fill: none; stroke-width: 1.6; } .dash { stroke-dasharray: 5 4; }
.pa { fill: var(--a); } .pb { fill: var(--b); } .pc { fill: var(--c); } .err { stroke: var(--soft); stroke-width: 1; }
.band { fill: var(--c); opacity: .15; } footer { margin: 2rem 0 1rem; }
"""
"""Colours follow the reader's system; on paper they are always the light ones."""


def report_page(night: Night, *, made_at: datetime, version: str) -> str:
    """Return the page.

    Args:
        night: What was kept of it.
        made_at: When the page is made, UTC.
        version: Of this program.
    """
    title = f"{night.telescope}: the night of {night.date:%d %B %Y}"
    sections = [
        _tiles(night),
        _section("What could be better", _list(advice(night)) or "<p>Nothing stands out.</p>"),
        _section("The night", _night_charts(night)),
        _section("Refocuses", _table(night)),
        _section("Failures", _failures(night)),
        _section("V-curves", _curves(night)),
        _section("Focus and temperature", _drift(night)),
        _section("What is not known", _list(not_known(night)) or "<p>Nothing that belongs here.</p>"),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{escape(title)}</h1>\n"
        '<p class="soft">All times are UTC; the night goes from noon to noon.</p>\n'
        f"{''.join(sections)}"
        f"<footer>Made by alpaca-focus {escape(version)}, {made_at:%Y-%m-%d %H:%M} UTC.</footer>\n</body>\n</html>\n"
    )


def _section(heading: str, body: str) -> str:
    return f"<section>\n<h2>{heading}</h2>\n{body}\n</section>\n" if body else ""


def _list(sentences: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(each)}</li>' for each in sentences)}</ul>" if sentences else ""


def _tiles(night: Night) -> str:
    good = sum(run.is_good for run in night.runs)
    tiles = [(f"{good} of {len(night.runs)}", "refocuses good")]
    if night.lights:
        sizes = sorted(light.hfd_px for light in night.lights)
        tiles.append((f"{len(sizes)}", "light frames measured"))
        tiles.append((f"{sizes[len(sizes) // 2]:.2f} px", "median HFD of these"))
    tiles.append(
        (
            _percent(by_stars(night)),
            f"of the frames within {100 * night.tolerance:.0f}\u00a0% of the HFD after a refocus",
        )
    )
    tiles.append((_percent(by_curves(night)), "of the time within the critical focus zone, by the V-curves"))
    seconds = sum(run.result.duration_s for run in night.runs)
    tiles.append((f"{seconds / 60:.0f} min", "spent on refocuses"))
    told = "".join(f'<div class="tile"><b>{escape(value)}</b>{escape(what)}</div>' for value, what in tiles)
    return f'<div class="tiles">{told}</div>\n'


def _percent(share: Share | None) -> str:
    value = None if share is None else share.share
    return "not known" if value is None else f"{100 * value:.0f}\u00a0%"


def _table(night: Night) -> str:
    if not night.runs:
        return "<p>There was none.</p>"
    rows = []
    for run in night.runs:
        result, fit = run.result, run.result.fit
        degrees = temperature_of(result, AVERAGE)
        best = "" if fit is None else f"{fit.best_position:.0f} \u00b1 {fit.best_position_stderr:.0f}"
        value = "" if result.verification is None else f"{result.verification.measurement.value:.2f}"
        outcome = f"{result.outcome.value}{', doubtful' if result.doubtful else ''}"
        kind = "" if run.is_good else ' class="bad"'
        rows.append(
            f'<tr{kind}><td class="n">{run.number}</td><td class="t">{result.started_at:%H:%M}</td>'
            f"<td>{escape(run.trigger)}</td><td>{escape(result.filter_name or '')}</td>"
            f'<td class="n">{"" if math.isnan(degrees) else f"{degrees:.1f}"}</td><td class="n">{best}</td>'
            f'<td class="n">{value}</td><td class="n">{result.exposures}</td><td class="n">{result.duration_s:.0f}</td>'
            f"<td>{escape(outcome)}</td></tr>"
        )
    metric = next((label_of(sample.measurement.metric) for run in night.runs for sample in run.result.samples), "")
    heads = ("run", "at", "why", "filter", "\u00b0C", "best, steps", metric, "exp.", "s", "outcome")
    numeric = {"run", "\u00b0C", "best, steps", metric, "exp.", "s"}
    head = "".join(f"<th{' class=n' if each in numeric else ''}>{escape(each)}</th>" for each in heads)
    waits = ", ".join(f"{escape(reason)} ({count})" for reason, count in night.ignored.items())
    told = f'<p class="soft">Looks at which a due refocus had to wait, by reason: {waits}.</p>' if waits else ""
    return f'<div class="wide"><table><tr>{head}</tr>{"".join(rows)}</table></div>{told}'


def _failures(night: Night) -> str:
    failed = [run for run in night.runs if run.result.outcome is not Outcome.FOCUSED]
    told = [f"Run {run.number} at {run.result.started_at:%H:%M}: {run.result.reason}" for run in failed]
    return _list(told) or "<p>None.</p>"


# Charts


def _night_charts(night: Night) -> str:
    low, high = _times(night)
    if low is None or high is None:
        return "<p>Nothing was kept of it.</p>"
    time_range = Range(low, high if high > low else low + 60.0)
    parts = [_positions(night, time_range), _temperatures(night, time_range), _sizes(night, time_range)]
    return "".join(f'<figure class="broad">{part}</figure>' for part in parts if part)


def _times(night: Night) -> tuple[float | None, float | None]:
    times = [run.result.started_at.timestamp() for run in night.runs]
    times += [run.ended_at.timestamp() for run in night.runs]
    times += [light.ended_at.timestamp() for light in night.lights]
    return (min(times), max(times)) if times else (None, None)


def _positions(night: Night, times: Range) -> str:
    good = [run for run in night.runs if run.is_good]
    stands = [
        (light.ended_at.timestamp(), float(light.position)) for light in night.lights if light.position is not None
    ]
    found = [(run.result.started_at.timestamp(), run.result.fit) for run in good]
    expected = _expected(night, good)
    values = [position for _, position in stands]
    values += [fit.best_position for _, fit in found if fit is not None]
    values += [position for line in expected for _, position in line]
    if not values:
        return ""
    chart = Chart("focuser position, steps", times, range_of(values), at_times=True)
    chart.line(stands, "a")
    for line in expected:
        chart.line(line, "c dash")
    for at, fit in found:
        if fit is not None:
            chart.point(at, fit.best_position, "pb", error=fit.best_position_stderr)
    model = "; dashed: where the model expects it from there" if expected else ""
    return chart.svg() + (
        f"<figcaption>Points: best focus that each refocus found{'; line: where the focuser stood' if stands else ''}"
        f"{model}.</figcaption>"
    )


def _expected(night: Night, good: Sequence[ReviewedRun]) -> list[list[tuple[float, float]]]:
    """Return the model's lines, one from each good run to the next."""
    if night.learned is None:
        return []
    lines = []
    for index, run in enumerate(good):
        start_c, fit = temperature_of(run.result, AVERAGE), run.result.fit
        if math.isnan(start_c) or fit is None:
            continue
        ends_at = good[index + 1].result.started_at if index + 1 < len(good) else None
        line = [(run.result.started_at.timestamp(), fit.best_position)]
        for light in night.lights:
            is_between = light.ended_at > run.result.started_at and (ends_at is None or light.ended_at <= ends_at)
            if is_between and light.temperature_c is not None and light.filter_name == run.result.filter_name:
                moved = night.learned.value * (light.temperature_c - start_c)
                line.append((light.ended_at.timestamp(), fit.best_position + moved))
        if len(line) > 1:
            lines.append(line)
    return lines


def _temperatures(night: Night, times: Range) -> str:
    told = [(run.result.started_at.timestamp(), temperature_of(run.result, AVERAGE)) for run in night.runs]
    told += [(each.ended_at.timestamp(), each.temperature_c) for each in night.lights if each.temperature_c is not None]
    known = sorted((at, degrees) for at, degrees in told if math.isfinite(degrees))
    if len(known) < 2:
        return ""
    chart = Chart(
        "temperature, \u00b0C", times, range_of([degrees for _, degrees in known], least=1.0), at_times=True, height=150
    )
    chart.line(known, "a")
    return chart.svg()


def _sizes(night: Night, times: Range) -> str:
    if not night.lights:
        return ""
    sizes = [light.hfd_px for light in night.lights]
    # A frame that trailed would press all the others flat.
    highest = min(max(sizes), 3 * sorted(sizes)[len(sizes) // 2])
    chart = Chart("HFD of the light frames, px", times, Range(0.0, 1.1 * highest), at_times=True, height=170)
    for run in night.runs:
        chart.upright(run.result.started_at.timestamp(), "c dash" if run.is_good else "b dash")
    for light in night.lights:
        chart.point(light.ended_at.timestamp(), min(light.hfd_px, 1.1 * highest), "pa")
    return chart.svg() + "<figcaption>Dashed: refocuses.</figcaption>"


def _curves(night: Night) -> str:
    figures = [_curve(run) for run in night.runs if any(sample.measurement.usable for sample in run.result.samples)]
    return f'<div class="curves">{"".join(figures)}</div>' if figures else "<p>There is none.</p>"


def _curve(run: ReviewedRun) -> str:
    result, fit = run.result, run.result.fit
    usable = [(index, sample) for index, sample in enumerate(result.samples) if sample.measurement.usable]
    kept = [sample for index, sample in usable if fit is None or index not in fit.rejected]
    left_out = [sample for index, sample in usable if fit is not None and index in fit.rejected]
    positions = [float(sample.position) for sample in kept] + ([] if fit is None else [fit.best_position])
    highest = 1.08 * max((_top(sample) for sample in kept), default=1.0)
    first = usable[0][1].measurement
    label = f"{label_of(first.metric)}{f', {first.unit}' if first.unit else ''}"
    across = range_of(positions, least=2.0)
    # Far points would press the V flat.
    near = [sample for sample in left_out if across.low <= sample.position <= across.high]
    chart = Chart(label, across, Range(0.0, highest), width=340, height=210)
    if fit is not None:
        _draw_fit(chart, fit, positions, highest)
    for sample in kept:
        chart.point(float(sample.position), sample.measurement.value, "pa", error=sample.measurement.stderr)
    for sample in near:
        chart.point(float(sample.position), min(sample.measurement.value, highest), "pb")
    outcome = "doubtful" if result.doubtful else result.outcome.value
    kind = "doubt" if result.doubtful else "" if run.is_good else "bad"
    best = "" if fit is None else f", best {fit.best_position:.0f} \u00b1 {fit.best_position_stderr:.1f}"
    through = f", {escape(result.filter_name)}" if result.filter_name else ""
    without = f"; {len(left_out)} left out" if left_out else ""
    return (
        f"<figure>{chart.svg()}<figcaption><b>Run {run.number}</b> {result.started_at:%H:%M}{through}{best}{without}; "
        f'<span class="{kind}">{escape(outcome)}</span></figcaption></figure>'
    )


def _draw_fit(chart: Chart, fit: Fit, positions: Sequence[float], highest: float) -> None:
    low, high = min(positions), max(positions)
    line = [(at, curve_value(at, fit)) for at in (low + (high - low) * index / 60 for index in range(61))]
    chart.line([(at, value) for at, value in line if value <= highest], "a")
    if math.isfinite(fit.best_position_stderr):
        chart.band(fit.best_position - fit.best_position_stderr, fit.best_position + fit.best_position_stderr)
    chart.upright(fit.best_position, "c")


def _top(sample: Sample) -> float:
    error = sample.measurement.stderr
    return sample.measurement.value + (error if math.isfinite(error) else 0.0)


def _drift(night: Night) -> str:
    told = []
    learned = night.learned
    if learned is not None:
        is_set = "none" if night.set_steps_per_c is None else f"{night.set_steps_per_c:+.2f}"
        told.append(
            f"<p>Learned from the whole history: {learned.value:+.2f} \u00b1 {learned.stderr:.2f} steps a degree, from "
            f"{learned.count} runs; set: {is_set}.</p>"
        )
    good = [run for run in night.runs if run.is_good and math.isfinite(temperature_of(run.result, AVERAGE))]
    filters = [run.result.filter_name for run in good]
    # Through other filters focus is elsewhere, whatever the temperature.
    through = max(filters, key=filters.count, default=None)
    some = [(temperature_of(run.result, AVERAGE), run.result.fit) for run in good if run.result.filter_name == through]
    fits = [(degrees, fit) for degrees, fit in some if fit is not None]
    if len(fits) < 2:
        return "".join(told) or "<p>That takes two good refocuses with a temperature.</p>"
    degrees = range_of([each for each, _ in fits], least=1.0)
    positions = [fit.best_position for _, fit in fits]
    line: list[tuple[float, float]] = []
    if learned is not None:
        middle_c = sum(each for each, _ in fits) / len(fits)
        middle = sum(positions) / len(positions)
        line = [(each, middle + learned.value * (each - middle_c)) for each in (degrees.low, degrees.high)]
    chart = Chart("best focus, steps", degrees, range_of([*positions, *(value for _, value in line)]), along="\u00b0C")
    chart.line(line, "c dash")
    for each, fit in fits:
        chart.point(each, fit.best_position, "pa", error=fit.best_position_stderr)
    model = " Dashed: the slope learned, through the middle of tonight's points." if line else ""
    named = f" through {escape(through)}" if through else ""
    return (
        f'{"".join(told)}<figure class="broad">{chart.svg()}'
        f"<figcaption>Tonight's good refocuses{named}.{model}</figcaption></figure>"
    )
