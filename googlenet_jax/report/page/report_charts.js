// Plots of lines, with values under the pointer and the arrow keys.

const AREA = { left: 50, right: 24, top: 30, bottom: 36 }; // pixels around a plot

/** Axes of a plot; returns where a point lies. */
function axes(svg, x, y, width, height, title, xName) {
  const [right, bottom] = [width - AREA.right, height - AREA.bottom];
  const px = (value) => AREA.left + x.place(value) * (right - AREA.left);
  const py = (value) => bottom - y.place(value) * (bottom - AREA.top);
  for (const [share, text] of y.ticks) {
    const at = bottom - share * (bottom - AREA.top);
    svg.append(drawn("path", { class: "grid", d: `M${AREA.left} ${at.toFixed(1)}H${right}` }));
    svg.append(drawn("text", { x: AREA.left - 7, y: at + 4, "text-anchor": "end" }, text));
  }
  for (const [share, text] of x.ticks) {
    const at = AREA.left + share * (right - AREA.left);
    svg.append(drawn("path", { class: "axis", d: `M${at.toFixed(1)} ${bottom}v4` }));
    svg.append(drawn("text", { x: at, y: bottom + 17, "text-anchor": "middle" }, text));
  }
  svg.append(drawn("path", { class: "axis", d: `M${AREA.left} ${bottom}H${right}` }));
  svg.append(drawn("text", { x: right, y: bottom + 32, "text-anchor": "end" }, xName));
  svg.append(drawn("text", { class: "name", x: 2, y: 15 }, title));
  return [px, py];
}

/** The point of a line that is nearest to x. */
function nearestPoint(line, x) {
  return line.points.reduce((best, point) => (Math.abs(point[0] - x) < Math.abs(best[0] - x) ? point : best));
}

/** The least and the greatest value of points, with their bands. */
function reach(points) {
  return ends(points.flatMap(([, y, sd = 0]) => [y - sd, y + sd]));
}

/**
 * A plot of lines {name, colour, dashed, points, hidden()}; a point [x, y, sd] has a band. Options: title, xName;
 * xText, yText (along the axes), tell (of a value of y); of y log, whole, range.
 * Returns a function that draws it anew.
 */
function lineChart(
  host,
  lines,
  { title, xName, xText = brief, yText = brief, tell = yText, log = false, whole = false, range = null },
) {
  let width = 0;
  const draw = () => {
    const shown = lines.filter((line) => !line.hidden?.());
    const all = (shown.length ? shown : lines).flatMap((line) => line.points);
    const height = Math.round(Math.min(250, Math.max(190, width * 0.58)));
    const svg = picture(width, height, describe(shown));
    const x = numberScale(ends(all.map((point) => point[0])), { text: xText });
    const y = numberScale(range ?? reach(all), {
      log,
      whole,
      pad: range ? 0 : 0.06,
      text: yText,
    });
    const [px, py] = axes(svg, x, y, width, height, title, xName);
    for (const line of shown) {
      const way = line.points.map(([at, value]) => [px(at), py(value)]);
      if (line.points.some((point) => point[2])) {
        const edge = (side) => line.points.map(([at, value, sd]) => [px(at), py(value + side * sd)]);
        const made = drawn("path", { class: "band", d: pathOf([...edge(1), ...edge(-1).reverse()]) });
        svg.append(styled(made, { "--tone": line.colour }));
      }
      const [[cx, cy]] = way;
      const made =
        way.length > 1
          ? drawn("path", { class: `line${line.dashed ? " dashed" : ""}`, d: pathOf(way) })
          : drawn("circle", { class: "dot", cx, cy, r: 3 });
      svg.append(styled(made, { "--tone": line.colour }));
    }
    const cross = drawn("g", { class: "cross" });
    svg.append(cross);
    svg.setAttribute("tabindex", 0);
    listen(svg, cross, shown, px, py);
    host.replaceChildren(svg);
  };
  const describe = (shown) => {
    const last = (line) => `${line.name} from ${tell(line.points[0][1])} to ${tell(line.points.at(-1)[1])}`;
    return `${title} by ${xName}: ${shown.map(last).join("; ")}`;
  };
  const listen = (svg, cross, shown, px, py) => {
    const stops = [...new Set(shown.flatMap((line) => line.points.map((point) => point[0])))].sort((a, b) => a - b);
    let stop = stops.length - 1;
    const leave = () => {
      cross.replaceChildren();
      hideTip();
    };
    /** Marks the values at a stop; lines that have none near it are left out. */
    const mark = (k, clientX, clientY) => {
      stop = k;
      const [at, near] = [stops[k], (stops.at(-1) - stops[0]) / 40];
      const found = shown
        .map((line) => [line, nearestPoint(line, at)])
        .filter(([, point]) => Math.abs(point[0] - at) <= near);
      const rule = drawn("path", {
        class: "axis",
        d: `M${px(at).toFixed(1)} ${AREA.top}V${svg.clientHeight - AREA.bottom}`,
      });
      const dots = found.map(([line, [x, y]]) =>
        styled(drawn("circle", { cx: px(x), cy: py(y), r: 3.5 }), { "--tone": line.colour }),
      );
      cross.replaceChildren(rule, ...dots);
      const told = ([, y, sd]) => (there(sd) ? `${tell(y)} ± ${tell(sd)}` : tell(y));
      const values = found.map(([line, point]) => `${line.name}: ${told(point)}`);
      const text = [`${xName} ${xText(at)}`, ...values].join("\n");
      showTip(text, clientX, clientY);
      return text;
    };
    const byPointer = (event) => {
      const x = event.clientX - svg.getBoundingClientRect().left;
      let best = 0;
      stops.forEach((at, k) => Math.abs(px(at) - x) < Math.abs(px(stops[best]) - x) && (best = k));
      if (stops.length) mark(best, event.clientX, event.clientY);
    };
    svg.addEventListener("pointermove", byPointer);
    svg.addEventListener("pointerdown", byPointer);
    svg.addEventListener("pointerleave", leave);
    svg.addEventListener("blur", leave);
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, Home: -stops.length, End: stops.length }[event.key];
      if (step === undefined || !stops.length) return;
      event.preventDefault();
      const box = svg.getBoundingClientRect();
      const next = Math.max(0, Math.min(stops.length - 1, stop + step));
      announce(mark(next, box.left + px(stops[next]), box.top + AREA.top));
    });
  };
  responsive(host, (room) => {
    width = room;
    draw();
  });
  return draw;
}

