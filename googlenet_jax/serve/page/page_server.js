// The server: its state in the header, its access token, and a picture's way through it.

const POLL_SECONDS = 3;
const RETRIES = 5; // of a picture while the server is busy
const MOST_WAIT = 30; // seconds, whatever the server asks for

/** Why a picture has no result: in a few words, what to do, and what the server said. */
class Refusal extends Error {
  constructor(title, { hint = "", detail = "", again = false } = {}) {
    super(title);
    Object.assign(this, { hint, detail, again });
  }
}

// Token --------------------------------------------------------------------------------------------------------------

const STORED = "googlenet-token";
const access = { token: "", promise: null, resolve: null };
try {
  access.token = sessionStorage.getItem(STORED) ?? "";
} catch {
  // Without storage the page knows the token until it is closed or loaded anew.
}

function authorisation() {
  return access.token ? { Authorization: `Bearer ${access.token}` } : {};
}

/** Waits for a token other than the one that the server did not take. */
function otherToken(refused) {
  if (refused !== access.token) return Promise.resolve();
  access.promise ??= new Promise((resolve) => (access.resolve = resolve));
  const form = byId("access");
  byId("access-why").textContent = refused
    ? "The server does not take this token. Ask whoever runs it for another one."
    : "This server asks for an access token. The page keeps it until this tab is closed.";
  if (form.hidden) {
    form.hidden = false;
    byId("token").focus();
    say(byId("access-why").textContent);
  }
  return access.promise;
}

byId("access").addEventListener("submit", (event) => {
  event.preventDefault();
  const token = byId("token").value.trim();
  if (!/^[\x21-\x7e]+$/.test(token)) {
    byId("access-why").textContent = "A token has neither blanks nor letters beyond ASCII.";
    return;
  }
  access.token = token;
  try {
    sessionStorage.setItem(STORED, token);
  } catch {
    // As above.
  }
  byId("token").value = "";
  byId("access").hidden = true;
  access.resolve?.();
  access.promise = null;
  showCommand();
});

