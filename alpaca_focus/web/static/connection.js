// The live connection: server-sent events, reconnected whenever it breaks or falls silent.

const RECONNECT_AFTER_MS = 2000;
const CONNECT_TIMEOUT_MS = 10000;
const SILENCE_TIMEOUT_MS = 45000;
const LOAD_TIMEOUT_MS = 15000;
const TOPICS = ["status", "run", "frame", "log", "light", "notice", "gap"];

/** The server cannot be reached. */
export class Unreachable extends Error {}

export async function load(path) {
  const request = fetch(`api/v1/${path}`, { cache: "no-store", signal: AbortSignal.timeout(LOAD_TIMEOUT_MS) });
  const answer = await request.catch((error) => {
    throw new Unreachable(`${path}: ${error.message}`);
  });
  if (!answer.ok) throw new Error(`${path}: the server answered with status ${answer.status}`);
  return answer.json();
}

/**
 * Calls `onEvent(topic, data)` for each event, `onUp()` when the connection is established and `onDown()` when it is
 * lost. EventSource gives up after some errors, and does not notice that a phone was asleep; so it is replaced after
 * each loss and after a long silence.
 */
export class Connection {
  #source = null;
  #receivedAt = 0;
  #timer = null;

  constructor({ onEvent, onUp, onDown }) {
    Object.assign(this, { onEvent, onUp, onDown });
    document.addEventListener("visibilitychange", () => this.#checkSilence());
    window.addEventListener("online", () => this.#checkSilence());
    setInterval(() => this.#checkSilence(), 5000);
    this.open();
  }

  open() {
    clearTimeout(this.#timer);
    this.#source?.close();
    const source = new EventSource("api/v1/events");
    this.#source = source;
    this.#received();
    this.#timer = setTimeout(() => this.#lost(), CONNECT_TIMEOUT_MS);
    source.addEventListener("open", () => {
      clearTimeout(this.#timer);
      this.#received();
      this.onUp();
    });
    source.addEventListener("error", () => this.#lost());
    for (const topic of TOPICS) {
      source.addEventListener(topic, (event) => {
        this.#received();
        this.onEvent(topic, JSON.parse(event.data));
      });
    }
  }

  #received() {
    this.#receivedAt = performance.now();
  }

  #lost() {
    this.#source.close();
    this.onDown();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.open(), RECONNECT_AFTER_MS);
  }

  #checkSilence() {
    if (document.visibilityState === "visible" && performance.now() - this.#receivedAt > SILENCE_TIMEOUT_MS) this.open();
  }
}
