// Turns states and numbers into words. Pure: nothing here touches the page.

import { METRIC_LABELS } from "./metrics.js";

const WATCHING = "watching";
const FOCUS_RUN = "a focus run";

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const clockWithSeconds = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});

/** A time of day in the browser's zone; `at` is a Date, an ISO text or seconds since 1970. */
export function timeOf(at, { seconds = false } = {}) {
  const date = at instanceof Date ? at : new Date(typeof at === "number" ? at * 1000 : at);
  if (Number.isNaN(date.getTime())) return "";
  return (seconds ? clockWithSeconds : clock).format(date);
}

export function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const fixed = (value, digits = 2) => (isNumber(value) ? value.toFixed(digits).replace("-", "−") : "?");
const signed = (value, digits = 0) => `${value >= 0 ? "+" : "−"}${Math.abs(value).toFixed(digits)}`;
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const sentence = (text) => (/[.!?]$/.test(text) ? capital(text) : `${capital(text)}.`);
const count = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;

export function metricName(metric) {
  return METRIC_LABELS[metric] ?? metric;
}

export function measured(sample, run) {
  const error = isNumber(sample.stderr) ? ` ± ${fixed(sample.stderr)}` : "";
  return `${fixed(sample.value)}${error}${run.unit ? ` ${run.unit}` : ""}`;
}

/** The current state: a mark, one sentence, and a line of details that changes more often. */
export function happening(status) {
  if (status === null) return { mark: "waiting", sentence: "Connecting to alpaca-focus.", more: "" };
  if (!("triggers" in status)) {
    return { mark: "waiting", sentence: sentence(status.state ?? "starting"), more: status.why ?? "" };
  }
  const { state, due = [], blocked_by: blockedBy = [] } = status;
  if (state === FOCUS_RUN) {
    const waits = status.gateway?.interrupted ? "Waiting for the next gap in the imaging." : "";
    return { mark: "working", sentence: "A focus run is under way.", more: waits };
  }
  if (state !== WATCHING) return { mark: "working", sentence: sentence(`${state} is under way`), more: "" };
  const problem = problemOf(status);
  if (problem) return { mark: "trouble", ...problem };
  if (status.paused) {
    return { mark: "waiting", sentence: "Paused: no refocus until it is resumed.", more: lastFocus(status) };
  }
  if (due.length && blockedBy.length) {
    const others = blockedBy.length > 1 ? `, and ${blockedBy.length - 1} more` : "";
    const waits = `Refocus due, waiting: ${blockedBy[0]}${others}.`;
    return { mark: "waiting", sentence: waits, more: lastFocus(status) };
  }
  if (due.length) {
    return { mark: "working", sentence: "Refocus due; it starts at once.", more: lastFocus(status) };
  }
  if (!status.last_focus) return { mark: "waiting", sentence: "Watching; no refocus yet.", more: "" };
  return { mark: "fine", sentence: "Watching: nothing is due.", more: lastFocus(status) };
}

function problemOf(status) {
  if (status.headline) {
    const more = status.silent?.length ? "Retrying. Check power and cables." : "";
    return { sentence: sentence(status.headline), more };
  }
  if (status.failures) {
    const then = status.hold_s ? `Triggers are held off for another ${duration(status.hold_s)}.` : "";
    const runs = status.failures === 1 ? "focus run" : `${status.failures} focus runs`;
    return { sentence: `The last ${runs} failed.`, more: [status.last_run?.reason, then].filter(Boolean).join(" ") };
  }
  if (status.compensation?.stopped) {
    return { sentence: "Temperature compensation stopped.", more: status.compensation.stopped };
  }
  if (status.temperature_trouble) {
    return { sentence: "Thermometer unreliable.", more: sentence(status.temperature_trouble) };
  }
  return null;
}

function lastFocus({ last_focus: last, since_s: since }) {
  if (!last) return "";
  const parts = [
    `Last refocus ${duration(since)} ago at position ${last.position}`,
    isNumber(last.value) ? `${metricName(last.metric)} ${fixed(last.value)}` : "",
    last.filter_name ? `filter ${last.filter_name}` : "",
  ];
  return `${parts.filter(Boolean).join(", ")}.`;
}

const TRIGGERS = {
  temperature: "Temperature", images: "Images", time: "Time", filter: "Filter", flip: "Meridian flip",
  asap: "Request", position: "Focuser position", hfd: "Star size", altitude: "Altitude", uncertainty: "Focus model",
};

/** The names of triggers for people, from the daemon's list. */
export function triggerNames(text) {
  return text.split(", ").map((name) => TRIGGERS[name]?.toLowerCase() ?? name).join(", ");
}

/** How near a trigger is: its name, a text, and the share of its limit, `null` where its state has no numbers. */
export function nearness({ trigger, state, due, reason }) {
  const bare = state.replace(/^\[|\]$/g, "");
  const name = TRIGGERS[trigger] ?? trigger;
  const numbers = /^([+-]?[\d.]+)\/([\d.]+)\s*(.*)$/.exec(bare);
  if (numbers) {
    const [, now, limit, unit] = numbers;
    const share = Number(limit) > 0 ? Math.min(1, Math.abs(Number(now)) / Number(limit)) : 1;
    const of = unit === "deg" ? "°" : unit && ` ${unit}`;
    return { name, text: `${now.replace("-", "−")} of ${limit}${of}`, share: due ? 1 : share, due, reason };
  }
  const drift = /^([+-][\d.]+|\?) #(\d+)(\*?)$/.exec(bare);
  if (drift) {
    const change = drift[1] === "?" ? "not known yet" : `${drift[1].replace("-", "−")} °C since the last refocus`;
    const readings = Number(drift[2]);
    return { name, text: `${change}, average of ${count(readings, "reading")}`, share: null, due, reason };
  }
  const text = { "-": "no", "!": "yes", "?": "not known yet" }[bare] ?? bare.replace(/!$/, ", changed");
  return { name, text, share: null, due, reason };
}

