"use strict";
// What the pages of all packages share: elements, drawings and round numbers.
// Text of any origin is put into a page as text alone.

const byId = (id) => document.getElementById(id);

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children); // strings become text
  return made;
}

function drawn(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function picture(width, height, title) {
  return drawn("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title });
}

/** A path through points [x, y]; over null, a gap, no line leads. */
function pathOf(points) {
  let pen = "M";
  let text = "";
  for (const point of points) {
    if (point) text += `${pen}${point[0].toFixed(1)} ${point[1].toFixed(1)}`;
    pen = point ? "L" : "M";
  }
  return text;
}

/** The least and the greatest of values, of which there may be more than a function takes as arguments. */
function ends(values) {
  return values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
}

/** Values for the ticks of an axis. */
function roundNumbers(low, high, log) {
  const found = [];
  if (log) {
    const steps = Math.log10(high / low) < 2 ? [1, 2, 5] : [1];
    for (let e = Math.floor(Math.log10(low)); e <= Math.log10(high); e++)
      for (const step of steps) found.push(Number(`${step}e${e}`));
    if (found.filter((value) => value >= low && value <= high).length < 2) return roundNumbers(low, high, false);
  } else {
    const power = 10 ** Math.floor(Math.log10((high - low) / 4));
    const step = [1, 2, 5, 10].map((s) => s * power).find((s) => (high - low) / s <= 5.5);
    const first = Math.ceil(low / step - 1e-9); // a count of its own ends even where `first` is too large to be counted up
    for (let k = 0; k < 12; k++) found.push(Number(((first + k) * step).toPrecision(12)));
  }
  return found.filter((value) => value >= low * (1 - 1e-9) - 1e-12 && value <= high * (1 + 1e-9) + 1e-12);
}

