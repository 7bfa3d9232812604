// The plots, drawn anew when their width or the colours change.

const UNFINISHED = trials.map((trial) => trial.state !== "finished");
const many = trials.length > 40;
let paint = null; // {of: a colour for each trial, legend}

// Intervals of the groups --------------------------------------------------------------------------------------------

function intervalPlot() {
  const members = (group) => group.ids.map((id) => valueOf.get(id)).filter((value) => typeof value === "number");
  const valueOf = new Map(trials.map((trial) => [trial.id, trial.objective]));
  const all = groups.flatMap((group) => [group.mean, ...members(group)]);
  const scale = objectiveScale(all, { pad: 0.12, cut: true });
  const width = 220,
    height = 22,
    middle = height / 2;
  const at = (value) => 6 + scale.place(value) * (width - 12);
  const [least, most] = [0, 1].map((share) => 6 + share * (width - 12));
  const label = `${asObjective(Math.min(...all))} – ${asObjective(scale.cut ?? Math.max(...all))}`;
  const draw = (group) => {
    const svg = picture(width, height, `${groupName(group)}: mean ${asObjective(group.mean)}, n = ${group.n}`);
    svg.append(drawn("line", { class: "grid", x1: 0, x2: width, y1: middle, y2: middle }));
    if (group.half !== null) {
      // The scale ends at its ends; below 0 a logarithmic one has no place at all.
      const [low, high] = [group.mean - group.half, group.mean + group.half].map((value) => at(value) || least);
      svg.append(drawn("path", { class: "interval", d: `M${low} ${middle}H${high}` }));
      const cap = (x) =>
        x <= least
          ? `M${x + 4} ${middle - 4}l-4 4l4 4`
          : x >= most
            ? `M${x - 4} ${middle - 4}l4 4l-4 4`
            : `M${x} ${middle - 4}v8`;
      svg.append(drawn("path", { class: "interval", d: cap(low) + cap(high) }));
    }
    for (const value of members(group))
      svg.append(drawn("circle", { class: "seed", cx: at(value), cy: middle, r: 2.6 }));
    svg.append(drawn("circle", { class: "interval-mean", cx: at(group.mean), cy: middle, r: 4 }));
    return svg;
  };
  return { label, draw };
}

// What plots share ---------------------------------------------------------------------------------------------------

/** Axes of a plot; returns where a point lies. `x`, `y`: scales; `area`: {left, right, top, bottom} in pixels. */
function axes(svg, x, y, area, xName, yName) {
  const px = (share) => area.left + share * (area.right - area.left);
  const py = (share) => area.bottom - share * (area.bottom - area.top);
  for (const [at, text] of roomy(y.ticks, 18 / (area.bottom - area.top))) {
    svg.append(drawn("line", { class: "grid", x1: area.left, x2: area.right, y1: py(at), y2: py(at) }));
    svg.append(drawn("text", { x: area.left - 6, y: py(at) + 4, "text-anchor": "end" }, text));
  }
  const room = Math.max(...x.ticks.map(([, text]) => Math.min(text.length, 12)), 2) * 6.6 + 8;
  for (const [at, text] of roomy(x.ticks, room / (area.right - area.left))) {
    svg.append(drawn("line", { class: "axis", x1: px(at), x2: px(at), y1: area.bottom, y2: area.bottom + 4 }));
    svg.append(
      drawn(
        "text",
        { x: px(at), y: area.bottom + 17, "text-anchor": "middle" },
        clipped(text, 80),
        drawn("title", {}, text),
      ),
    );
  }
  svg.append(drawn("line", { class: "axis", x1: area.left, x2: area.right, y1: area.bottom, y2: area.bottom }));
  const name = clipped(xName, area.right - area.left);
  svg.append(
    drawn(
      "text",
      { class: "name", x: (area.left + area.right) / 2, y: area.bottom + 34, "text-anchor": "middle" },
      name,
      drawn("title", {}, xName),
    ),
  );
  svg.append(drawn("text", { class: "name", x: 8, y: 15 }, yName));
  return (xValue, yValue) => [px(x.place(xValue)), py(y.place(yValue))];
}

function distanceToLine(x, y, a, b) {
  const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
  const along = Math.max(0, Math.min(1, ((x - a[0]) * dx + (y - a[1]) * dy) / (dx * dx + dy * dy || 1)));
  return Math.hypot(x - a[0] - along * dx, y - a[1] - along * dy);
}

