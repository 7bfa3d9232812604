// What all parts of the page share: its data, text, scales and colours.
// Text of the data is put into the page as text alone: names, values and errors come from anywhere.

const data = JSON.parse(byId("data").textContent);
const { trials, fields, groups, objective } = data;
const isPercent = /top\d$/.test(objective.name);

// The last part of a field's name, where no two fields share it.
const shortNames = fields.map((name) => {
  const last = name.split(".").pop();
  return fields.filter((other) => other.split(".").pop() === last).length > 1 ? name : last;
});
// Fields with more than one value; all of them where there is none.
const distinct = fields.map(
  (_, k) => new Map(trials.map((trial) => [JSON.stringify(trial.values[k]), trial.values[k]])),
);
const varied = fields
  .map((_, k) => k)
  .filter((k, _, all) => distinct[k].size > 1 || all.every((j) => distinct[j].size < 2));

// Text ---------------------------------------------------------------------------------------------------------------

function brief(value) {
  if (value === null || value === undefined) return "none";
  if (Array.isArray(value)) return value.map(brief).join(",");
  if (typeof value === "boolean") return value ? "True" : "False"; // as the verdict and the command line have them
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return String(value);
  const rounded = Number(value.toPrecision(4));
  return Math.abs(rounded) < 1e-4 || Math.abs(rounded) >= 1e7 ? rounded.toExponential() : String(rounded);
}

function asPercent(value) {
  return value === null ? "–" : `${(100 * value).toFixed(2)} %`;
}

/** A value of the objective, or a spread of it. */
function asObjective(value) {
  if (value === null || isPercent) return asPercent(value);
  return Math.abs(value) >= 1e5 || (value && Math.abs(value) < 1e-4) ? value.toExponential(3) : value.toPrecision(4);
}

