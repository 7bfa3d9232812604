// The confusion matrix: a canvas, as a thousand classes are a million cells.

const order = data.confusion?.order ?? [];
const placeOf = new Map(order.map((c, place) => [c, place]));
const rowTotals = new Map(data.classes.map((row) => [row.class, row.n]));
// [row, column, count, share of its row], weak ones first: strong ones are drawn over them.
const cells = (data.confusion?.counts ?? [])
  .map(([t, p, count]) => [placeOf.get(t), placeOf.get(p), count, count / (rowTotals.get(t) || count)])
  .sort((a, b) => a[3] - b[3]);
const cellAt = new Map(cells.map((cell) => [cell[0] * order.length + cell[1], cell]));

const examples = new Map((data.confusion?.examples ?? []).map(([t, p, cards]) => [t * labels.length + p, cards]));

const FEWEST = Math.min(5, order.length); // classes in view, at the least
const frame = { left: 0, top: 0, side: 0 }; // pixels
const sight = { x: 0, y: 0, span: order.length }; // in cells
const pointed = { row: 0, column: 0, shown: false };
let kept = null;

/** Cards of images of one class that were taken for another, or for what they are. */
function examplesOf(t, p) {
  return examples.get(t * labels.length + p) ?? [];
}

function describeCell(row, column) {
  const [t, p] = [order[row], order[column]];
  const [, , count, share] = cellAt.get(row * order.length + column) ?? [0, 0, 0, 0];
  const of = `${count.toLocaleString("en")} of ${counted(rowTotals.get(t) ?? 0, "image")}`;
  return t === p
    ? `${nameOf(t)}: ${of} right (${roundPercent(share)})`
    : `${nameOf(t)}, taken for ${nameOf(p)}: ${of} (${roundPercent(share)})`;
}

