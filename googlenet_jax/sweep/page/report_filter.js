// Which trials are shown, and which of them is highlighted: in the table and in all plots at once.

const view = { text: "", states: new Set(), brushes: new Map(), colouring: "", hover: null, pin: null };
const shown = trials.map(() => true);

// Filter -------------------------------------------------------------------------------------------------------------

const words = trials.map((trial) =>
  [
    trial.id,
    trial.state,
    trial.job,
    trial.error,
    trial.log,
    ...trial.values.map((value, k) => `${fields[k]}=${brief(value)}`),
  ]
    .join(" ")
    .toLowerCase(),
);

/** The value that a name in the filter stands for; undefined if there is none of this name. */
function named(trial, name) {
  const k = fields.findIndex((field, at) => field === name || shortNames[at] === name);
  return k >= 0 ? trial.values[k] : name === objective.name ? trial.objective : name === "id" ? trial.id : trial[name];
}

function fits(i, term) {
  const parts = /^([\w.]+)(<=|>=|=|<|>)(.+)$/.exec(term);
  const value = parts ? named(trials[i], parts[1]) : undefined;
  if (value === undefined) return words[i].includes(term.toLowerCase());
  const [, , sign, text] = parts,
    bound = Number(text.replace(/%$/, "")) / (text.endsWith("%") ? 100 : 1);
  if (sign === "=")
    return brief(value).toLowerCase() === text.toLowerCase() || (typeof value === "number" && value === bound);
  if (typeof value !== "number") return false;
  return sign[0] === "<"
    ? value < bound || (sign === "<=" && value === bound)
    : value > bound || (sign === ">=" && value === bound);
}

/** Shows what text, states and brushes let through, everywhere. */
function refresh() {
  const terms = view.text.split(/\s+/).filter(Boolean);
  trials.forEach((trial, i) => {
    shown[i] =
      terms.every((term) => fits(i, term)) &&
      (!view.states.size || view.states.has(trial.state)) &&
      [...view.brushes.values()].every((brush) => brush.holds(i));
  });
  for (const node of document.querySelectorAll("[data-trial]"))
    node.classList.toggle("off", !shown[node.dataset.trial]);
  const n = shown.filter(Boolean).length;
  byId("count").textContent = `${n} of ${trials.length} shown`; // always there: it must not move what is being dragged
  if (trialTable) reach(trialTable.body.querySelector("tr:not(.off)"));
  highlight();
}

function listenToTools() {
  const buttons = Object.entries(data.states).map(([state, n]) => {
    const button = element("button", { type: "button", "aria-pressed": false }, `${state} ${n}`);
    button.addEventListener("click", () => {
      view.states.delete(state) || view.states.add(state);
      button.setAttribute("aria-pressed", view.states.has(state));
      refresh();
    });
    return button;
  });
  byId("states").append(...buttons);
  byId("filter").placeholder = `words, or ${objective.name}${isPercent ? ">70%" : "<1.5"}`;
  byId("filter").addEventListener("input", (event) => {
    view.text = event.target.value;
    refresh();
  });
  byId("tools").addEventListener("submit", (event) => event.preventDefault());
  byId("colour").append(...[...colourings.keys()].map((name) => element("option", { value: name }, name)));
  view.colouring = byId("colour").value =
    groups.length > 1 && groups.length <= PALETTE && seedless.length ? "group" : objective.name;
  byId("colour").addEventListener("change", (event) => {
    view.colouring = event.target.value;
    drawAll();
  });
  byId("clear").addEventListener("click", () => {
    view.text = byId("filter").value = "";
    view.states.clear();
    view.brushes.clear();
    view.pin = view.hover = null;
    buttons.forEach((button) => button.setAttribute("aria-pressed", false));
    drawAll();
  });
}

// The trial in focus -------------------------------------------------------------------------------------------------

function hover(i, text, x, y) {
  if (view.hover !== i) {
    view.hover = i;
    highlight();
  }
  const tip = byId("tip");
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const { offsetWidth: width, offsetHeight: height } = tip;
  tip.style.left = `${x + 14 + width > innerWidth ? Math.max(4, x - 14 - width) : x + 14}px`;
  tip.style.top = `${Math.max(4, Math.min(y + 14, innerHeight - height - 4))}px`;
}

/** Keeps a trial highlighted, or no longer; `reveal`: scrolls the table, not the page, to its row. */
function pin(i, reveal = false) {
  view.pin = view.pin === i ? null : i;
  highlight();
  const row = reveal && view.pin !== null && trialTable.rows[i];
  if (row) byId("trials").scrollTop = row.offsetTop - byId("trials").clientHeight / 2;
}

function highlight() {
  const hot = new Set([view.hover, view.pin].filter((i) => i !== null && shown[i]));
  for (const node of document.querySelectorAll(".hot")) node.classList.remove("hot");
  for (const host of document.querySelectorAll(".plot, .effect")) host.classList.toggle("focus", hot.size > 0);
  trialTable?.rows.forEach((row, i) => row.classList.toggle("kept", i === view.pin));
  for (const i of hot) {
    for (const node of document.querySelectorAll(`[data-trial="${i}"]`)) {
      node.classList.add("hot");
      if (node.ownerSVGElement) node.parentNode.append(node); // above the others
    }
  }
}
