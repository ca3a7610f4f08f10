// What a person asks of the daemon, and the token where the server wants one.

const TOKEN = "token";
let keptToken = "";

function token() {
  try {
    return sessionStorage.getItem(TOKEN) ?? keptToken;
  } catch {
    return keptToken;
  }
}

function keep(text) {
  keptToken = text;
  try {
    sessionStorage.setItem(TOKEN, text);
  } catch {
    // A browser that keeps nothing: then it is asked for again in the next tab.
  }
}

/** Open a dialog and wait for the answer of the person: whether it is yes. */
function asked(dialog) {
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((done) => {
    dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), { once: true });
  });
}

export function reallyAbort() {
  return asked(document.getElementById("ask-abort"));
}

/** Ask for the token; whether there is one now. */
async function askedForToken(why) {
  const input = document.getElementById("token");
  document.getElementById("ask-token-why").textContent = why;
  input.value = "";
  const isGiven = await asked(document.getElementById("ask-token"));
  const text = input.value.trim();
  input.value = "";
  if (!isGiven || !text) return false;
  // What a header cannot carry is no token.
  if (!/^[!-~]+$/.test(text)) return askedForToken("A token has English letters, digits and signs only.");
  keep(text);
  return true;
}

/** Give a command; returns what was said, with `isError` where it was refused. */
export async function command(path, body = {}) {
  for (;;) {
    const headers = { "Content-Type": "application/json" };
    if (token()) headers.Authorization = `Bearer ${token()}`;
    let answer;
    try {
      answer = await fetch(`api/v1/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    } catch {
      return { isError: true, text: "There is no connection: nothing was done." };
    }
    const told = await answer.json().catch(() => ({}));
    if (answer.ok) return { isError: false, text: told.said ?? "Done." };
    const text = typeof told.error === "string" ? told.error : `The server answers ${answer.status}: nothing was done.`;
    if (answer.status !== 401 || !(await askedForToken(text))) return { isError: true, text };
  }
}
