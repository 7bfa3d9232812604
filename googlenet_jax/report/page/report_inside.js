// What is in the network: filters, branches, dead channels, heads, and what crops and precision change.

function panel(title, finding, ...content) {
  const heading = element("h3", {}, title);
  byId("panels").append(element("section", { class: "panel" }, heading, element("p", {}, finding), ...content));
}

function rowOf(name, share, text, tone = "") {
  return element("li", {}, element("span", { class: "name" }, name), bar(share, tone), element("b", {}, text));
}

function showBranches(branches) {
  const names = Object.keys(branches[0]).filter((name) => name !== "block");
  const legend = element("p", { class: "key" });
  names.forEach((name, k) => legend.append(keyItem(`var(--c${k})`, name)));
  const items = branches.map((row) => {
    const total = names.reduce((sum, name) => sum + (row[name] ?? 0), 0) || 1;
    const parts = names.map((name, k) => {
      const share = (row[name] ?? 0) / total;
      const text = share >= 0.12 ? `${Math.round(100 * share)}` : "";
      const part = element("i", { title: `${row.block}, ${name}: ${roundPercent(share)}` }, element("span", {}, text));
      return styled(part, { "--tone": `var(--c${k})`, "--share": share });
    });
    const told = names.map((name) => `${name} ${roundPercent((row[name] ?? 0) / total)}`).join(", ");
    const stack = element("span", { class: "stack", role: "img", "aria-label": told }, ...parts);
    return element("li", {}, element("span", { class: "name" }, row.block), stack);
  });
  const sums = names.map((name) => mean(branches.map((row) => row[name] ?? 0)));
  const most = names[sums.indexOf(Math.max(...sums))];
  const least = names[sums.indexOf(Math.min(...sums))];
  panel(
    "What each branch adds",
    `Shares of a block's activation, in %. Over all blocks ${most} gives most, ${least} least.`,
    legend,
    element("ul", { class: "stacks" }, ...items),
  );
}

function showDead(dead) {
  const [gone, all] = [dead.reduce((sum, row) => sum + row.dead, 0), dead.reduce((sum, row) => sum + row.channels, 0)];
  const rows = dead.filter((row) => row.dead).sort((a, b) => b.dead / b.channels - a.dead / a.channels);
  const items = rows
    .slice(0, 12)
    .map((row) => rowOf(row.layer, row.dead / row.channels, `${row.dead} of ${row.channels}`, "bad"));
  if (rows.length > 12)
    items.push(element("li", { class: "soft" }, `and ${counted(rows.length - 12, "layer")} with fewer`));
  const told = gone
    ? `${gone.toLocaleString("en")} of ${all.toLocaleString("en")} channels (${roundPercent(gone / all)}) are 0 on ` +
      "every image: they cost time and add nothing."
    : `All ${all.toLocaleString("en")} channels are above 0 somewhere: none is dead.`;
  panel("Dead channels", told, ...(items.length ? [element("ul", { class: "bars" }, ...items)] : []));
}

function showHeads(heads) {
  const [first, last] = [heads[0], heads.at(-1)];
  const told =
    heads.length > 1
      ? `From ${percent(first.top1)} early on to ${percent(last.top1)}: what the layers between add.`
      : `${percent(last.top1)} at the only head.`;
  const items = heads.map((head) => rowOf(head.name, head.top1, percent(head.top1)));
  panel("Top-1 at each head", told, element("ul", { class: "bars" }, ...items));
}

function showCrops(crops) {
  const [one, most] = [crops[0], crops.at(-1)];
  const gain = most.top1 - one.top1;
  const sure = most.p < 0.05; // by McNemar's test, as on the same images
  const told =
    `${most.crops} crops in place of ${one.crops}: ${points(gain)}, ` +
    (sure
      ? `at ${Math.round(most.crops / one.crops)} times the work.`
      : `which is within the noise of ${counted(one.images, "image")}.`);
  const change = (row) => (row === one ? "" : ` (${points(row.top1 - one.top1)})`);
  const items = crops.map((row) => rowOf(counted(row.crops, "crop"), row.top1, percent(row.top1) + change(row)));
  panel("Crops of an image", told, element("ul", { class: "bars" }, ...items));
}

function showPrecision(rows) {
  const [full] = rows;
  const told = rows.slice(1).map((row) => {
    const change = row.top1 - full.top1;
    return `${Math.abs(change) < 0.001 ? "the same" : points(change)} with ${row.name}`;
  });
  const table = plainTable(
    "Precision",
    ["", "top-1", "same answer", "images"],
    rows.map((row) => [row.name, percent(row.top1), percent(row.agreement), row.images.toLocaleString("en")]),
  );
  panel("Precision of numbers", told.length ? `Top-1 against ${full.name}: ${listed(told)}.` : "", table);
}

function showInside() {
  const { filters, branches, dead, heads, crops, precision } = data.inside;
  if (there(filters)) {
    const image = thumbnail(filters, "The 64 filters of the first layer, 8 by 8");
    image.classList.add("filters");
    panel(
      "First-layer filters",
      "Those of a trained network are edges, colours and gratings. Where most look like sand it did not train long " +
        "enough, or the learning rate was too high.",
      image,
    );
  }
  const parts = [
    [branches, showBranches],
    [heads, showHeads],
    [dead, showDead],
    [crops, showCrops],
    [precision, showPrecision],
  ];
  for (const [rows, show] of parts) if (rows?.length) show(rows);
}
