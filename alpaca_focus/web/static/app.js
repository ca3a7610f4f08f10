// The dashboard: takes what the daemon tells and puts it on the page.

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
const say = (id, text) => {
  // A live region is read out when it is written to, changed or not.
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

// What happens now

function showNow() {
  const { mark, sentence, more } = happening(shown.status);
  const isLost = shown.lostAt !== null;
  document.body.classList.toggle("lost", isLost);
  $("now").dataset.mark = isLost ? "lost" : mark;
  say("sentence", isLost ? "No connection to alpaca-focus." : sentence);
  const since = `What is shown is from ${timeOf(shown.lostAt ?? "", { seconds: true })}. It tries again by itself.`;
  say("more", isLost ? since : more);
  for (const button of document.querySelectorAll("#commands button")) button.disabled = isLost;
}

function showStatus(status) {
  shown.status = status;
  showNow();
  const isWhole = "triggers" in status;
  showDue(status);
  $("triggers").replaceChildren(...(status.triggers ?? []).map(triggerLine));
  say("compensated", isWhole ? compensationLine(status) : "");
  say("ignored", [ignoredLine(status), status.advice].filter(Boolean).join(" "));
  say("drift-line", isWhole ? `Now: ${nowLine(status)}.` : "");
  say("pause", status.paused ? "Resume" : "Pause");
  const told = status.compensation;
  const isOn = told?.enabled === true;
  $("compensation").setAttribute("aria-checked", String(isOn));
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
    lines.push(made("p", status.due.length ? "It waits for:" : "A refocus would wait for:"), list);
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
  say("run-line", runLine(run));
  say("run-reason", run.reason ?? "");
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

/** A daemon that has just been started knows of no run: then the last one of the history is shown. */
async function loadRun() {
  const run = await load("run");
  const [last] = run.started_at || run.active ? [] : await load("runs?last=1");
  showRun(last ? await load(`runs/${last.number}`) : run);
}

// The last frame, fetched only while somebody can see it

const frame = { wanted: null, got: null, isInSight: false };

async function showFrame() {
  const isVisible = frame.isInSight && document.visibilityState === "visible";
  if (!isVisible || frame.wanted === null || frame.wanted === frame.got) return;
  frame.got = frame.wanted;
  const image = $("frame");
  image.src = `api/v1/frame.png?number=${encodeURIComponent(frame.got)}`;
  image.hidden = false;
  const told = await load("frame");
  const line = frameLine(told);
  image.alt = `The last focus frame with what was measured ringed: ${line}`;
  say("frame-line", line);
}

$("frame").addEventListener("error", () => {
  $("frame").hidden = true;
  frame.got = null;
});
new IntersectionObserver((entries) => {
  frame.isInSight = entries.at(-1).isIntersecting;
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
  say("refocuses-title", refocuses.length === 1 ? "1 refocus" : `${refocuses.length} refocuses`);
  $("refocuses").replaceChildren(...refocuses.toReversed().map(({ at, position, trigger, outcome }) => {
    const parts = [timeOf(at), outcome, position === null ? "" : `position ${position}`, triggerNames(trigger)];
    return made("li", parts.filter(Boolean).join(", "), outcome === "focused" ? "" : "trouble");
  }));
  const sizes = night.lights.map(([, hfd]) => hfd);
  const best = sizes.length ? `, the best ${Math.min(...sizes).toFixed(2)} px` : "";
  say("lights-line", sizes.length ? `The last: HFD ${sizes.at(-1).toFixed(2)} px${best}.` : "");
}

// The log

function logItem(entry) {
  const { time, level, event, told } = logLine(entry);
  const item = made("li", "", level);
  item.append(made("time", time), " ", made("strong", event), told ? `: ${told}` : "");
  return item;
}

/** Put a line where its time belongs; one that is there already stays as it is. */
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

/** Tell of something that could not be loaded; a lost connection is told by the sentence, and all is loaded again. */
function attempt(promise) {
  promise.catch((error) => {
    if (!(error instanceof Unreachable)) say("said", `Something could not be shown: ${error.message}`);
  });
}

function loadAll() {
  attempt(load("status").then(showStatus));
  attempt(loadRun());
  attempt(load(`log?last=${LONGEST_LOG}`).then((entries) => entries.forEach(addToLog)));
  frame.got = null;
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

async function give(button, path, body) {
  button.setAttribute("aria-busy", "true");
  const { isError, text } = await command(path, body);
  button.removeAttribute("aria-busy");
  $("said").classList.toggle("trouble", isError);
  // Anew, so that it is read out even if it is the same again.
  $("said").replaceChildren(made("span", `${timeOf(new Date(), { seconds: true })} ${text}`));
}

$("refocus").addEventListener("click", (event) => give(event.currentTarget, "refocus", { if_due: false }));
$("pause").addEventListener("click", (event) => give(event.currentTarget, shown.status?.paused ? "resume" : "pause"));
$("abort").addEventListener("click", async (event) => {
  const button = event.currentTarget;
  if (await reallyAbort()) await give(button, "abort");
});
$("compensation").addEventListener("click", (event) => {
  const enabled = event.currentTarget.getAttribute("aria-checked") !== "true";
  return give(event.currentTarget, "compensation", { enabled });
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
    // A browser that keeps nothing: it lasts as long as the page.
  }
  showNightMode();
  recolour();
});
matchMedia("(prefers-color-scheme: light)").addEventListener("change", recolour);
showNightMode();
