// What all parts of the page share: its data, text, marks, scales and the tip under the pointer.
// Text of the data is put into the page as text alone: labels and names of files come from anywhere.

const data = JSON.parse(byId("data").textContent);
const { labels, thumbnails } = data;
const inside = (id, selector) => byId(id).querySelector(selector);

// Text ---------------------------------------------------------------------------------------------------------------

const NONE = "–";
const there = (value) => value !== null && value !== undefined;

function brief(value) {
  if (!there(value)) return NONE;
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return value.toLocaleString("en");
  const rounded = Number(value.toPrecision(3));
  return Math.abs(rounded) < 1e-3 || Math.abs(rounded) >= 1e6 ? rounded.toExponential() : String(rounded);
}

function percent(value, digits = 1) {
  return there(value) ? `${(100 * value).toFixed(digits)}\u00a0%` : NONE;
}

/** A percentage that says no more than is known: "96 %", "0.4 %", "100 %". */
function roundPercent(value) {
  return percent(value, value > 0 && value < 0.0995 ? 1 : 0);
}

/** A difference of two shares, in points of a hundred. */
function points(value) {
  const text = Math.abs(100 * value).toFixed(1);
  if (text === "0.0") return "0.0\u00a0points";
  return `${value > 0 ? "+" : "−"}${text}\u00a0points`;
}

function counted(n, word, several = `${word}s`) {
  return `${n.toLocaleString("en")} ${n === 1 ? word : several}`;
}

function asTime(hours) {
  if (!there(hours)) return NONE;
  const minutes = Math.round(60 * hours);
  if (minutes < 1) return "under a minute";
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

/** As much of a text as a canvas's pen writes into some pixels. */
function clipped(pen, text, pixels) {
  const wide = pen.measureText(text).width;
  return wide > pixels ? `${text.slice(0, Math.max(2, Math.floor((text.length * pixels) / wide) - 1))}…` : text;
}

function listed(words) {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

function labelOf(c) {
  return labels[c] ?? `class ${c}`;
}

// "n01440764 tench, Tinca tinca" is a tench; other labels are what they are.
const shorts = labels.map((label) => (/^n\d{8} ./.test(label) ? label.slice(10).split(", ")[0] : label));

function nameOf(c) {
  return shorts[c] ?? labelOf(c);
}

// Elements -----------------------------------------------------------------------------------------------------------

/** An element with CSS variables: what a style sheet draws a number with. */
function styled(made, variables) {
  for (const [name, value] of Object.entries(variables)) made.style.setProperty(name, value);
  return made;
}

/** A bar that fills `share` of its track. */
function bar(share, tone = "") {
  const fill = element("span", { class: `bar ${tone}`, "aria-hidden": "true" }, element("i"));
  return styled(fill, { "--share": Math.max(0, Math.min(1, share)) });
}

/** An entry of a key: a swatch and its words, which stay together. */
function keyItem(colour, words, look = "") {
  return element("span", {}, styled(element("i", { class: look }), { "--tone": colour }), words);
}

function say(id, finding, note) {
  inside(id, ".finding").textContent = finding;
  if (note !== undefined) inside(id, ".note").textContent = note;
}

/** Rows of cells, strings or nodes; the first cell of each is its head. */
function plainTable(caption, heads, rows) {
  const head = element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text)));
  const body = rows.map(([first, ...rest]) =>
    element("tr", {}, element("th", { scope: "row" }, first), ...rest.map((cell) => element("td", {}, cell))),
  );
  const table = element("table", { "aria-label": caption }, element("thead", {}, head), element("tbody", {}, ...body));
  return element("div", { class: "box", tabindex: 0, role: "group", "aria-label": caption }, table);
}

/** Draws into `host` now and whenever the width inside its padding changes. */
function responsive(host, draw) {
  let last = 0;
  new ResizeObserver(([entry]) => {
    const width = Math.floor(entry.contentRect.width);
    if (!width || width === last) return;
    last = width;
    draw(width);
  }).observe(host);
}

// The tip ------------------------------------------------------------------------------------------------------------

function showTip(text, x, y) {
  const tip = byId("tip");
  tip.textContent = text;
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  const left = x + 14 + box.width > innerWidth - 8 ? x - 14 - box.width : x + 14;
  const top = Math.min(y + 14, innerHeight - box.height - 8);
  tip.style.transform = `translate(${Math.max(8, left)}px, ${Math.max(8, top)}px)`;
}

function hideTip() {
  byId("tip").hidden = true;
}

function announce(text) {
  byId("said").textContent = text;
}

// Scales: {place(value) -> 0..1, ticks: [[place, text]]} --------------------------------------------------------------

/** A scale of numbers. `pad`: room at its ends, as a share. */
function numberScale([first, last], { log = false, pad = 0, whole = false, text = brief } = {}) {
  const [bend, back] = log ? [Math.log10, (value) => 10 ** value] : [(value) => value, (value) => value];
  let [low, high] = [bend(first), bend(last)];
  const room = high > low ? (high - low) * pad : Math.abs(high) * 0.05 || 0.5;
  [low, high] = [low - room, high + room];
  const place = (value) => (bend(value) - low) / (high - low);
  const at = first === last ? [first] : roundNumbers(back(low), back(high), log);
  const kept = whole ? at.filter(Number.isInteger) : at;
  return { place, ticks: kept.map((value) => [place(value), text(value)]) };
}
