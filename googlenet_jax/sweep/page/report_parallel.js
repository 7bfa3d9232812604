// Parallel coordinates with brushes; and the page is put together.

const AXIS_GAP = 92; // pixels between axes at least: with more fields than fit, the plot scrolls inside its box

function drawParallel() {
  const host = byId("parallel");
  const there = objectives.filter((value) => value !== null);
  if (!trials.length || !fields.length) return sayEmpty(host, "There is no trial yet.");
  const columns = varied.map((k) => {
    const scale = fieldScale(k);
    return {
      name: `${shortNames[k]}${scale.log ? " (log)" : ""}`,
      full: fields[k],
      scale,
      of: (i) => trials[i].values[k],
    };
  });
  if (there.length) {
    const name = `${objective.name} ${objective.larger_is_better ? "↑" : "↓"}`;
    const full = `${objective.name}, ${objective.larger_is_better ? "larger" : "smaller"} is better`;
    columns.push({
      name,
      full,
      scale: objectiveScale(there, { pad: 0.02, cut: true }),
      of: (i) => objectives[i],
      last: true,
    });
  }
  const width = Math.max(host.clientWidth, AXIS_GAP * columns.length + 40),
    height = 380;
  const svg = picture(width, height, `Parallel coordinates of ${columns.map((column) => column.full).join(", ")}`);
  const top = 52,
    bottom = height - 22,
    left = 62,
    right = width - 62;
  const gap = columns.length > 1 ? (right - left) / (columns.length - 1) : 0;
  columns.forEach((column, c) => {
    column.x = columns.length > 1 ? left + c * gap : width / 2;
  });
  const y = (share) => bottom - share * (bottom - top);
  const lines = trials.map((_, i) => [
    i,
    columns
      .filter((column) => !(column.last && objectives[i] === null))
      .map((column) => [column.x, y(column.scale.place(column.of(i)))]),
  ]);

  const layer = drawn("g", { class: many ? "many" : "" });
  for (const [i, points] of lines) {
    const path = drawn("path", {
      class: `trial${objectives[i] === null ? " lacking" : ""}`,
      "data-trial": i,
      d: pathOf(points),
    });
    path.style.stroke = paint.of[i];
    layer.append(path);
  }
  svg.append(layer);
  columns.forEach((column, c) =>
    svg.append(...axisWithBrush(column, c, { y, top, bottom, gap: gap || width / 2, wide: columns.length })),
  );
  listenToPointer(svg, lines, describeTrial, 16);
  host.replaceChildren(svg);
}

/** An axis with its name, ticks, and a handle along which a range is dragged. */
function axisWithBrush(column, c, { y, top, bottom, gap, wide }) {
  const made = [];
  const anchor = column.x < 80 && wide > 1 ? "start" : column.last ? "end" : "middle";
  const nameX = anchor === "start" ? 10 : anchor === "end" ? column.x + 54 : column.x;
  const nameY = c % 2 && wide > 2 ? 32 : 16; // neighbours' names at two heights
  made.push(
    drawn(
      "text",
      { class: "name", x: nameX, y: nameY, "text-anchor": anchor },
      clipped(column.name, wide > 2 ? 1.7 * gap : gap),
      drawn("title", {}, column.full),
    ),
  );
  made.push(drawn("line", { class: "axis", x1: column.x, x2: column.x, y1: top, y2: bottom }));
  for (const [at, text] of roomy(column.scale.ticks, 14 / (bottom - top))) {
    const side = column.last ? 1 : -1; // to the right of the last axis no line passes
    made.push(drawn("line", { class: "axis", x1: column.x + 4 * side, x2: column.x, y1: y(at), y2: y(at) }));
    made.push(
      drawn(
        "text",
        { class: "tick", x: column.x + 7 * side, y: y(at) + 4, "text-anchor": side < 0 ? "end" : "start" },
        clipped(text, Math.min(c ? gap - 24 : 52, 150)),
        drawn("title", {}, text),
      ),
    );
  }
  const kept = view.brushes.get(column.full);
  const band = drawn("rect", { class: "brush", x: column.x - 8, width: 16, y: 0, height: 0 });
  const showBand = (from, to) => {
    band.setAttribute("y", y(to));
    band.setAttribute("height", Math.max(0, y(from) - y(to)));
  };
  if (kept) showBand(kept.from, kept.to);
  const handle = drawn("rect", { class: "handle", x: column.x - 14, width: 28, y: top - 8, height: bottom - top + 16 });
  const share = (event) => {
    const box = handle.ownerSVGElement.getBoundingClientRect();
    return (bottom - (event.clientY - box.top)) / (bottom - top);
  };
  let begun = null;
  handle.addEventListener("pointerdown", (event) => {
    event.stopPropagation(); // no trial is highlighted meanwhile
    hover(null);
    begun = share(event);
    handle.setPointerCapture(event.pointerId);
  });
  handle.addEventListener("pointermove", (event) => {
    if (begun === null) return;
    event.stopPropagation();
    const [from, to] = [begun, share(event)].sort((a, b) => a - b);
    if ((to - from) * (bottom - top) < 4) return;
    const within = (i) => {
      const value = column.of(i);
      const at = column.last && value === null ? -1 : column.scale.place(value);
      return at >= from && at <= to;
    };
    showBand(from, to);
    view.brushes.set(column.full, { from, to, holds: within });
    refresh();
  });
  // A finger scrolls nothing here.
  handle.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
  const end = (event) => {
    if (begun !== null && Math.abs(share(event) - begun) * (bottom - top) < 4) {
      view.brushes.delete(column.full);
      showBand(0, 0);
      refresh();
    }
    begun = null;
  };
  handle.addEventListener("pointerup", end);
  handle.addEventListener("pointercancel", end);
  handle.addEventListener("click", (event) => event.stopPropagation());
  return [...made, band, handle];
}

// The page -----------------------------------------------------------------------------------------------------------

function drawAll() {
  paint = colourings.get(view.colouring)();
  drawCurves();
  drawParallel();
  drawEffects();
  const there = objectives.filter((value) => value !== null),
    cut = there.length && objectiveScale(there, { cut: true }).cut;
  const beyond = cut ? `Values of ${objective.name} above ${asObjective(cut)} are drawn at the end of its axis.` : "";
  document.querySelectorAll(".cut").forEach((host) => {
    host.textContent = beyond;
  });
  document.querySelectorAll(".legend").forEach((host) => trials.length && showLegend(host));
  refresh();
}

showHeadline();
showGroups();
showTrials();
listenToTools();
showImportance();
drawAll();

let drawnAt = document.documentElement.clientWidth;
new ResizeObserver(() => {
  const width = document.documentElement.clientWidth;
  if (width !== drawnAt) {
    drawnAt = width;
    requestAnimationFrame(drawAll);
  }
}).observe(document.documentElement);
document.addEventListener("pointerdown", (event) => event.target.closest("svg, tr") || hover(null));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