/** Under the pointer the nearest of the lines [[i, points]] is highlighted and described; a click keeps it so. */
function listenToPointer(svg, lines, describe, reach) {
  const nearest = (event) => {
    const box = svg.getBoundingClientRect(),
      x = event.clientX - box.left,
      y = event.clientY - box.top;
    let best = null,
      least = reach;
    for (const [i, points] of lines) {
      if (!shown[i]) continue;
      for (let k = 0; k < points.length; k++) {
        if (points[k] === null) continue;
        const far = distanceToLine(x, y, points[k], points[k + 1] ?? points[k]);
        if (far < least) [best, least] = [{ i, k: closer(points, k, x) }, far];
      }
    }
    return best;
  };
  const closer = (points, k, x) =>
    points[k + 1] && Math.abs(points[k + 1][0] - x) < Math.abs(points[k][0] - x) ? k + 1 : k;
  const show = (event) => {
    const best = nearest(event);
    if (best) hover(best.i, describe(best.i, best.k), event.clientX, event.clientY);
    else hover(null);
  };
  svg.addEventListener("pointermove", show);
  svg.addEventListener("pointerdown", show);
  // A finger leaves before it clicks.
  svg.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && hover(null));
  svg.addEventListener("click", () => {
    if (view.hover !== null) pin(view.hover, true);
  });
}

function showLegend(host) {
  const swatch = (colour, word) => {
    const mark = element("i", word.ramp ? { class: "ramp" } : {});
    if (!word.ramp) mark.style.background = colour;
    return mark;
  };
  const entries = paint.legend.map((entry) =>
    entry.ramp
      ? element("span", {}, entry.word, swatch("", entry), entry.end)
      : element("span", {}, swatch(entry.colour, entry), entry.word),
  );
  host.replaceChildren(element("span", {}, `${view.colouring}:`), ...entries);
}

// Curves -------------------------------------------------------------------------------------------------------------

function drawCurves() {
  const host = byId("curves"),
    width = host.clientWidth,
    height = Math.min(400, Math.max(280, width * 0.42));
  const points = trials.flatMap((trial) => trial.curve.filter(([, value]) => value !== null));
  byId("curves-note").textContent =
    `${objective.name} by epoch, one line a trial. A ring ends a trial that is not finished` +
    ", a cross one that failed, diverged or was refused." +
    (data.thinned ? ` Of long curves ${data.thinned} points are kept.` : "");
  if (!points.length) return sayEmpty(host, "Nothing was measured yet.");
  const svg = picture(width, height, `${objective.name} by epoch of ${counted(trials.length, "trial")}`);
  const x = numberScale([0, ...points.map(([epoch]) => epoch)]);
  const y = objectiveScale(
    points.map(([, value]) => value),
    { pad: 0.04 },
  );
  const place = axes(svg, x, y, { left: 58, right: width - 18, top: 28, bottom: height - 44 }, "epoch", objective.name);
  const lines = [];
  const layer = drawn("g", { class: many ? "many" : "" });
  trials.forEach((trial, i) => {
    const line = trial.curve.map(([epoch, value]) => (value === null ? null : place(epoch, value)));
    const end = line.findLast((point) => point !== null);
    if (!end) return;
    lines.push([i, line]);
    const path = drawn("path", { class: "trial", "data-trial": i, d: pathOf(line) });
    path.style.stroke = paint.of[i];
    layer.append(path);
    if (!UNFINISHED[i] && line.length > 1) return;
    const [ex, ey] = end;
    const cross = ["failed", "diverged", "refused"].includes(trial.state);
    const mark = drawn("path", {
      class: "trial end",
      "data-trial": i,
      d: cross ? `M${ex - 4} ${ey - 4}l8 8m0 -8l-8 8` : `M${ex - 3} ${ey}a3 3 0 1 0 6 0a3 3 0 1 0 -6 0`,
    });
    mark.style.stroke = paint.of[i];
    if (!UNFINISHED[i]) mark.style.fill = paint.of[i];
    layer.append(mark);
  });
  svg.append(layer);
  const describe = (i, k) =>
    `epoch ${brief(trials[i].curve[k][0])}: ${asObjective(trials[i].curve[k][1])}\n${describeTrial(i)}`;
  listenToPointer(svg, lines, describe, 24);
  host.replaceChildren(svg);
}

// Effects of one field -----------------------------------------------------------------------------------------------

