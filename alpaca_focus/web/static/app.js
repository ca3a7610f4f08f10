// The dashboard: shows the daemon's state and events on the page.

import { Drift, Lights, VCurve } from "./charts.js";
import { command, reallyAbort } from "./commands.js";
import { Connection, load, Unreachable } from "./connection.js";
import {
  compensationLine, frameLine, happening, ignoredLine, logLine, measured, nearness, nowLine, runLine, timeOf,
  triggerNames, whyItWaits,
} from "./words.js";

const LONGEST_LOG = 200;
const NIGHT_EVERY_MS = 60_000;
const NIGHT_AT_MOST_EVERY_MS = 10_000;

const $ = (id) => document.getElementById(id);
const setText = (id, text) => {
  // Screen readers read a live region out at each write, changed or not.
  if ($(id).textContent !== text) $(id).textContent = text;
};

function made(tag, text = "", className = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  if (className) element.className = className;
  return element;
}

const shown = { status: null, run: null, lostAt: null };
const curve = new VCurve($("curve"));
const drift = new Drift($("drift"));
const lights = new Lights($("lights"));

// The current state

function showNow() {
  const { mark, sentence, more } = happening(shown.status);
  const isLost = shown.lostAt !== null;
  document.body.classList.toggle("lost", isLost);
  $("now").dataset.mark = isLost ? "lost" : mark;
  setText("sentence", isLost ? "No connection to alpaca-focus." : sentence);
  const since = `Shown as of ${timeOf(shown.lostAt ?? "", { seconds: true })}. Retrying.`;
  setText("more", isLost ? since : more);
  for (const button of document.querySelectorAll("#commands button")) button.disabled = isLost;
}

function showStatus(status) {
  shown.status = status;
  showNow();
  const isWhole = "triggers" in status;
  showDue(status);
  $("triggers").replaceChildren(...(status.triggers ?? []).map(triggerLine));
  setText("compensated", isWhole ? compensationLine(status) : "");
  setText("ignored", [ignoredLine(status), status.advice].filter(Boolean).join(" "));
  setText("drift-line", isWhole ? `Now: ${nowLine(status)}.` : "");
  setText("pause", status.paused ? "Resume" : "Pause");
  $("compensation").setAttribute("aria-checked", String(status.compensation?.enabled === true));
}

function showDue(status) {
  const lines = [];
  for (const reason of status.due ?? []) lines.push(made("p", `Due: ${reason}.`, "due"));
  if (status.due?.length === 0) lines.push(made("p", "Nothing is due."));
  if (status.blocked_by?.length) {
    const list = made("ul", "", "plain");
    for (const reason of status.blocked_by) {
      const why = whyItWaits(reason, status);
      const item = made("li", "");
      item.append(made("strong", reason), why ? `: ${why}` : "");
      list.append(item);
    }
    lines.push(made("p", status.due.length ? "Waiting for:" : "A refocus would wait for:"), list);
  }
  $("due").replaceChildren(...lines);
}

function triggerLine(verdict) {
  const { name, text, share, due } = nearness(verdict);
  const item = made("li", "", due ? "due" : "");
  item.append(made("span", name, "name"), made("span", due ? `${text}: due` : text, "state"));
  if (share !== null) {
    const bar = made("meter");
    bar.max = 1;
    bar.value = share;
    bar.setAttribute("aria-label", `${name}: ${text}`);
    item.append(bar);
  }
  return item;
}

// The run

function showRun(run) {
  const wasActive = shown.run?.active;
  shown.run = run;
  curve.show(run);
  setText("run-line", runLine(run));
  setText("run-reason", run.reason ?? "");
  const samples = run.samples ?? [];
  $("frames-part").hidden = samples.length === 0;
  $("frames").replaceChildren(...samples.map((sample, index) => {
    const row = made("tr", "", sample.usable ? "" : "trouble");
    const cells = [
      index + 1, sample.position, sample.usable ? measured(sample, run) : "not usable", sample.stars ?? "",
      [sample.purpose, sample.reason].filter(Boolean).join(": "),
    ];
    row.append(...cells.map((cell) => made("td", String(cell))));
    return row;
  }));
  if (wasActive && !run.active) loadNight();
}

/** Shows the latest run; after a restart of the daemon that is the last one of the history. */
async function loadRun() {
  const run = await load("run");
  const [last] = run.started_at || run.active ? [] : await load("runs?last=1");
  showRun(last ? await load(`runs/${last.number}`) : run);
}

// The last frame, loaded only while it is visible

const frame = { wanted: null, loaded: null, isOnScreen: false };

async function showFrame() {
  const isVisible = frame.isOnScreen && document.visibilityState === "visible";
  if (!isVisible || frame.wanted === null || frame.wanted === frame.loaded) return;
  frame.loaded = frame.wanted;
  const image = $("frame");
  image.src = `api/v1/frame.png?number=${encodeURIComponent(frame.loaded)}`;
  image.hidden = false;
  const line = frameLine(await load("frame"));
  image.alt = `The last focus frame with its measured stars ringed: ${line}`;
  setText("frame-line", line);
}

