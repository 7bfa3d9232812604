// The headline, and tables that sort.

/**
 * A table. Columns are {label, title, value(item), text(item), cell(item), kind}: what is sorted by, its text or nodes;
 * without `value` a column does not sort.
 */
function makeTable(host, caption, columns, items, attributes = () => ({})) {
  const heads = columns.map(({ label, title, value, kind = "" }) => {
    const inside = value
      ? element("button", { type: "button", title: title ?? label }, label)
      : element("span", {}, label);
    return element("th", { scope: "col", class: kind === "number" ? kind : "" }, inside);
  });
  const rows = items.map((item) =>
    element(
      "tr",
      attributes(item),
      ...columns.map(({ value, text, cell, kind = "" }) =>
        element("td", { class: kind }, ...(cell ? cell(item) : [text ? text(item) : brief(value(item))])),
      ),
    ),
  );
  const body = element("tbody", {}, ...rows);
  const sort = (column, down) => {
    heads.forEach((head, c) =>
      c === column
        ? head.setAttribute("aria-sort", down ? "descending" : "ascending")
        : head.removeAttribute("aria-sort"),
    );
    const keyed = items.map((item, i) => [columns[column].value(item), rows[i]]);
    const lacking = (key) => key === null || key === "";
    keyed.sort(([a], [b]) => (lacking(a) || lacking(b) ? compare(a, b) : down ? compare(b, a) : compare(a, b)));
    body.append(...keyed.map(([, row]) => row));
  };
  heads.forEach((head, c) =>
    head
      .querySelector("button")
      ?.addEventListener("click", () => sort(c, head.getAttribute("aria-sort") === "ascending")),
  );
  const table = element("table", { "aria-label": caption }, element("thead", {}, element("tr", {}, ...heads)), body);
  host.replaceChildren(table);
  return { body, rows, sort };
}

function fieldColumns(places, valuesOf) {
  return places.map((k, at) => {
    const number = trials.some((trial) => typeof trial.values[k] === "number");
    return {
      label: shortNames[k],
      title: fields[k],
      value: (item) => valuesOf(item)[at],
      kind: number ? "number" : "wide",
    };
  });
}

function showHeadline() {
  document.title = data.title;
  byId("title").textContent = data.title;
  const states = Object.entries(data.states)
    .map(([state, n]) => `${n} ${state}`)
    .join(", ");
  const better = objective.larger_is_better ? "larger" : "smaller";
  byId("about").textContent =
    `Objective ${objective.name} (${better} is better) · ${counted(trials.length, "trial")}` +
    (states ? `: ${states}` : "");
  byId("verdict").textContent = data.verdict.text;
}

function showGroups() {
  const host = byId("groups");
  if (!groups.length) return sayEmpty(host, "No trial has finished yet.");
  const mark = (group) => {
    const g = groups.indexOf(group);
    const word =
      g === data.verdict.winner ? "best" : data.verdict.tied.length > 1 && data.verdict.tied.includes(g) ? "tied" : "";
    return word && groups.every((one) => one.n > 1) ? [element("span", { class: "badge" }, word)] : [];
  };
  const interval = (group) =>
    group.half === null ? "–" : `${asObjective(group.mean - group.half)} … ${asObjective(group.mean + group.half)}`;
  const plot = intervalPlot();
  const named = fieldColumns(seedless, (group) => group.values);
  const first = named.length <= 4; // many fields would push the numbers out of sight
  const table = makeTable(
    host,
    "Groups over seeds",
    [
      ...(first ? named : []),
      { label: "n", value: (group) => group.n, kind: "number" },
      {
        label: "mean",
        value: (group) => group.mean,
        kind: "number",
        cell: (group) => [...mark(group), asObjective(group.mean)],
      },
      { label: "sd", value: (group) => group.sd, text: (group) => asObjective(group.sd), kind: "number" },
      {
        label: "95 % interval",
        value: (group) => group.half,
        text: interval,
        kind: "number",
        title: "95 % confidence interval of the mean; sorts by its width",
      },
      { label: plot.label, cell: (group) => [plot.draw(group)] },
      ...(first ? [] : named),
    ],
    groups,
  );
  table.sort(1 + (first ? named.length : 0), objective.larger_is_better);
}