function showCommand() {
  const url = new URL("api", location.href.split(/[?#]/)[0]);
  const header = access.token ? '-H "Authorization: Bearer $TOKEN" ' : "";
  byId("curl").textContent = `curl ${header}-F image=@cat.jpg ${url}`;
}

// Status -------------------------------------------------------------------------------------------------------------

let lastStatus = null; // as the server told it last
let timer = 0;
let polling = false;

/** The model that pictures go to; null before the server has told of one. */
function chosenModel() {
  const models = lastStatus?.models ?? [];
  return models.find((model) => model.name === byId("model").value) ?? models[0] ?? null;
}

async function poll() {
  clearTimeout(timer);
  if (polling || document.hidden) return;
  polling = true;
  const used = access.token;
  try {
    const options = { headers: authorisation(), cache: "no-store", signal: AbortSignal.timeout(10_000) };
    const response = await fetch("status", options);
    if (response.status === 401) {
      showState("locked", "asks for a token");
      otherToken(used).then(poll);
      return;
    }
    if (!response.ok) throw new Error(response.statusText);
    showStatus(await response.json());
  } catch {
    showState("lost", "cannot reach the server");
  } finally {
    polling = false;
  }
  timer = setTimeout(poll, 1000 * POLL_SECONDS);
}

function showState(state, text) {
  const line = byId("state");
  line.dataset.state = state;
  line.firstElementChild.textContent = text;
}

function showStatus(told) {
  lastStatus = told;
  const select = byId("model");
  const names = told.models.map((model) => model.name);
  if (names.join("\n") !== [...select.options].map((option) => option.value).join("\n")) {
    const before = select.value;
    select.replaceChildren(...names.map((name) => element("option", { value: name }, name)));
    if (names.includes(before)) select.value = before;
  }
  select.hidden = names.length < 2;
  byId("name").hidden = !select.hidden;
  if (told.ready) showState("ready", "ready");
  else showState("warming", "getting ready");
  byId("speed").textContent = told.images_per_second.toFixed(told.images_per_second < 10 ? 1 : 0);
  byId("queue").textContent = `${told.queue.waiting} of ${told.queue.most}`;
  showModel();
}

function showModel() {
  const model = chosenModel();
  if (!model) return;
  byId("name").textContent = model.name;
  byId("family").textContent = model.family;
  byId("size").textContent = `${model.image_size} px`;
  byId("classes").textContent = grouped(model.classes);
  document.title = `${model.name} · GoogLeNet`;
}

byId("model").addEventListener("change", showModel);
document.addEventListener("visibilitychange", poll);

// A picture ----------------------------------------------------------------------------------------------------------

function refusal(code, detail) {
  const limits = lastStatus?.limits;
  const most = limits ? ` (at most ${asMegabytes(limits.bytes)} and ${limits.pixels / 1e6} megapixels)` : "";
  const tell = (title, hint, again = true) => new Refusal(title, { hint, detail, again });
  switch (code) {
    case 400:
      return tell("Not a picture the server can read", "Try a JPEG, PNG or WebP file that opens elsewhere.", false);
    case 404:
      return tell("The server does not have this model", "Choose another model, or load this page anew.");
    case 408:
      return tell("Sending took too long", "Try again, over a faster connection or with a smaller picture.");
    case 413:
      return tell("Too large for this server", `Make the picture smaller${most}, then give it again.`, false);
    case 429:
    case 503:
      return tell("The server is still busy", "Try again in a while.");
    case 504:
      return tell("The server took too long", "Try again in a while.");
    default:
      return tell(`The server could not answer (${code})`, "Try again; its log may say more.");
  }
}

/** Sees to it that a file can be sent at all: a fetch that fails does not say why. */
async function checkFile(file) {
  const most = lastStatus?.limits.bytes;
  if (most && file.size > most) {
    const hint = `It has ${asMegabytes(file.size)}; at most ${asMegabytes(most)} go through. Make it smaller.`;
    throw new Refusal("Too large for this server", { hint });
  }
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    const hint = "It may be a folder, or have changed since. Choose the picture itself.";
    throw new Refusal("This file cannot be read", { hint });
  }
}

function unreachable() {
  const hint = "See that it is running and that this device is connected, then try again.";
  return new Refusal("Cannot reach the server", { hint, again: true });
}

async function post(file, model, signal) {
  const query = new URLSearchParams({ format: "json" });
  if (model) query.set("model", model.name);
  if (model?.maps ?? true) query.set("maps", "1");
  const body = new FormData();
  body.append("image", file, file.name);
  try {
    return await fetch(`api?${query}`, { method: "POST", body, headers: authorisation(), signal });
  } catch (error) {
    if (signal.aborted) throw error;
    throw unreachable();
  }
}

/**
 * Asks the server about a file, again while it is busy. `tell` gets a line for each wait.
 * Returns {model, prediction}; throws a Refusal.
 */
async function classify(file, signal, tell) {
  await checkFile(file);
  const model = chosenModel();
  for (let attempt = 1; ;) {
    tell("Looking at it");
    const used = access.token;
    const response = await post(file, model, signal);
    const answer = await response.json().catch(() => ({}));
    if (response.ok && !answer.predictions) throw unreachable(); // the connection broke within the answer
    if (response.ok) return { model: answer.model, prediction: answer.predictions[0] };
    if (response.status === 401) {
      tell("Waiting for the access token");
      await unlessAborted(otherToken(used), signal);
    } else if ([429, 503].includes(response.status) && attempt++ <= RETRIES) {
      const asked = Number(response.headers.get("Retry-After")) || 2; // it may be a date, or not there
      for (let left = Math.min(Math.max(Math.ceil(asked), 1), MOST_WAIT); left > 0; left--) {
        tell(`The server is busy, trying again in ${left} s`);
        await sleep(1, signal);
      }
    } else throw refusal(response.status, answer.error ?? "");
  }
}
