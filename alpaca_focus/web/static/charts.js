// The charts, drawn by uPlot in the colours of the page's style.

import { bestText, measured, metricName, timeOf } from "./words.js";

const { uPlot } = window;
const FONT = "12px system-ui, sans-serif";
const LEAST_SPAN_S = 900;
// The legend shows the values at the mouse pointer; touch screens have none.
const READOUT = {
  cursor: { drag: { x: false, y: false }, y: false },
  legend: { live: matchMedia("(hover: hover)").matches },
};

function colours() {
  const style = getComputedStyle(document.documentElement);
  return (name) => style.getPropertyValue(`--${name}`).trim();
}

const columns = (list) => [list.map(([x]) => x), list.map(([, y]) => y)];
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

function padded(values, share, least) {
  let low = Math.min(...values);
  let high = Math.max(...values);
  const more = Math.max((high - low) * share, (least - (high - low)) / 2, 0);
  return [low - more, high + more];
}

/** A uPlot that follows the width of its element; created again when the colours change. */
class Chart {
  #plot = null;
  #content = null;

  constructor(element, { steepness = 0.45, highest = 300 } = {}) {
    Object.assign(this, { element, steepness, highest });
    new ResizeObserver(() => this.#fit()).observe(element);
  }

  /** Show data, or `emptyText` if `data` is null. */
  put(data, options, emptyText) {
    this.#content = { data, options, emptyText };
    if (data === null) {
      this.#plot?.destroy();
      this.#plot = null;
      this.element.textContent = emptyText;
    } else if (this.#plot) {
      this.#plot.setData(data);
    } else {
      this.element.textContent = "";
      this.#plot = new uPlot({ ...this.#size(), ...options(colours()) }, data, this.element);
    }
  }

  recolour() {
    if (this.#content === null) return;
    this.#plot?.destroy();
    this.#plot = null;
    this.put(this.#content.data, this.#content.options, this.#content.emptyText);
  }

  #size() {
    const width = Math.max(200, this.element.clientWidth);
    return { width, height: Math.round(Math.min(this.highest, Math.max(210, width * this.steepness))) };
  }

  #fit() {
    const size = this.#size();
    if (this.#plot && this.#plot.width !== size.width) this.#plot.setSize(size);
  }
}

function axis(colour, rest) {
  const grid = { stroke: colour("grid"), width: 1 };
  return { stroke: colour("dim"), font: FONT, labelFont: FONT, labelSize: 18, labelGap: 0, grid, ticks: grid, ...rest };
}

const timeAxis = (colour) =>
  axis(colour, { size: 28, space: 60, values: (_plot, splits) => splits.map((seconds) => timeOf(seconds)) });

/** Draws lines and marks on the canvas of a chart, from a hook of uPlot. */
class Pen {
  constructor(plot, colour) {
    this.plot = plot;
    this.ctx = plot.ctx;
    this.colour = colour;
    this.one = uPlot.pxRatio;
  }

  x(value) {
    return this.plot.valToPos(value, "x", true);
  }

  y(value) {
    return this.plot.valToPos(value, "y", true);
  }

  within(draw) {
    const { left, top, width, height } = this.plot.bbox;
    this.ctx.save();
    this.ctx.beginPath();
    this.ctx.rect(left, top, width, height);
    this.ctx.clip();
    draw(this, { left, top, width, height });
    this.ctx.restore();
  }

  line(name, points, { width = 1.5, dash = [] } = {}) {
    const { ctx, one } = this;
    ctx.strokeStyle = this.colour(name);
    ctx.lineWidth = width * one;
    ctx.setLineDash(dash.map((length) => length * one));
    ctx.beginPath();
    points.forEach(([x, y], index) => (index ? ctx.lineTo(x, y) : ctx.moveTo(x, y)));
    ctx.stroke();
    ctx.setLineDash([]);
  }

  upright(name, x, options) {
    const { top, height } = this.plot.bbox;
    this.line(name, [[x, top], [x, top + height]], options);
  }

  text(name, text, x, y) {
    const { ctx, one } = this;
    const { left, width } = this.plot.bbox;
    ctx.font = `${12 * one}px system-ui, sans-serif`;
    const half = ctx.measureText(text).width / 2 + 2 * one;
    const middle = Math.min(Math.max(x, left + half), left + width - half);
    ctx.textAlign = "center";
    ctx.textBaseline = "top";
    ctx.fillStyle = this.colour("panel");
    ctx.fillRect(middle - half, y - one, 2 * half, 16 * one);
    ctx.fillStyle = this.colour(name);
    ctx.fillText(text, middle, y);
  }

  dot(name, x, y, { hollow = false } = {}) {
    const { ctx, one } = this;
    ctx.beginPath();
    ctx.arc(x, y, 4 * one, 0, 2 * Math.PI);
    ctx.fillStyle = this.colour(hollow ? "panel" : name);
    ctx.fill();
    ctx.strokeStyle = this.colour(name);
    ctx.lineWidth = 1.5 * one;
    ctx.stroke();
  }

  cross(name, x, y) {
    const arm = 4 * this.one;
    this.line(name, [[x - arm, y - arm], [x + arm, y + arm]], { width: 2 });
    this.line(name, [[x - arm, y + arm], [x + arm, y - arm]], { width: 2 });
  }
}

/** The V-curve of a run, during it and afterwards. */
export class VCurve {
  #chart;
  #run = null;

  constructor(element) {
    this.#chart = new Chart(element, { steepness: 0.62, highest: 380 });
  }

  show(run) {
    this.#run = run;
    const samples = run?.samples ?? [];
    const isEmpty = samples.length === 0;
    const curve = run?.fit?.curve ?? [];
    this.#chart.element.setAttribute("aria-label", isEmpty ? "No frames of a focus run yet" : this.#described());
    this.#chart.put(
      isEmpty ? null : this.#drawn(curve),
      (colour) => this.#options(colour),
      run?.active ? "Taking the first frame." : "The curve of the next focus run appears here.",
    );
  }

  recolour() {
    this.#chart.recolour();
  }

  /** uPlot draws only the fitted curve; before there is one, two empty points set the range. */
  #drawn(curve) {
    return columns(curve.length ? curve : this.#range(this.#run).x.map((x) => [x, null]));
  }

  #metric() {
    const { metric, unit } = this.#run;
    return metric ? `${metricName(metric)}${unit ? `, ${unit}` : ""}` : "value";
  }

