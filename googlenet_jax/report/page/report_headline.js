// The headline, and how the network compares with another.

function interval(one, text) {
  return there(one.low) ? `${text(one.low)} – ${text(one.high)}` : "";
}

function bigNumber(name, one, text, title) {
  const range = interval(one, text);
  const parts = [element("dt", {}, name), element("dd", { class: "big" }, text(one.value))];
  if (range) parts.push(element("dd", { class: "range" }, range));
  return element("div", { title }, ...parts);
}

function showHeadline() {
  const { title, kind, source, step, family, image_size: size, dataset, headline, left_out: absent } = data;
  document.title = `${title}: report`;
  byId("title").textContent = title;
  byId("kind").textContent = kind;
  const about = [
    `${counted(dataset.images, "image")} of ${dataset.name}, ${counted(labels.length, "class", "classes")}`,
    `${family}, ${size} px`,
    there(step) ? `step ${step.toLocaleString("en")}` : null,
    source,
  ];
  byId("about").textContent = about.filter(there).join(" · ");
  const numbers = element("dl");
  for (const [name, one, text, title] of [
    ["Top-1", headline.top1, percent, "Share of images whose first answer is right; below, its 95 % interval"],
    ["Top-5", headline.top5, percent, "Share of images with the right class among the first five answers"],
    ["Loss", headline.loss, (value) => value.toFixed(3), "Cross-entropy in nats"],
  ])
    if (there(one?.value)) numbers.append(bigNumber(name, one, text, title));
  for (const [name, value] of [
    ["Epochs", there(headline.epochs) ? brief(headline.epochs) : null],
    ["Training", there(headline.hours) ? asTime(headline.hours) : null],
    ["Images a second", there(headline.images_per_second) ? brief(headline.images_per_second) : null],
  ])
    if (value) numbers.append(element("div", { class: "lesser" }, element("dt", {}, name), element("dd", {}, value)));
  byId("numbers").append(numbers);

  const { top1 } = headline;
  const told = [
    `It names ${percent(top1.value)} of these images right. On other images of the same kind, expect ` +
      `${percent(top1.low)} to ${percent(top1.high)} (95 %).`,
  ];
  const lost = dataset.unreadable;
  if (lost) told.push(`${counted(lost, "image")} could not be read, and ${lost === 1 ? "is" : "are"} not counted.`);
  if (data.baseline) told.push(verdict(data.baseline).short);
  byId("conclusion").textContent = told.join(" ");
  byId("absent").hidden = !absent.length;
  inside("absent", "ul").append(...absent.map((line) => element("li", {}, line)));

  const { recipe, repeat } = headline;
  const changed = recipe.map(({ field, value, default: usual }) => [element("code", {}, field), value, usual]);
  byId("recipe").append(
    recipe.length
      ? plainTable("What differs from the defaults", ["differs from the defaults", "here", "default"], changed)
      : element("p", { class: "note" }, "Nothing differs from the defaults, or the recipe is not known."),
  );
  const again = [
    ["This report", data.command],
    ["This training", repeat],
  ].filter(([, command]) => command);
  byId("again").append(...again.map(([name, command]) => fact(name, element("code", {}, command))));
}

// Against the baseline -----------------------------------------------------------------------------------------------

/** What McNemar's test on the same images says, in words. */
function verdict(baseline) {
  const { only_this: won, only_baseline: lost, both, neither, p, title } = baseline;
  const n = won + lost + both + neither;
  const difference = (won - lost) / n;
  const half = (1.96 * Math.sqrt(Math.max(won + lost - (won - lost) ** 2 / n, 0))) / n;
  const range = `${points(difference - half)} to ${points(difference + half)}`;
  const often = p > 0.95 ? "nearly always" : `${Math.round(1000 * p)} times in a thousand`;
  const odds = p < 0.001 ? "less than once in a thousand" : often;
  if (p >= 0.05)
    return {
      short: `Against ${title}: tied within noise (${points(difference)} of top-1).`,
      long:
        `Tied within noise: ${points(difference)} of top-1 (95 % interval ${range}). Of two equally good networks, ` +
        `one would be ahead by as much ${odds}. More images or more seeds would tell.`,
      tone: "tied",
    };
  const word = difference > 0 ? "Better" : "Worse";
  return {
    short: `${word} than ${title}: ${points(difference)} of top-1, more than chance explains.`,
    long:
      `${word} than ${title}: ${points(difference)} of top-1 (95 % interval ${range}). Two equally good networks ` +
      `would be this far apart ${odds}${p >= 0.01 ? ": likely real, not certain" : ""}.`,
    tone: difference > 0 ? "good" : "bad",
  };
}

function showBaseline() {
  const { baseline, headline } = data;
  const { only_this: won, only_baseline: lost, both, neither, p, title, gained } = baseline;
  const { long, tone } = verdict(baseline);
  const n = won + lost + both + neither;
  const chance = p < 1e-4 ? "< 0.0001" : `= ${Number(p.toPrecision(2))}`;
  const note =
    `McNemar's test on the same ${counted(n, "image")}, p ${chance}. ` +
    "It counts only the images on which the two differ. It does not know of seeds: another training of either may " +
    "end elsewhere.";
  say("baseline", long, note);
  inside("baseline", ".finding").classList.add(tone);
  const sides = [
    ["Top-1", "top1", percent],
    ["Top-5", "top5", percent],
    ["Loss", "loss", (value) => value.toFixed(3)],
  ]
    .filter(([, key]) => there(headline[key]?.value) && there(baseline[key]?.value))
    .map(([name, key, text]) => {
      const change = headline[key].value - baseline[key].value;
      const cell = (one) => text(one.value) + (there(one.low) ? ` (${interval(one, text)})` : "");
      const by = key === "loss" ? `${change > 0 ? "+" : "−"}${Math.abs(change).toFixed(3)}` : points(change);
      return [name, cell(headline[key]), cell(baseline[key]), by];
    });
  byId("sides").append(plainTable("Against the baseline", ["", data.title, title, "difference"], sides));

  const parts = [
    ["both right", both, "--other"],
    ["right here alone", won, "--right"],
    ["right in the baseline alone", lost, "--wrong"],
    ["both wrong", neither, "--faint"],
  ];
  const stack = element("div", { class: "stack", "aria-hidden": "true" });
  const key = element("p", { class: "key" });
  for (const [name, count, colour] of parts) {
    const part = element("i", { title: `${name}: ${counted(count, "image")}` });
    stack.append(styled(part, { "--tone": `var(${colour})`, "--share": count / n }));
    key.append(keyItem(`var(${colour})`, `${name}: ${count.toLocaleString("en")}`));
  }
  byId("flips").append(stack, key);
  byId("h-gained").textContent = `Right here, wrong in ${title}: ${counted(won, "image")}`;
  byId("h-lost").textContent = `Wrong here, right in ${title}: ${counted(lost, "image")}`;
  showCards(byId("gained"), gained);
  showCards(byId("lost"), baseline.lost);
}
