// Whether its probabilities mean what they say.

/** How much surer it is than right, in the mean over bins. */
function excess(bins) {
  const n = bins.reduce((sum, bin) => sum + bin.n, 0) || 1;
  return bins.reduce((sum, bin) => sum + bin.n * (bin.confidence - bin.accuracy), 0) / n;
}

function describeBin(bin) {
  const { confidence, accuracy, low, high, n } = bin;
  const right = `${percent(accuracy)} of them right (${percent(low)} – ${percent(high)})`;
  return `${counted(n, "image")} about ${roundPercent(confidence)} sure\n${right}`;
}

/** A diagram of bins: how sure, against how often right; below, how many images are where. */
function reliability(host, title, bins, least) {
  responsive(host, (width) => {
    const height = Math.min(width, 380) + 30;
    const told = bins.map((bin) => `${roundPercent(bin.confidence)} sure, ${roundPercent(bin.accuracy)} right`);
    const words = `${title}: ${told.join("; ")}`;
    const svg = picture(width, height, words);
    const scale = numberScale([least, 1], { text: (value) => `${Math.round(100 * value)}` });
    const [px, py] = axes(svg, scale, scale, width, height, `${title}: % right`, "% sure");
    svg.append(drawn("path", { class: "perfect", d: `M${px(least)} ${py(least)}L${px(1)} ${py(1)}` }));
    const most = Math.max(...bins.map((bin) => bin.n));
    for (const bin of bins) {
      const x = px(bin.confidence);
      const group = drawn("g", { class: "bin" }, drawn("title", {}, describeBin(bin)));
      const tall = 34 * (bin.n / most);
      group.append(drawn("rect", { class: "size", x: x - 3, y: py(least) - tall, width: 6, height: tall }));
      group.append(drawn("path", { class: "gap", d: `M${x} ${py(bin.confidence)}V${py(bin.accuracy)}` }));
      const [from, to] = [py(Math.max(bin.low, least)), py(Math.min(bin.high, 1))];
      group.append(drawn("path", { class: "whisker", d: `M${x} ${from}V${to}M${x - 3} ${from}h6M${x - 3} ${to}h6` }));
      group.append(drawn("circle", { cx: x, cy: py(bin.accuracy), r: 4 }));
      group.addEventListener("pointermove", (event) => showTip(describeBin(bin), event.clientX, event.clientY));
      group.addEventListener("pointerleave", hideTip);
      svg.append(group);
    }
    host.replaceChildren(svg);
  });
}

/** What became of a score of which less is better. */
function compared(before, after) {
  if (Math.abs(after - before) < 0.005 * Math.abs(before)) return "the same";
  return after < before ? "better" : "worse";
}

function showCalibration() {
  const { before, after, temperature, fitted_on: fitted, measured_on: measured } = data.calibration;
  const over = excess(before.bins);
  const how =
    Math.abs(over) < 0.01
      ? "Its probabilities mean what they say, in the mean"
      : over > 0
        ? `It is surer than it should be: by ${points(over).slice(1)}, in the mean`
        : `It is less sure than it could be: by ${points(-over).slice(1)}, in the mean`;
  const gain = !after
    ? ""
    : after.ece < 0.8 * before.ece
      ? ` With its scores divided by a temperature of ${temperature.toFixed(2)}, it is off by ${percent(after.ece)} ` +
        `in place of ${percent(before.ece)} (ECE).`
      : ` A temperature (${temperature.toFixed(2)}) does not improve on that by much: ` +
        `ECE ${percent(after.ece)}, before ${percent(before.ece)}.`;
  const note =
    "A dot on the diagonal: where it is 80 % sure, it is right 80 % of the time. Dots below: too sure; above: too " +
    "modest. Bars are 95 % intervals; the blocks at the bottom say how many images a bin has. " +
    (after
      ? `The temperature was fitted on ${counted(fitted, "image")}, and both diagrams are measured on ` +
        `${counted(measured, "other")}.`
      : "");
  say("calibration", `${how}.${gain}`, note);
  const low = Math.min(
    0.9,
    ...[before, after].flatMap((one) => (one?.bins ?? []).flatMap((bin) => [bin.confidence, bin.low])),
  );
  for (const [title, one] of [
    ["As it is", before],
    ["With the temperature", after],
  ]) {
    if (!one) continue;
    const host = element("div", { class: "chart square" });
    byId("reliability").append(host);
    reliability(host, title, one.bins, Math.floor(5 * low) / 5);
  }
  const rows = [
    ["ECE", "ece", percent, "how far confidence is from accuracy, in the mean"],
    ["Brier score", "brier", brief, "squared distance from the truth"],
    ["NLL", "nll", brief, "negative log-likelihood of the labels, in nats"],
  ].map(([name, key, text, what]) => [
    element("span", {}, name, element("span", { class: "soft" }, ` ${what}`)),
    text(before[key]),
    after ? text(after[key]) : NONE,
    after ? compared(before[key], after[key]) : NONE,
  ]);
  const heads = ["less is better", "as it is", "with the temperature", ""];
  byId("scores").append(plainTable("Scores of calibration, less is better", heads, rows));
}