/** What ends the wait for a reason that blocks a refocus. */
export function whyItWaits(reason, status) {
  if (reason.startsWith("no answer from")) return "retrying at each poll";
  if (reason.startsWith("the plan takes")) return "these frames need no focus";
  return {
    paused: "until Resume is pressed",
    "not safe": "reported by the safety monitor",
    "safety unknown: the monitor does not answer": "retrying at each poll",
    "mount parked": "until the mount tracks",
    "mount not tracking": "until the mount tracks",
    "mount slewing": "until the slew ends",
    "not night": isNumber(status.sun_altitude_deg)
      ? `the sun is at ${fixed(status.sun_altitude_deg, 0)}°`
      : "the sun is too high",
    "waiting after a failed run": `for another ${duration(status.hold_s ?? 0)}`,
    "the imaging program moves the focuser": "until the move ends",
    "the focuser was moved by others": "until it has not moved for a while",
    "the focuser is not where it belongs": "it is brought back first",
    "only test shots are coming": "shorter than night.least_image_s: they never wait",
    "exposure running": "it starts after the exposure",
    "no gap in the imaging yet": "it starts in the next pause between two frames",
  }[reason] ?? "";
}

export function nowLine(status) {
  const old = (name) => (isNumber(status.ages_s?.[name]) ? ` (${duration(status.ages_s[name])} old)` : "");
  const parts = [
    isNumber(status.temperature_c) ? `${fixed(status.temperature_c, 1)} °C${old("temperature_c")}` : "no temperature",
    isNumber(status.position) ? `focuser at ${status.position}${old("position")}` : "",
    isNumber(status.expected_position) ? `expected at ${status.expected_position}` : "",
    status.filter ? `filter ${status.filter}${old("filter")}` : "",
    isNumber(status.altitude_deg) ? `altitude ${fixed(status.altitude_deg, 0)}°${old("altitude_deg")}` : "",
    isNumber(status.sun_altitude_deg) ? `sun at ${fixed(status.sun_altitude_deg, 0)}°` : "",
    status.plan && status.plan !== "unknown" ? `the plan takes ${status.plan} frames` : "",
    status.exposing ? "the imaging program exposes" : "",
  ];
  return parts.filter(Boolean).join(", ");
}

export function compensationLine(status) {
  const { compensation } = status;
  if (!compensation) return "";
  const moved = `${signed(compensation.moved_steps)} steps moved since the last refocus`;
  if (compensation.switched_off) return `Compensation is switched off: ${moved}.`;
  if (!compensation.enabled) return "Compensation is disabled in the settings.";
  return `Compensation: ${moved}, ${signed(compensation.carried_steps, 2)} not moved yet. ${compensation.stopped}`.trim();
}

export function ignoredLine(status) {
  const counted = Object.entries(status.ignored ?? {}).map(([reason, number]) => `${reason} (${number})`);
  return counted.length ? `Polls at which a due refocus had to wait this night: ${counted.join(", ")}.` : "";
}

export function runLine(run) {
  if (!run.started_at) return "No run yet.";
  const parts = [
    run.active ? "Under way" : capital(run.outcome || "ended"),
    `began ${timeOf(run.started_at, { seconds: true })}`,
    run.trigger ? `trigger: ${triggerNames(run.trigger)}` : "",
    count(run.samples.length, "frame"),
    run.active && isNumber(run.position) ? `now at position ${run.position}` : "",
    bestText(run),
  ];
  return `${parts.filter(Boolean).join(", ")}.`;
}

export function bestText(run) {
  return run.fit ? `best focus ${fixed(run.fit.best_position, 0)} ± ${fixed(run.fit.stderr_steps, 0)} steps` : "";
}

export function frameLine({ at, stars, hfd_px: hfd, width, height }) {
  const parts = [
    at ? timeOf(at, { seconds: true }) : "",
    isNumber(stars) ? `${count(stars, "star")} measured` : "",
    isNumber(hfd) ? `HFD ${fixed(hfd)} px` : "",
    isNumber(width) && isNumber(height) ? `${width} × ${height} px` : "",
  ];
  return parts.filter(Boolean).join(", ");
}

const UNITS = { s: "s", steps: "steps", px: "px", c: "°C" };
const SHOWN_ELSEWHERE = new Set(["event", "level", "at", "why"]);

/** One line of the log: its time, level, event and details. */
export function logLine(entry) {
  const fields = Object.entries(entry).filter(
    ([name, value]) => !SHOWN_ELSEWHERE.has(name) && value !== null && value !== "",
  );
  const details = fields.map(([name, value]) => {
    const text = typeof value === "object" ? JSON.stringify(value) : String(value);
    const [, bare, unit] = /^(.*?)(?:_(s|steps|px|c))?$/.exec(name);
    return `${bare.replaceAll("_", " ")} ${text}${unit ? ` ${UNITS[unit]}` : ""}`;
  });
  return {
    time: timeOf(entry.at ?? "", { seconds: true }),
    level: entry.level ?? "info",
    event: entry.event,
    details: [entry.why, details.join(", ")].filter(Boolean).join(" "),
  };
}
