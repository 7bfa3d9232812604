// What is confused with what, and the table of classes.

function showConfusion() {
  const { pairs, counts } = data.confusion;
  showMatrix();
  const wrong = counts.reduce((sum, [t, p, count]) => sum + (t === p ? 0 : count), 0);
  const first = pairs.slice(0, 5);
  const share = first.reduce((sum, pair) => sum + pair.count, 0) / (wrong || 1);
  const [worst] = pairs;
  const few = counted(first.length, "most confused pair");
  const spread =
    pairs.length <= first.length
      ? `${counted(wrong, "mistake")} in all.`
      : share < 0.05
        ? `Its ${counted(wrong, "mistake")} are spread thinly: the ${few} make up ${roundPercent(share)} of them.`
        : `Of ${counted(wrong, "mistake")}, ${roundPercent(share)} are in the ${few}.`;
  say(
    "confusion",
    worst
      ? `${spread} The worst: ${nameOf(worst.true)}, taken for ${nameOf(worst.predicted)} ` +
          `${worst.count === 1 ? "once" : counted(worst.count, "time")} (${roundPercent(worst.share)} of its images).`
      : "It confused no classes.",
  );
  const items = pairs.map((pair) => {
    const [row, column] = [placeOf.get(pair.true), placeOf.get(pair.predicted)];
    const words = [className(pair.true), element("span", { class: "to" }, " taken for "), className(pair.predicted)];
    const button = element("button", { type: "button", class: "pair" }, element("span", {}, ...words));
    button.append(element("b", {}, `${pair.count.toLocaleString("en")} (${roundPercent(pair.share)})`));
    button.title = "Show it in the matrix";
    button.addEventListener("click", () => {
      const span = Math.min(sight.span, 30);
      look(column + 0.5 - span / 2, row + 0.5 - span / 2, span);
      keepCell(row, column);
    });
    const shown = examplesOf(pair.true, pair.predicted).map(cardButton);
    const peeks = element("div", { class: "peeks" }, ...shown);
    return element("li", { "data-cell": `${row} ${column}` }, button, peeks);
  });
  byId("pairs").append(...items);
}

// Classes ------------------------------------------------------------------------------------------------------------

/** Order of values: numbers by size, words by their letters, what is lacking last. */
function compare(a, b) {
  if (!there(a) || !there(b)) return Number(!there(a)) - Number(!there(b));
  return typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
}

/** The interval of a class, on a scale from `least` to 1. */
function intervalBar(row, average, least) {
  const at = (share) => (share - least) / (1 - least);
  const made = element("span", { class: "interval", "aria-hidden": "true" }, element("i"), element("b"), element("u"));
  return styled(made, {
    "--low": at(row.low),
    "--high": at(row.high),
    "--value": at(row.top1),
    "--mean": at(average),
  });
}

const MARKS = {
  low: ["worse", "Worse than the others by more than chance"],
  high: ["better", "Better by more than chance"],
};

function classColumns(average, least) {
  const number = (label, name, title) => ({
    label,
    title,
    value: (row) => row[name],
    cell: (row) => [percent(row[name])],
    kind: "number",
  });
  const interval = (row) => [
    element(
      "div",
      {},
      element("span", { class: "range" }, `${(100 * row.low).toFixed(1)} – ${(100 * row.high).toFixed(1)}`),
      intervalBar(row, average, least),
    ),
  ];
  const mark = (row) => {
    const [word, title] = MARKS[row.outlier] ?? [];
    return [className(row.class), word ? element("span", { class: `mark ${row.outlier}`, title }, word) : ""];
  };
  return [
    { label: "class", value: (row) => nameOf(row.class), cell: mark, kind: "head" },
    { label: "images", value: (row) => row.n, cell: (row) => [row.n.toLocaleString("en")], kind: "number" },
    number("top-1", "top1", "Share of its images whose first answer is right"),
    {
      label: "95 % interval",
      value: (row) => row.low,
      cell: interval,
      kind: "interval-cell",
      title: `Of top-1; sorts by its lower end. The scale is ${percent(least, 0)} to 100 %`,
    },
    number("top-5", "top5", "Share of its images where it is among the first five answers"),
    number("precision", "precision", "Where the network says this class, how often it is right"),
    number("confidence", "confidence", "Mean probability of the first answer on its images"),
  ];
}

function showClasses() {
  const rows = data.classes.filter((row) => row.n);
  const average = mean(rows.map((row) => row.top1));
  const least = Math.floor(10 * Math.min(0.9, ...rows.map((row) => row.low))) / 10;
  const columns = classColumns(average, least);
  const lines = rows.map((row) =>
    element(
      "tr",
      {},
      ...columns.map(({ cell, kind }) => element(kind === "head" ? "th" : "td", { class: kind }, ...cell(row))),
    ),
  );
  for (const line of lines) line.firstChild.scope = "row";
  const body = element("tbody");
  const heads = columns.map(({ label, title = label, kind }, k) => {
    const button = element("button", { type: "button", title }, label);
    const head = element("th", { scope: "col", class: kind }, button);
    button.addEventListener("click", () => sort(k, head.getAttribute("aria-sort") === "ascending"));
    return head;
  });
  const sort = (k, down) => {
    heads.forEach((head, at) =>
      at === k ? head.setAttribute("aria-sort", down ? "descending" : "ascending") : head.removeAttribute("aria-sort"),
    );
    const keyed = rows.map((row, at) => [columns[k].value(row), lines[at]]);
    keyed.sort(([a], [b]) => (down && there(a) && there(b) ? compare(b, a) : compare(a, b)));
    body.append(...keyed.map(([, line]) => line));
  };
  const table = element("table", { "aria-label": "Classes" }, element("thead", {}, element("tr", {}, ...heads)), body);
  sort(2, false);
  byId("table").append(table);

  const filter = () => {
    const wanted = byId("filter").value.trim().toLowerCase();
    let shown = 0;
    rows.forEach((row, at) => {
      const fits = labelOf(row.class).toLowerCase().includes(wanted) && (!byId("marked").checked || row.outlier);
      lines[at].hidden = !fits;
      shown += fits ? 1 : 0;
    });
    byId("count").textContent =
      shown === rows.length
        ? counted(shown, "class", "classes")
        : `${shown} of ${counted(rows.length, "class", "classes")}`;
  };
  byId("tools").addEventListener("input", filter);
  byId("tools").addEventListener("submit", (event) => event.preventDefault());
  filter();
  say("classes", whichAreHard(rows));
}

function whichAreHard(rows) {
  const sorted = [...rows].sort((a, b) => a.top1 - b.top1);
  const told = (some) => listed(some.map((row) => `${nameOf(row.class)} (${roundPercent(row.top1)})`));
  const few = Math.min(3, Math.ceil(rows.length / 2));
  const low = rows.filter((row) => row.outlier === "low").length;
  const lowest = low
    ? `${counted(low, "class is", "classes are")} worse than the others by more than chance`
    : "None is worse than the others by more than chance";
  return `Hardest: ${told(sorted.slice(0, few))}. Easiest: ${told(sorted.slice(-few).reverse())}. ${lowest}.`;
}