$("frame").addEventListener("error", () => {
  $("frame").hidden = true;
  frame.loaded = null;
});
new IntersectionObserver((entries) => {
  frame.isOnScreen = entries.at(-1).isIntersecting;
  attempt(showFrame());
}).observe($("frame-part"));

// The night

let nightLoadedAt = -Infinity;
let nightTimer = null;

function loadNight() {
  const inMs = Math.max(0, nightLoadedAt + NIGHT_AT_MOST_EVERY_MS - performance.now());
  clearTimeout(nightTimer);
  nightTimer = setTimeout(() => {
    nightLoadedAt = performance.now();
    attempt(load("night").then(showNight));
  }, inMs);
}

function showNight(night) {
  drift.show(night);
  lights.show(night);
  const { refocuses } = night;
  $("refocuses-part").hidden = refocuses.length === 0;
  setText("refocuses-title", refocuses.length === 1 ? "1 refocus" : `${refocuses.length} refocuses`);
  $("refocuses").replaceChildren(...refocuses.toReversed().map(({ at, position, trigger, outcome }) => {
    const parts = [timeOf(at), outcome, position === null ? "" : `position ${position}`, triggerNames(trigger)];
    return made("li", parts.filter(Boolean).join(", "), outcome === "focused" ? "" : "trouble");
  }));
  const sizes = night.lights.map(([, hfd]) => hfd);
  const best = sizes.length ? `, best ${Math.min(...sizes).toFixed(2)} px` : "";
  setText("lights-line", sizes.length ? `Last frame: HFD ${sizes.at(-1).toFixed(2)} px${best}.` : "");
}

// The log

function logItem(entry) {
  const { time, level, event, details } = logLine(entry);
  const item = made("li", "", level);
  item.append(made("time", time), " ", made("strong", event), details ? `: ${details}` : "");
  return item;
}

/** Insert a line in order of time, unless it is there already. */
function addToLog(entry) {
  const log = $("log");
  const key = `${entry.at} ${entry.event}`;
  let next = log.firstElementChild;
  while (next && next.dataset.key > key) next = next.nextElementSibling;
  if (next?.dataset.key === key) return;
  const item = logItem(entry);
  item.dataset.key = key;
  log.insertBefore(item, next);
  while (log.childElementCount > LONGEST_LOG) log.lastElementChild.remove();
}

// The connection

/** Show that something could not be loaded; a lost connection is shown at the top, and all is loaded again after it. */
function attempt(promise) {
  promise.catch((error) => {
    if (!(error instanceof Unreachable)) setText("said", `Loading failed: ${error.message}`);
  });
}

function loadAll() {
  attempt(load("status").then(showStatus));
  attempt(loadRun());
  attempt(load(`log?last=${LONGEST_LOG}`).then((entries) => entries.forEach(addToLog)));
  frame.loaded = null;
  nightLoadedAt = -Infinity;
  loadNight();
}

const handlers = {
  status: showStatus,
  run: showRun,
  log: addToLog,
  light: loadNight,
  frame: ({ number }) => {
    frame.wanted = number;
    attempt(showFrame());
  },
  gap: loadAll,
};

new Connection({
  onEvent: (topic, data) => handlers[topic]?.(data),
  onUp: () => {
    shown.lostAt = null;
    showNow();
    loadAll();
  },
  onDown: () => {
    shown.lostAt ??= new Date();
    showNow();
  },
});

document.addEventListener("visibilitychange", () => attempt(showFrame()));
setInterval(() => {
  if (document.visibilityState === "visible" && shown.lostAt === null) loadNight();
}, NIGHT_EVERY_MS);

// The commands

async function send(button, path, body) {
  button.setAttribute("aria-busy", "true");
  const { isError, text } = await command(path, body);
  button.removeAttribute("aria-busy");
  $("said").classList.toggle("trouble", isError);
  // A new element, so that screen readers read out even the same text again.
  $("said").replaceChildren(made("span", `${timeOf(new Date(), { seconds: true })} ${text}`));
}

$("refocus").addEventListener("click", (event) => send(event.currentTarget, "refocus", { if_due: false }));
$("pause").addEventListener("click", (event) => send(event.currentTarget, shown.status?.paused ? "resume" : "pause"));
$("abort").addEventListener("click", async (event) => {
  const button = event.currentTarget;
  if (await reallyAbort()) await send(button, "abort");
});
$("compensation").addEventListener("click", (event) => {
  const enabled = event.currentTarget.getAttribute("aria-checked") !== "true";
  return send(event.currentTarget, "compensation", { enabled });
});

// Day and night

function recolour() {
  for (const chart of [curve, drift, lights]) chart.recolour();
}

function showNightMode() {
  $("night").setAttribute("aria-pressed", String(document.documentElement.hasAttribute("data-night")));
}

$("night").addEventListener("click", () => {
  const isOn = document.documentElement.toggleAttribute("data-night");
  try {
    localStorage.setItem("night", isOn ? "on" : "off");
  } catch {
    // The browser has no local storage: the mode lasts as long as the page.
  }
  showNightMode();
  recolour();
});
matchMedia("(prefers-color-scheme: light)").addEventListener("change", recolour);
showNightMode();