let trialTable = null;
function showTrials() {
  const host = byId("trials");
  if (!trials.length) return sayEmpty(host, "There is no trial yet.");
  const any = (name) => trials.some((trial) => trial[name]);
  const toned = (trial) => {
    const cell = element("span", { class: "state" }, trial.state);
    const tones = {
      finished: "--c2",
      running: "--c0",
      paused: "--c4",
      failed: "--c1",
      refused: "--c1",
      diverged: "--c3",
    };
    cell.style.setProperty("--tone", `var(${tones[trial.state] ?? "--other"})`);
    return [cell];
  };
  const log = (trial) => (trial.log ? [element("a", { href: trial.log, tabindex: -1 }, trial.log)] : ["–"]);
  const error = (trial) => [element("span", { class: "clamp" }, trial.error)];
  const number = (label, name, text, title) => ({
    label,
    title,
    value: (t) => t[name],
    text: (t) => text(t[name]),
    kind: "number",
  });
  const plain = (value) => (value === null ? "–" : brief(value));
  const columns = [
    { label: "trial", value: (trial) => trial.id },
    { label: "state", value: (trial) => trial.state, cell: toned },
    number("epochs", "epochs", plain),
    number(objective.name, "objective", asObjective, `${objective.name}, its last value`),
    ...fieldColumns(
      fields.map((_, k) => k),
      (trial) => trial.values,
    ),
    number("best top-1", "best_top1", asPercent, "best top-1 on validation images"),
    ...(objective.name === "val.top1"
      ? []
      : [number("last top-1", "last_top1", asPercent, "last top-1 on validation images")]),
    number("images/s", "images_per_second", plain),
    number("time", "seconds", asTime, "time of training"),
    number("attempts", "attempts", plain),
    ...(any("job") ? [{ label: "job", value: (trial) => trial.job }] : []),
    { label: "log", value: (trial) => trial.log, cell: log },
    ...(any("error") ? [{ label: "error", value: (trial) => trial.error, cell: error, kind: "long" }] : []),
  ];
  const index = new Map(trials.map((trial, i) => [trial, i]));
  trialTable = makeTable(host, "Trials", columns, trials, (trial) => ({
    "data-trial": index.get(trial),
    tabindex: -1,
  }));
  trialTable.sort(
    columns.findIndex((column) => column.label === objective.name),
    objective.larger_is_better,
  );
  const rowAt = (event) => event.target.closest("tr");
  trialTable.body.addEventListener("pointerover", (event) => rowAt(event) && hover(Number(rowAt(event).dataset.trial)));
  trialTable.body.addEventListener("pointerleave", () => hover(null));
  trialTable.body.addEventListener(
    "click",
    (event) => event.target.closest("a") || pin(Number(rowAt(event).dataset.trial)),
  );
  trialTable.body.addEventListener("focusin", (event) => reach(rowAt(event)));
  trialTable.body.addEventListener("focusout", () => hover(null));
  trialTable.body.addEventListener("keydown", (event) => {
    const row = rowAt(event),
      step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    if (step) {
      let next = row[step];
      while (next?.classList.contains("off")) next = next[step];
      next?.focus();
    } else if (event.target === row && (event.key === "Enter" || event.key === " ")) {
      pin(Number(row.dataset.trial));
    } else return;
    event.preventDefault();
  });
}

/** Tab reaches one row of the table, and the log in it; arrow keys go on from there. */
function reach(row) {
  for (const one of trialTable.body.querySelectorAll('[tabindex="0"]')) one.tabIndex = -1;
  if (!row) return;
  row.tabIndex = 0;
  const link = row.querySelector("a");
  if (link) link.tabIndex = 0;
  if (row.matches(":focus")) hover(Number(row.dataset.trial));
}
