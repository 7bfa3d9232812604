// What all parts of the page share: its buttons, its words and the clipboard.
// Names of files, labels and what the server says come from anywhere: they are put into the page as text alone.

const MOST_SAID = 10; // lines that a screen reader may still read

function makeButton(text, action, attributes = {}) {
  const made = element("button", { type: "button", ...attributes }, text);
  made.addEventListener("click", action);
  return made;
}

// Words --------------------------------------------------------------------------------------------------------------

/** The parts of a label such as "n02123045 tabby, tabby cat"; a label of another kind is a name as a whole. */
function readLabel(label) {
  const match = /^(n\d{8})\s+(.+)$/.exec(label);
  if (!match) return { id: "", name: label, others: "" };
  const [name, ...others] = match[2].split(", ");
  return { id: match[1], name, others: others.join(", ") };
}

function asPercent(share) {
  if (share > 0 && share < 0.001) return "< 0.1 %";
  if (share < 1 && share > 0.999) return "> 99.9 %";
  return `${(100 * share).toFixed(1)} %`;
}

/** Rounded up: what is over a limit by a little must not read like the limit. */
function asMegabytes(bytes) {
  return `${Math.ceil((bytes / 2 ** 20) * 10) / 10} MB`;
}

function grouped(number) {
  return number.toLocaleString("en").replaceAll(",", "\u202f");
}

function counted(n, word) {
  return `${n} ${word}${n === 1 ? "" : "s"}`;
}

/** Tells a screen reader. */
function say(text) {
  const log = byId("said");
  log.append(element("p", {}, text));
  while (log.children.length > MOST_SAID) log.firstChild.remove();
}

// Waiting ------------------------------------------------------------------------------------------------------------

/** What a promise brings, unless the signal aborts first. */
function unlessAborted(promise, signal) {
  const aborted = new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  return Promise.race([promise, aborted]);
}

function sleep(seconds, signal) {
  return unlessAborted(new Promise((resolve) => setTimeout(resolve, 1000 * seconds)), signal);
}

// Clipboard ----------------------------------------------------------------------------------------------------------

/** Browsers keep `navigator.clipboard` from pages of another machine without TLS; the old way works there. */
async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = element("textarea", { class: "unseen", readonly: "" });
  const before = document.activeElement;
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  before?.focus();
  if (!done) throw new Error("not copied");
  return undefined;
}

function makeCopyButton(text, what, attributes) {
  const made = makeButton(
    text,
    async () => {
      const told = await copy(what()).then(
        () => "Copied",
        () => "Not allowed",
      );
      made.textContent = told;
      say(told);
      setTimeout(() => (made.textContent = text), 1500);
    },
    attributes,
  );
  return made;
}
