// Sends commands to the daemon, with the token if the server requires one.

const TOKEN = "token";
let tokenOfPage = "";

function token() {
  try {
    return sessionStorage.getItem(TOKEN) ?? tokenOfPage;
  } catch {
    return tokenOfPage;
  }
}

function keep(text) {
  tokenOfPage = text;
  try {
    sessionStorage.setItem(TOKEN, text);
  } catch {
    // The browser has no session storage: the token lasts as long as the page.
  }
}

/** Open a dialog and return whether the answer is yes. */
function confirmed(dialog) {
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((done) => {
    dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), { once: true });
  });
}

export function reallyAbort() {
  return confirmed(document.getElementById("ask-abort"));
}

/** Ask for the token and return whether one was entered. */
async function tokenEntered(why) {
  const input = document.getElementById("token");
  document.getElementById("ask-token-why").textContent = why;
  input.value = "";
  const isGiven = await confirmed(document.getElementById("ask-token"));
  const text = input.value.trim();
  input.value = "";
  if (!isGiven || !text) return false;
  // HTTP headers carry printable ASCII only.
  if (!/^[!-~]+$/.test(text)) return tokenEntered("This is no token: it may contain only ASCII letters, digits and signs.");
  keep(text);
  return true;
}

/** Send a command; returns the reply as `text`, with `isError` if it was refused. */
export async function command(path, body = {}) {
  for (;;) {
    const headers = { "Content-Type": "application/json" };
    if (token()) headers.Authorization = `Bearer ${token()}`;
    let answer;
    try {
      answer = await fetch(`api/v1/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    } catch {
      return { isError: true, text: "No connection. The command was not sent." };
    }
    const reply = await answer.json().catch(() => ({}));
    if (answer.ok) return { isError: false, text: reply.said ?? "Done." };
    const text = typeof reply.error === "string" ? reply.error : `Command refused: the server answered with status ${answer.status}.`;
    if (answer.status !== 401 || !(await tokenEntered(text))) return { isError: true, text };
  }
}