function asTime(seconds) {
  if (!seconds) return "–";
  if (seconds < 60) return `${Number(seconds.toPrecision(2))} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

function counted(n, word) {
  return `${n} ${word}${n === 1 ? "" : "s"}`;
}

function clipped(text, pixels) {
  const most = Math.max(4, Math.floor(pixels / 6.6));
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

function describeTrial(i) {
  const trial = trials[i];
  const values = varied.map((k) => `${shortNames[k]} = ${brief(trial.values[k])}`);
  return [`${trial.id} (${trial.state})`, ...values, `${objective.name} ${asObjective(trial.objective)}`].join("\n");
}

function sayEmpty(host, text) {
  host.replaceChildren(element("p", { class: "empty" }, text));
}

// Scales: {place(value) -> 0..1, ticks: [[place, text]]} --------------------------------------------------------------

const identity = (value) => value;

/** A scale of numbers. `pad`: room at its ends, as a share; `few`: ticks at the values themselves if they are few. */
function numberScale(values, { log = false, pad = 0, few = false, text = brief } = {}) {
  const [bend, back] = log ? [Math.log10, (value) => 10 ** value] : [identity, identity];
  let [low, high] = ends(values).map(bend);
  const room = high > low ? (high - low) * pad : Math.abs(high) * 0.05 || 0.5;
  [low, high] = [low - room, high + room];
  const known = [...new Set(values)].sort((a, b) => a - b);
  const at = few && known.length <= 8 ? known : roundNumbers(back(low), back(high), log);
  const place = (value) => Math.max(0, Math.min(1, (bend(value) - low) / (high - low)));
  return { place, ticks: at.map((value) => [place(value), text(value)]) };
}

function ratio(values) {
  const [low, high] = ends(values);
  return low > 0 ? high / low : 0;
}

/** Whether numbers lie more evenly on a logarithmic axis, as 0.01, 0.1, 1 do; uniform draws, some near 0, do not. */
function isLogarithmic(values) {
  if (ratio(values) < 4) return false;
  const uneven = (log) => {
    const { place } = numberScale(values, { log });
    return Math.abs(values.reduce((sum, value) => sum + place(value), 0) / values.length - 0.5);
  };
  return uneven(true) <= uneven(false) + 1e-9;
}

/** The scale of a field: of numbers, or of words one beside the other; where a trial has no value, at its lower end. */
function fieldScale(k) {
  const values = [...distinct[k].values()].sort(compare);
  const there = values.filter((value) => value !== null);
  if (there.length && there.every((value) => typeof value === "number")) {
    const log = isLogarithmic(there) || (data.log_fields.includes(fields[k]) && ratio(there) > 1);
    const scale = numberScale(there, { log, few: true });
    if (there.length === values.length) return { ...scale, log };
    const lift = (at) => 0.25 + 0.75 * at;
    const ticks = [[0, "none"], ...scale.ticks.map(([at, text]) => [lift(at), text])];
    return { place: (value) => (value === null ? 0 : lift(scale.place(value))), ticks, log };
  }
  const order = new Map(values.map((value, i) => [JSON.stringify(value), (i + 0.5) / values.length]));
  return {
    place: (value) => order.get(JSON.stringify(value)),
    ticks: values.map((v) => [order.get(JSON.stringify(v)), brief(v)]),
    log: false,
    words: true,
  };
}

/** The scale of the objective. Where `cut`, losses far beyond the others' lie at its end, and hide no differences. */
function objectiveScale(values, { pad = 0, cut = false } = {}) {
  const text = isPercent ? (value) => `${brief(Number((100 * value).toPrecision(4)))} %` : brief;
  if (isPercent) return numberScale(values, { pad, text });
  const sorted = [...values].sort((a, b) => a - b);
  const quarter = (q) => sorted[Math.round(q * (sorted.length - 1))];
  const most = cut ? quarter(0.75) + 4 * (quarter(0.75) - quarter(0.25)) : Infinity;
  const kept = sorted.filter((value) => value <= most);
  const scale = numberScale(kept, { log: ratio(kept) > 10, pad, text });
  return { ...scale, cut: kept.length < sorted.length ? kept.at(-1) : null };
}

/** Ticks that have room: `gap` as a share of the axis. */
function roomy(ticks, gap) {
  let last = -Infinity;
  return [...ticks].sort((a, b) => a[0] - b[0]).filter(([at]) => at - last >= gap && ((last = at), true));
}

/** Order of any two values: numbers by size, others by their text, what is lacking last. */
function compare(a, b) {
  const lacking = (value) => value === null || value === undefined || value === "";
  if (lacking(a) || lacking(b)) return lacking(a) - lacking(b);
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (Array.isArray(a) && Array.isArray(b)) {
    for (let k = 0; k < Math.min(a.length, b.length); k++) if (compare(a[k], b[k])) return compare(a[k], b[k]);
    return a.length - b.length;
  }
  return brief(a).localeCompare(brief(b), "en", { numeric: true });
}

// Colours ------------------------------------------------------------------------------------------------------------

const PALETTE = 7;
const seedless = fields.map((_, k) => k).filter((k) => fields[k] !== "seed");
const groupOfValues = new Map(groups.map((group, g) => [JSON.stringify(group.values), g]));
const groupOf = trials.map((trial) => groupOfValues.get(JSON.stringify(seedless.map((k) => trial.values[k]))));
const groupName = (group) =>
  seedless.map((k, at) => `${shortNames[k]}=${brief(group.values[at])}`).join(" ") || "as it is";

function ramp(share) {
  const style = getComputedStyle(document.documentElement);
  const stops = ["--r0", "--r1", "--r2"].map((name) => parseInt(style.getPropertyValue(name).trim().slice(1), 16));
  const [from, to, part] = share < 0.5 ? [stops[0], stops[1], 2 * share] : [stops[1], stops[2], 2 * share - 1];
  const channels = [16, 8, 0].map((shift) =>
    Math.round(((from >> shift) & 255) * (1 - part) + ((to >> shift) & 255) * part),
  );
  return `rgb(${channels.join(" ")})`;
}

function colourByWords(words, order) {
  const at = new Map(order.slice(0, PALETTE).map((word, i) => [word, `var(--c${i})`]));
  const legend = [...at].map(([word, colour]) => ({ word, colour }));
  if (words.some((word) => !at.has(word))) legend.push({ word: "others", colour: "var(--other)" });
  return { of: words.map((word) => at.get(word) ?? "var(--other)"), legend };
}

function colourByNumbers(values, scale, text) {
  const known = [...new Set(values.filter((value) => typeof value === "number"))].sort((a, b) => a - b);
  const few = known.length <= PALETTE;
  const share = (v) => (known.length < 2 ? 1 : few ? known.indexOf(v) / (known.length - 1) : scale.place(v));
  const of = values.map((value) => (typeof value === "number" ? ramp(share(value)) : "var(--other)"));
  const legend = few
    ? known.map((value) => ({ word: text(value), colour: ramp(share(value)) }))
    : [{ word: text(known[0]), ramp: true, end: scale.cut ? `${text(scale.cut)} and above` : text(known.at(-1)) }];
  if (known.length < 1 || values.some((value) => typeof value !== "number"))
    legend.push({ word: "none", colour: "var(--other)" });
  return { of, legend };
}

/** By what trials may be coloured: name -> a function that makes {of: a colour for each trial, legend}. */
const colourings = new Map();
if (groups.length > 1 && seedless.length) {
  const name = (g) => (g === undefined ? "others" : groupName(groups[g]));
  colourings.set("group", () =>
    colourByWords(
      groupOf.map(name),
      groups.map((_, g) => name(g)),
    ),
  );
}
const objectives = trials.map((trial) => trial.objective);
colourings.set(objective.name, () => {
  const there = objectives.filter((value) => value !== null);
  return colourByNumbers(objectives, there.length ? objectiveScale(there, { cut: true }) : null, asObjective);
});
for (const k of varied) {
  const values = trials.map((trial) => trial.values[k]);
  const scale = fieldScale(k);
  colourings.set(fields[k], () =>
    scale.words
      ? colourByWords(values.map(brief), [...distinct[k].values()].sort(compare).map(brief))
      : colourByNumbers(values, { place: scale.place }, brief),
  );
}
colourings.set("state", () =>
  colourByWords(
    trials.map((trial) => trial.state),
    Object.keys(data.states),
  ),
);