// Training -----------------------------------------------------------------------------------------------------------

const CURVES = [
  { name: "loss", title: "Loss" },
  { name: "top1", title: "Top-1", text: roundPercent },
  { name: "top5", title: "Top-5", text: roundPercent },
  { name: "learning_rate", title: "Learning rate", log: 3 },
  { name: "gradient_norm", title: "Gradient norm", log: 30 },
  { name: "loss_scale", title: "Loss scale", log: 3 },
  { name: "skipped_steps", title: "Skipped steps", least: 1, whole: true },
  { name: "images_per_second", title: "Images a second", least: 0 },
];

function showCurves() {
  const runs = [...new Set(data.curves.map((curve) => curve.run))];
  const colourOf = (run) => `var(--c${runs.indexOf(run) % 7})`;
  const off = new Set();
  const charts = [];
  for (const { name, title, text = brief, log = Infinity, least: floor, whole = false } of CURVES) {
    const found = data.curves
      .map((curve) => ({ ...curve, points: curve.points.filter((point) => there(point[1])) }))
      .filter((curve) => curve.name === name && curve.points.length);
    if (!found.length) continue;
    const both = new Set(found.map((curve) => curve.split)).size > 1;
    const lines = found.map(({ run, split, points }) => ({
      name: [...(runs.length > 1 ? [run] : []), both || runs.length < 2 ? split : ""].filter(Boolean).join(", "),
      colour: colourOf(run),
      dashed: both && split === "train",
      points,
      hidden: () => off.has(run),
    }));
    const [least, most] = reach(lines.flatMap((line) => line.points));
    const options = {
      title,
      xName: "epoch",
      yText: text,
      tell: text === roundPercent ? percent : text,
      whole,
      log: least > 0 && most / least >= log,
    };
    if (there(floor)) options.range = [0, Math.max(floor, 1.1 * most)];
    const host = element("div", { class: "chart", "data-curve": name });
    byId("charts").append(host);
    charts.push(lineChart(host, lines, options));
  }
  const buttons = runs.map((run) => {
    const { seeds } = data.curves.find((curve) => curve.run === run);
    const words = seeds > 1 ? `${run}: mean of ${seeds} seeds, ± sd` : run;
    const button = element("button", { type: "button", "aria-pressed": "true" }, element("i"), words);
    styled(button, { "--tone": colourOf(run) });
    button.addEventListener("click", () => {
      if (!off.delete(run)) off.add(run);
      button.setAttribute("aria-pressed", String(!off.has(run)));
      for (const draw of charts) draw();
    });
    return button;
  });
  inside("curves", ".legend").append(...buttons);
  say("curves", howItTrained(runs[0]));
}

/** What the first run's curves say: its best epoch, its end, and whether it went on to learn by heart. */
function howItTrained(run) {
  const of = (name, split) => {
    const found = data.curves.find((curve) => curve.name === name && curve.split === split && curve.run === run);
    return (found?.points ?? []).filter((point) => there(point[1]));
  };
  const told = [];
  const { seeds } = data.curves[0];
  const [top1, loss, trained] = [of("top1", "val"), of("loss", "val"), of("loss", "train")];
  if (top1.length) {
    const best = top1.reduce((a, b) => (b[1] > a[1] ? b : a));
    const last = top1.at(-1);
    if (seeds > 1)
      told.push(`Mean of ${seeds} seeds: top-1 ends at ${percent(last[1])} ± ${percent(last[2])} (standard deviation).`);
    told.push(
      best === last && top1.length > 1
        ? `Top-1 on validation images was still at its best, ${percent(last[1])}, at the end ` +
            `(epoch ${brief(last[0])}): a longer training may gain more.`
        : `Top-1 on validation images was best at epoch ${brief(best[0])}, ${percent(best[1])}, and ends at ` +
            `${percent(last[1])}.`,
    );
  }
  if (loss.length > 2 && trained.length) {
    const least = loss.reduce((a, b) => (b[1] < a[1] ? b : a));
    const then = trained.reduce((a, b) => (Math.abs(b[0] - least[0]) < Math.abs(a[0] - least[0]) ? b : a));
    if (loss.at(-1)[1] > 1.05 * least[1] && trained.at(-1)[1] < then[1])
      told.push(
        `Its loss there rises since epoch ${brief(least[0])}, from ${brief(least[1])} to ${brief(loss.at(-1)[1])}, ` +
          `while that on training images ends at ${brief(trained.at(-1)[1])}: it learns them by heart.`,
      );
    else
      told.push(
        `Loss ends at ${brief(trained.at(-1)[1])} on training images and ${brief(loss.at(-1)[1])} on validation ` +
          "images.",
      );
  }
  return told.join(" ");
}