  #described() {
    const run = this.#run;
    const usable = run.samples.filter((sample) => sample.usable);
    const last = run.samples.at(-1);
    const parts = [
      `V-curve of ${run.samples.length} frames, ${usable.length} of them usable`,
      last.usable ? `last at position ${last.position}: ${measured(last, run)}` : "",
      bestText(run),
    ];
    return parts.filter(Boolean).join("; ");
  }

  #range(run) {
    const usable = run.samples.filter((sample) => sample.usable && isNumber(sample.value));
    const positions = run.samples.map((sample) => sample.position);
    if (isNumber(run.start_position)) positions.push(run.start_position);
    const values = usable.flatMap(({ value, stderr }) => {
      const error = isNumber(stderr) ? stderr : 0;
      return [value - error, value + error];
    });
    if (run.fit) positions.push(run.fit.best_position);
    if (run.fit) values.push(run.fit.best_value);
    return { x: padded(positions, 0.06, 20), y: values.length ? padded(values, 0.12, 0.2) : [0, 1] };
  }

  #options(colour) {
    return {
      legend: { show: false },
      cursor: { show: false },
      padding: [20, 12, 0, 0],
      scales: {
        x: { time: false, range: () => this.#range(this.#run).x },
        y: { range: () => this.#range(this.#run).y },
      },
      axes: [
        axis(colour, { label: "position, steps", size: 28, space: 60, values: (_plot, splits) => splits.map(String) }),
        axis(colour, { label: () => this.#metric(), size: 44 }),
      ],
      series: [{}, { stroke: colour("curve"), width: 2, points: { show: false } }],
      hooks: { draw: [(plot) => new Pen(plot, colour).within((pen, box) => this.#draw(pen, box))] },
    };
  }

  #draw(pen, box) {
    const run = this.#run;
    if (isNumber(run.start_position)) pen.upright("dim", pen.x(run.start_position), { dash: [3, 4] });
    if (run.fit) this.#drawBest(pen, box, run.fit);
    for (const sample of run.samples) {
      const x = pen.x(sample.position);
      if (!sample.usable || !isNumber(sample.value)) {
        pen.cross("trouble", x, box.top + box.height - 10 * pen.one);
        continue;
      }
      const y = pen.y(sample.value);
      if (isNumber(sample.stderr)) {
        const [high, low] = [pen.y(sample.value + sample.stderr), pen.y(sample.value - sample.stderr)];
        const arm = 3 * pen.one;
        pen.line("ink", [[x, high], [x, low]]);
        pen.line("ink", [[x - arm, high], [x + arm, high]]);
        pen.line("ink", [[x - arm, low], [x + arm, low]]);
      }
      pen.dot("ink", x, y, { hollow: sample.purpose === "verify" });
    }
  }

  #drawBest(pen, box, fit) {
    const x = pen.x(fit.best_position);
    if (isNumber(fit.stderr_steps)) {
      const half = Math.max(pen.one, pen.x(fit.best_position + fit.stderr_steps) - x);
      pen.ctx.globalAlpha = 0.3;
      pen.ctx.fillStyle = pen.colour("fine");
      pen.ctx.fillRect(x - half, box.top, 2 * half, box.height);
      pen.ctx.globalAlpha = 1;
    }
    pen.upright("fine", x);
    const error = isNumber(fit.stderr_steps) ? ` ± ${fit.stderr_steps.toFixed(0)}` : "";
    pen.text("fine", `${fit.best_position.toFixed(0)}${error}`, x, box.top + 2 * pen.one);
  }
}

/** Ends of a time axis: all data, up to now, at least a quarter of an hour. */
function nightRange(lists) {
  const times = lists.flatMap((list) => (list.length ? [list[0][0], list.at(-1)[0]] : []));
  const end = Math.max(Date.now() / 1000, ...times);
  return [Math.min(end - LEAST_SPAN_S, ...times), end];
}

const seconds = (at) => (typeof at === "number" ? at : Date.parse(at) / 1000);

/** Temperature, focuser position, the model's position and each refocus over the night. */
export class Drift {
  #chart;
  #night = null;

  constructor(element) {
    this.#chart = new Chart(element);
  }

  show(night) {
    this.#night = night;
    const lists = [night.temperature, night.position, night.model];
    const isEmpty = lists.every((list) => list.length === 0);
    this.#chart.element.setAttribute("aria-label", isEmpty ? "No temperatures and positions yet" : this.#described());
    this.#chart.put(
      isEmpty ? null : uPlot.join(lists.map(columns)),
      (colour) => this.#options(colour),
      "Temperature and position appear here during the night.",
    );
  }

  recolour() {
    this.#chart.recolour();
  }

  #described() {
    const { temperature, position, refocuses } = this.#night;
    const parts = ["Chart of temperature and focuser position over the night"];
    if (temperature.length) {
      parts.push(`from ${temperature[0][1].toFixed(1)} to ${temperature.at(-1)[1].toFixed(1)} °C`);
    }
    if (position.length) parts.push(`from position ${position[0][1]} to ${position.at(-1)[1]}`);
    parts.push(`refocused ${refocuses.length} times`);
    return parts.join(", ");
  }

  #options(colour) {
    const plain = (_plot, splits) => splits.map((value) => String(Math.round(value * 100) / 100));
    const value = (digits, unit) => (_plot, raw) => (isNumber(raw) ? `${raw.toFixed(digits)}${unit}` : "–");
    // One or two values make no visible line.
    const points = { show: (plot, series) => plot.data[series].filter(isNumber).length < 3 };
    const steps = { scale: "steps", points };
    return {
      ...READOUT,
      padding: [8, 0, 0, 0],
      scales: {
        x: { time: true, range: () => nightRange([this.#night.temperature, this.#night.position, this.#night.model]) },
        c: { range: (_plot, low, high) => (isNumber(low) ? padded([low, high], 0.1, 1) : [0, 1]) },
        steps: { range: (_plot, low, high) => (isNumber(low) ? padded([low, high], 0.1, 20) : [0, 1]) },
      },
      axes: [
        timeAxis(colour),
        axis(colour, { scale: "c", size: 44, values: plain, stroke: colour("warm"), label: "°C" }),
        axis(colour, {
          scale: "steps", side: 1, size: 56, values: plain, stroke: colour("curve"), grid: { show: false },
          label: "steps",
        }),
      ],
      series: [
        { label: "Time", value: (_plot, raw) => (isNumber(raw) ? timeOf(raw) : "–") },
        { label: "Temperature", scale: "c", stroke: colour("warm"), width: 2, points, value: value(1, " °C") },
        {
          ...steps, label: "Position", stroke: colour("curve"), width: 2, value: value(0, ""),
          paths: uPlot.paths.stepped({ align: 1 }),
        },
        { ...steps, label: "Model", stroke: colour("dim"), width: 1.5, dash: [6, 4], value: value(0, "") },
      ],
      hooks: { draw: [(plot) => new Pen(plot, colour).within((pen, box) => this.#drawRefocuses(pen, box))] },
    };
  }

  #drawRefocuses(pen, box) {
    for (const { at, outcome } of this.#night.refocuses) {
      const x = pen.x(seconds(at));
      const name = outcome === "focused" ? "fine" : "trouble";
      pen.upright(name, x, { width: 1, dash: [2, 3] });
      if (outcome === "focused") pen.dot(name, x, box.top + 6 * pen.one);
      else pen.cross(name, x, box.top + 6 * pen.one);
    }
  }
}

/** Star sizes on the light frames. */
export class Lights {
  #chart;
  #night = null;

  constructor(element) {
    this.#chart = new Chart(element);
  }

  show(night) {
    this.#night = night;
    const { lights } = night;
    const described = lights.length
      ? `Chart of ${lights.length} light frames; the last has an HFD of ${lights.at(-1)[1].toFixed(2)} px`
      : "No light frames measured yet";
    this.#chart.element.setAttribute("aria-label", described);
    this.#chart.put(
      lights.length ? columns(lights) : null,
      (colour) => this.#options(colour),
      "Star sizes appear here if alpaca-focus can read the imaging program's light frames.",
    );
  }

  recolour() {
    this.#chart.recolour();
  }

  #options(colour) {
    return {
      ...READOUT,
      padding: [8, 12, 0, 0],
      scales: {
        x: { time: true, range: () => nightRange([this.#night.lights]) },
        y: { range: (_plot, low, high) => (isNumber(low) ? padded([low, high], 0.15, 0.5) : [0, 1]) },
      },
      axes: [timeAxis(colour), axis(colour, { size: 44, label: "HFD, px" })],
      series: [
        { label: "Time", value: (_plot, raw) => (isNumber(raw) ? timeOf(raw) : "–") },
        {
          label: "HFD", stroke: colour("ink"), width: 1,
          value: (_plot, raw) => (isNumber(raw) ? `${raw.toFixed(2)} px` : "–"),
          points: { show: true, size: 6, fill: colour("ink"), stroke: colour("ink") },
        },
      ],
    };
  }
}