/** Of colours for a text the one that stands out most (WCAG 2) on a colour that lies over another with this opacity. */
function legible(over, alpha, under, texts) {
  const channels = (colour) => {
    const digits = colour.length < 7 ? [...colour.slice(1)].flatMap((digit) => [digit, digit]).join("") : colour.slice(1);
    return [0, 2, 4].map((at) => parseInt(digits.slice(at, at + 2), 16) / 255);
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const below = channels(under);
  const ground = luminance(channels(over).map((v, k) => alpha * v + (1 - alpha) * below[k]));
  const contrast = (text) => {
    const light = luminance(channels(text));
    return (Math.max(light, ground) + 0.05) / (Math.min(light, ground) + 0.05);
  };
  return texts.reduce((best, text) => (contrast(text) > contrast(best) ? text : best));
}

function drawMatrix() {
  const canvas = byId("matrix");
  const { side, left, top } = frame;
  const ratio = devicePixelRatio || 1;
  canvas.width = (left + side) * ratio;
  canvas.height = (top + side) * ratio;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const style = getComputedStyle(document.documentElement);
  const tone = (name) => style.getPropertyValue(name).trim();
  const step = side / sight.span;
  const font = (size) => `${size}px ${getComputedStyle(document.body).fontFamily}`;
  const [x, y] = [(column) => left + (column - sight.x) * step, (row) => top + (row - sight.y) * step];

  pen.save();
  pen.beginPath();
  pen.rect(left, top, side, side);
  pen.clip();
  pen.fillStyle = tone("--card");
  pen.fillRect(left, top, side, side);
  if (step >= 6) {
    pen.strokeStyle = tone("--faint");
    pen.beginPath();
    for (let k = 0; k <= order.length; k++) {
      pen.moveTo(x(k), top);
      pen.lineTo(x(k), top + side);
      pen.moveTo(left, y(k));
      pen.lineTo(left + side, y(k));
    }
    pen.stroke();
  }
  const size = Math.max(step - (step >= 6 ? 1 : 0), 1.4); // else a count among a thousand classes is no whole pixel
  const [right, wrong] = [tone("--right"), tone("--wrong")];
  const toneOf = (row, column, share) =>
    row === column ? [right, 0.15 + 0.85 * share] : [wrong, Math.min(1, 0.1 + 1.6 * Math.sqrt(share))];
  const inSight = cells.filter(
    ([row, column]) =>
      row > sight.y - 1 && row < sight.y + sight.span && column > sight.x - 1 && column < sight.x + sight.span,
  );
  for (const [row, column, , share] of inSight) {
    [pen.fillStyle, pen.globalAlpha] = toneOf(row, column, share);
    pen.fillRect(x(column) + (step >= 6 ? 0.5 : 0), y(row) + (step >= 6 ? 0.5 : 0), size, size);
  }
  pen.globalAlpha = 1;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  if (step >= 20) {
    pen.font = font(Math.min(14, step * 0.42));
    for (const [row, column, count, share] of inSight) {
      const [over, alpha] = toneOf(row, column, share);
      pen.fillStyle = legible(over, alpha, tone("--card"), [tone("--ink"), tone("--on")]);
      pen.fillText(count, x(column + 0.5), y(row + 0.5));
    }
  }
  for (const [at, width] of [
    [kept, 2.5],
    [pointed.shown ? pointed : null, 1.5],
  ]) {
    if (!at) continue;
    pen.strokeStyle = tone("--ink");
    pen.lineWidth = width;
    const wide = Math.max(step - width, 4); // within the cell, so that the matrix's edge cuts nothing off
    pen.strokeRect(x(at.column) + (step - wide) / 2, y(at.row) + (step - wide) / 2, wide, wide);
  }
  pen.restore();
  pen.strokeStyle = tone("--line");
  pen.strokeRect(left + 0.5, top + 0.5, side - 1, side - 1);
  drawNames(pen, step, x, y, tone);
}

function nameFont() {
  return `12px ${getComputedStyle(document.body).fontFamily}`;
}

function drawNames(pen, step, x, y, tone) {
  const { side, left, top } = frame;
  pen.fillStyle = tone("--soft");
  pen.font = nameFont();
  pen.textBaseline = "middle";
  if (step < 12) {
    pen.textAlign = "center";
    pen.fillText("what the network says", left + side / 2, top - 12);
    pen.save();
    pen.translate(left - 12, top + side / 2);
    pen.rotate(-Math.PI / 2);
    pen.fillText("what the image is", 0, 0);
    pen.restore();
    return;
  }
  for (let k = Math.max(0, Math.floor(sight.x)); k < Math.min(order.length, sight.x + sight.span); k++) {
    if (x(k + 0.5) < left || x(k + 0.5) > left + side) continue;
    pen.save();
    pen.translate(x(k + 0.5), top - 8);
    pen.rotate(-Math.PI / 2);
    pen.textAlign = "left";
    pen.fillText(clipped(pen, nameOf(order[k]), top - 14), 0, 0);
    pen.restore();
  }
  pen.textAlign = "right";
  for (let k = Math.max(0, Math.floor(sight.y)); k < Math.min(order.length, sight.y + sight.span); k++) {
    if (y(k + 0.5) < top || y(k + 0.5) > top + side) continue;
    pen.fillText(clipped(pen, nameOf(order[k]), left - 14), left - 8, y(k + 0.5));
  }
}

/** Keeps the sight within the matrix. */
function look(x, y, span) {
  sight.span = Math.max(FEWEST, Math.min(order.length, span));
  sight.x = Math.max(0, Math.min(order.length - sight.span, x));
  sight.y = Math.max(0, Math.min(order.length - sight.span, y));
  // With all in sight a finger scrolls the page; zoomed in, it moves the matrix.
  byId("matrix").style.touchAction = sight.span < order.length ? "none" : "pan-x pan-y";
  requestAnimationFrame(drawMatrix);
}

/** Zooms by a factor about a point of the plot, given as shares of its side. */
function zoom(factor, u = 0.5, v = 0.5) {
  const span = Math.max(FEWEST, Math.min(order.length, sight.span / factor));
  look(sight.x + u * (sight.span - span), sight.y + v * (sight.span - span), span);
}

function keepCell(row, column) {
  kept = { row, column };
  byId("cell").textContent = describeCell(row, column);
  const [t, p] = [order[row], order[column]];
  const shown = examplesOf(t, p);
  const [, , count] = cellAt.get(row * order.length + column) ?? [0, 0, 0];
  const told = shown.length ? "The surest ones; each opens its card." : "No picture of these is in this page.";
  const note = element("p", { class: "note" }, `${told} All images are in images.csv.`);
  byId("cell-cards").replaceChildren(...shown.map(cardButton), ...(count > shown.length ? [note] : []));
  for (const item of byId("pairs").children) item.classList.toggle("kept", item.dataset.cell === `${row} ${column}`);
  drawMatrix();
}

/** Moves the cell that the keyboard points at, and the sight with it. */
function goTo(row, column) {
  const within = (value) => Math.max(0, Math.min(order.length - 1, value));
  Object.assign(pointed, { row: within(row), column: within(column), shown: true });
  const into = (at, from) => Math.min(at, Math.max(from, at + 1 - sight.span));
  look(into(pointed.column, sight.x), into(pointed.row, sight.y), sight.span);
  byId("cell").textContent = describeCell(pointed.row, pointed.column);
}

function listenToMatrix(canvas) {
  const fingers = new Map();
  let moved = 0;
  const shares = (event) => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left - frame.left) / frame.side, (event.clientY - box.top - frame.top) / frame.side];
  };
  const cellUnder = (event) => {
    const [u, v] = shares(event);
    if (u < 0 || v < 0 || u >= 1 || v >= 1) return null;
    return [Math.floor(sight.y + v * sight.span), Math.floor(sight.x + u * sight.span)];
  };
  canvas.addEventListener("pointerdown", (event) => {
    fingers.set(event.pointerId, event);
    moved = 0;
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (before) {
      const others = [...fingers.values()].filter((one) => one.pointerId !== event.pointerId);
      moved += Math.hypot(event.clientX - before.clientX, event.clientY - before.clientY);
      const [from, to] = [shares(before), shares(event)];
      if (others.length) {
        const apart = (one) => Math.hypot(one.clientX - others[0].clientX, one.clientY - others[0].clientY);
        zoom(apart(event) / Math.max(apart(before), 1), ...shares(others[0]));
      } else if (sight.span < order.length)
        look(sight.x + (from[0] - to[0]) * sight.span, sight.y + (from[1] - to[1]) * sight.span, sight.span);
      fingers.set(event.pointerId, event);
    }
    const cell = cellUnder(event);
    pointed.shown = cell !== null;
    if (cell) {
      [pointed.row, pointed.column] = cell;
      showTip(describeCell(...cell), event.clientX, event.clientY);
    } else hideTip();
    requestAnimationFrame(drawMatrix);
  });
  const lift = (event) => fingers.delete(event.pointerId);
  canvas.addEventListener("pointerup", (event) => {
    const cell = cellUnder(event);
    if (cell && moved < 6 && fingers.size === 1) keepCell(...cell);
    lift(event);
  });
  canvas.addEventListener("pointercancel", lift);
  canvas.addEventListener("pointerleave", () => {
    pointed.shown = false;
    hideTip();
    drawMatrix();
  });
  canvas.addEventListener(
    "wheel",
    (event) => {
      // With all in sight, who scrolls down reads on.
      if (event.deltaY > 0 && sight.span >= order.length) return;
      const [u, v] = shares(event);
      if (u < 0 || v < 0 || u > 1 || v > 1) return;
      event.preventDefault();
      zoom(Math.exp(-event.deltaY / 300), u, v);
    },
    { passive: false },
  );
  canvas.addEventListener("keydown", (event) => {
    const far = event.shiftKey ? 10 : 1;
    const steps = { ArrowUp: [-far, 0], ArrowDown: [far, 0], ArrowLeft: [0, -far], ArrowRight: [0, far] };
    const { row, column } = pointed;
    const [u, v] = [(column + 0.5 - sight.x) / sight.span, (row + 0.5 - sight.y) / sight.span];
    if (steps[event.key]) goTo(row + steps[event.key][0], column + steps[event.key][1]);
    else if (event.key === "+" || event.key === "=") zoom(1.5, u, v);
    else if (event.key === "-") zoom(1 / 1.5, u, v);
    else if (event.key === "Enter" || event.key === " ") keepCell(row, column);
    else return;
    event.preventDefault();
  });
}

function showMatrix() {
  const canvas = byId("matrix");
  const pen = canvas.getContext("2d");
  pen.font = nameFont();
  const longest = ends(labels.map((_, c) => pen.measureText(nameOf(c)).width))[1];
  responsive(canvas.parentElement, (width) => {
    // Of many classes there is room for names only when one zooms in.
    const most = width < 480 ? 84 : order.length > 50 ? 100 : 132;
    const names = Math.min(Math.max(longest + 18, 30), most);
    frame.left = frame.top = Math.round(names);
    frame.side = Math.min(width - frame.left, 640);
    styled(canvas, { width: `${frame.left + frame.side}px`, height: `${frame.top + frame.side}px` });
    drawMatrix();
  });
  byId("zoom-in").addEventListener("click", () => zoom(1.6));
  byId("zoom-out").addEventListener("click", () => zoom(1 / 1.6));
  byId("zoom-all").addEventListener("click", () => look(0, 0, order.length));
  listenToMatrix(canvas);
  look(0, 0, order.length);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawMatrix);
}
