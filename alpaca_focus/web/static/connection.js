// The live connection: server-sent events, made anew whenever it breaks or falls silent.

const AGAIN_AFTER_MS = 2000;
const NO_ANSWER_FOR_MS = 10000;
const SILENT_FOR_MS = 45000;
const LOADED_WITHIN_MS = 15000;
const TOPICS = ["status", "run", "frame", "log", "light", "notice", "gap"];

/** The server could not be asked at all. */
export class Unreachable extends Error {}

export async function load(path) {
  const asked = fetch(`api/v1/${path}`, { cache: "no-store", signal: AbortSignal.timeout(LOADED_WITHIN_MS) });
  const answer = await asked.catch((error) => {
    throw new Unreachable(`${path}: ${error.message}`);
  });
  if (!answer.ok) throw new Error(`${path}: the server answers ${answer.status}`);
  return answer.json();
}

/**
 * Calls `onEvent(topic, data)` for everything that happens, `onUp()` when a connection stands and `onDown()` when it is
 * lost. EventSource gives up on its own for some errors and never notices a phone that was asleep; so each loss, and a
 * long silence, make a new one.
 */
export class Connection {
  #source = null;
  #heardAt = 0;
  #again = null;

  constructor({ onEvent, onUp, onDown }) {
    Object.assign(this, { onEvent, onUp, onDown });
    document.addEventListener("visibilitychange", () => this.#look());
    window.addEventListener("online", () => this.#look());
    setInterval(() => this.#look(), 5000);
    this.open();
  }

  open() {
    clearTimeout(this.#again);
    this.#source?.close();
    const source = new EventSource("api/v1/events");
    this.#source = source;
    this.#heard();
    this.#again = setTimeout(() => this.#lost(), NO_ANSWER_FOR_MS);
    source.addEventListener("open", () => {
      clearTimeout(this.#again);
      this.#heard();
      this.onUp();
    });
    source.addEventListener("error", () => this.#lost());
    for (const topic of TOPICS) {
      source.addEventListener(topic, (event) => {
        this.#heard();
        this.onEvent(topic, JSON.parse(event.data));
      });
    }
  }

  #heard() {
    this.#heardAt = performance.now();
  }

  #lost() {
    this.#source.close();
    this.onDown();
    clearTimeout(this.#again);
    this.#again = setTimeout(() => this.open(), AGAIN_AFTER_MS);
  }

  #look() {
    if (document.visibilityState === "visible" && performance.now() - this.#heardAt > SILENT_FOR_MS) this.open();
  }
}
