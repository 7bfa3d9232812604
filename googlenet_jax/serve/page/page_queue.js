// The pictures: how they come in, wait, and go to the server a few at a time.

const LANES = 2; // requests under way at once

const cards = new Set();
let waiting = [];
let under = 0;

// Queue --------------------------------------------------------------------------------------------------------------

function enqueue(...more) {
  for (const card of more) {
    card.result = null;
    card.tell("Waiting", true);
  }
  waiting.push(...more);
  proceed();
}

function proceed() {
  while (under < LANES && waiting.length) work(waiting.shift());
  showCount();
}

async function work(card) {
  under++;
  const started = performance.now();
  try {
    const result = await classify(card.file, card.abort.signal, (line) => card.tell(line));
    card.show(result, (performance.now() - started) / 1000);
  } catch (error) {
    if (card.abort.signal.aborted) return;
    if (!(error instanceof Refusal)) console.error(error);
    card.fail(error instanceof Refusal ? error : new Refusal("This page failed", { detail: String(error) }));
  } finally {
    under--;
    proceed();
  }
}

// Cards --------------------------------------------------------------------------------------------------------------

const actions = {
  again: enqueue,
  remove(card) {
    const next = card.element.nextElementSibling ?? card.element.previousElementSibling;
    drop([card]);
    (next?.querySelector(".top button") ?? byId("choose")).focus();
  },
};

function drop(gone) {
  for (const card of gone) {
    cards.delete(card);
    card.close();
  }
  waiting = waiting.filter((card) => cards.has(card));
  proceed();
}

function showCount() {
  byId("results").hidden = !cards.size;
  document.body.classList.toggle("filled", cards.size > 0);
  byId("h-results").textContent =
    counted(cards.size, "picture") + (waiting.length ? `, ${waiting.length} waiting` : "");
}

/** Takes files in; the newest come first, those given together in their order. */
function take(files) {
  const made = [...files].map((file) => new Card(file, actions));
  if (!made.length) return;
  byId("cards").prepend(...made.map((card) => card.element));
  for (const card of made) cards.add(card);
  say(`${counted(made.length, "picture")} given`);
  enqueue(...made);
}

byId("clear").addEventListener("click", () => {
  drop([...cards]);
  byId("choose").focus();
});

byId("model").addEventListener("change", () => cards.forEach((card) => card.offer()));

// Ways in ------------------------------------------------------------------------------------------------------------

for (const [button, input] of [
  ["choose", "files"],
  ["photo", "camera"],
]) {
  byId(button).addEventListener("click", () => byId(input).click());
  byId(input).addEventListener("change", (event) => {
    take(event.target.files);
    event.target.value = ""; // the same file may be chosen again
  });
}

document.addEventListener("paste", (event) => {
  const files = event.clipboardData?.files ?? [];
  if (files.length) {
    event.preventDefault();
    take(files);
  }
});

const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");

document.addEventListener("dragover", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  byId("veil").hidden = false;
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) byId("veil").hidden = true; // it left the window
});
document.addEventListener("drop", (event) => {
  byId("veil").hidden = true;
  if (!carriesFiles(event)) return;
  event.preventDefault(); // a browser would open the file instead of this page
  take(event.dataTransfer.files);
});

byId("copy-curl").replaceWith(makeCopyButton("Copy", () => byId("curl").textContent, { class: "quiet" }));
drawDots(document.querySelector(".dots"));
showCommand();
poll();