/** Where means are drawn: [from, to, mean] on the field's scale. */
function meansOf(k, scale) {
  const finished = trials.filter((trial) => trial.state === "finished" && trial.objective !== null);
  const few = scale.words || distinct[k].size <= 10;
  const bins = new Map();
  for (const trial of finished) {
    const at = scale.place(trial.values[k]),
      sixth = Math.min(5, Math.floor(at * 6));
    const [from, to] = few || trial.values[k] === null ? [at, at] : [sixth / 6, (sixth + 1) / 6];
    const bin = bins.get(`${from} ${to}`) ?? { from, to, values: [] };
    bin.values.push(trial.objective);
    bins.set(`${from} ${to}`, bin);
  }
  // A mean of one or two says nothing about a range.
  return [...bins.values()]
    .filter(({ from, to, values }) => from === to || values.length > 2)
    .map(({ from, to, values }) => [from, to, values.reduce((a, b) => a + b) / values.length]);
}

function drawEffects() {
  const host = byId("effects");
  const there = trials.map((_, i) => i).filter((i) => trials[i].objective !== null);
  if (!there.length || !fields.length) return sayEmpty(host, "There is no trial with a value of the objective yet.");
  const boxes = varied.map(
    (k) => host.querySelector(`[data-field="${k}"]`) ?? element("div", { class: "effect", "data-field": k }),
  );
  host.replaceChildren(...boxes);
  const y = objectiveScale(
    there.map((i) => trials[i].objective),
    { pad: 0.06, cut: true },
  );
  varied.forEach((k, at) => {
    const width = boxes[at].clientWidth,
      height = 230;
    const svg = picture(width, height, `${objective.name} by ${fields[k]}`);
    const scale = fieldScale(k);
    const inner = (share) => 0.06 + 0.88 * share; // room for dots at both ends
    const x = {
      place: (value) => inner(scale.place(value)),
      ticks: scale.ticks.map(([place, text]) => [inner(place), text]),
    };
    const area = { left: 58, right: width - 12, top: 28, bottom: height - 42 };
    const place = axes(svg, x, y, area, `${shortNames[k]}${scale.log ? " (log)" : ""}`, objective.name);
    const layer = drawn("g", { class: many ? "many" : "" });
    const spread = distinct[k].size <= 10 ? Math.min(26, (0.4 * (area.right - area.left)) / distinct[k].size) : 0;
    const lines = there.map((i, n) => {
      const [cx, cy] = place(trials[i].values[k], trials[i].objective);
      // Dots of one value lie beside each other.
      const aside = there.length > 1 ? (((n * 0.618) % 1) - 0.5) * spread : 0;
      const dot = drawn("circle", {
        class: `trial${UNFINISHED[i] ? " hollow" : ""}`,
        "data-trial": i,
        cx: cx + aside,
        cy,
        r: 3.6,
      });
      dot.style.stroke = paint.of[i];
      if (!UNFINISHED[i]) dot.style.fill = paint.of[i];
      layer.append(dot);
      return [i, [[cx + aside, cy]]];
    });
    svg.append(layer);
    for (const [from, to, mean] of meansOf(k, scale)) {
      const left = area.left + inner(from) * (area.right - area.left),
        right = area.left + inner(to) * (area.right - area.left);
      const wider = from === to ? Math.max(10, spread / 2 + 5) : 0,
        my = area.bottom - y.place(mean) * (area.bottom - area.top);
      svg.append(
        drawn(
          "line",
          { class: "mean", x1: left - wider, x2: right + wider, y1: my, y2: my },
          drawn("title", {}, `mean ${asObjective(mean)}`),
        ),
      );
    }
    listenToPointer(svg, lines, describeTrial, 14);
    boxes[at].replaceChildren(svg);
  });
}

// Importance ---------------------------------------------------------------------------------------------------------

function showImportance() {
  const n = trials.filter((trial) => trial.objective !== null).length,
    note = byId("importance-note");
  if (!data.importance.length) {
    const vary = fields.filter((_, k) => distinct[k].size > 1).length;
    note.textContent =
      "Which field decides is estimated from 8 trials with a value and two fields that vary on: so far there " +
      `${n === 1 ? "is" : "are"} ${counted(n, "such trial")} and ${counted(vary, "such field")}.`;
    return;
  }
  note.textContent =
    `Permutation importance in a random forest over ${counted(n, "trial")}: how much worse the forest tells ` +
    `${objective.name} when a field's values are shuffled, as shares of the whole, among the values tried.`;
  const bars = data.importance.map(([name, share]) => {
    const bar = element("div", { class: "bar" });
    bar.style.width = `${100 * share}%`;
    const k = fields.indexOf(name);
    return [
      element("span", { class: "name", title: name }, shortNames[k] ?? name),
      element("div", { class: "track" }, bar),
      element("span", { class: "number" }, `${(100 * share).toFixed(0)} %`),
    ];
  });
  byId("importance").replaceChildren(...bars.flat());
}
