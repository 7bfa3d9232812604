// Images, each with what the network makes of it.

const FIRST = innerWidth < 640 ? 4 : 8; // cards that are shown before one asks for all

/** A thumbnail; a drawing that says so where there is none. */
function thumbnail(t, alt) {
  if (!thumbnails[t]) return element("span", { class: "thumb lacking", role: "img", "aria-label": alt });
  const image = element("img", { class: "thumb", alt, decoding: "async" });
  image.src = thumbnails[t];
  return image;
}

/** A class's name, its whole label where that says more. */
function className(c, attributes = {}) {
  const full = labelOf(c);
  return element("span", full === nameOf(c) ? attributes : { title: full, ...attributes }, nameOf(c));
}

function probabilities(card) {
  const items = card.top.map(([c, share]) => {
    const tone = c === card.true ? "good" : c === card.predicted ? "bad" : "";
    const mark = c === card.true ? element("abbr", { title: "the label" }, "✓") : "";
    return element(
      "li",
      {},
      className(c, { class: "name" }),
      mark,
      bar(share, tone),
      element("b", {}, roundPercent(share)),
    );
  });
  return element("ol", { class: "bars" }, ...items);
}

function fact(term, ...value) {
  return element("div", {}, element("dt", {}, term), element("dd", {}, ...value));
}

/** Where an image lies; a long path is parted at its folders. */
function fileName(name) {
  const parts = name.split("/").flatMap((part, k) => (k ? ["/", element("wbr"), part] : [part]));
  return element("p", { class: "file" }, ...parts);
}

/** All of a card but its picture. */
function cardText(card) {
  const facts = element("dl", {}, fact("labelled", className(card.true)));
  const right = card.predicted === card.true;
  facts.append(
    fact(right ? "predicted, right" : "predicted", className(card.predicted, { class: right ? "good" : "bad" })),
  );
  if (there(card.baseline)) facts.append(fact("baseline said", className(card.baseline)));
  if (there(card.suggested))
    facts.append(fact("looks like", className(card.suggested, { class: "more" }), ` (${roundPercent(card.score)})`));
  const parts = [facts, probabilities(card)];
  if (card.nearest) {
    const { thumb, name, class: c } = card.nearest;
    const words = element("span", {}, "Nearest training image: ", className(c, { class: "name" }));
    parts.push(element("p", { class: "nearest", title: name }, thumbnail(thumb, "nearest training image"), words));
  }
  parts.push(fileName(card.name));
  return parts;
}

function makeCard(card) {
  const alt = `${labelOf(card.true)}, ${card.name}`;
  return element("article", { class: "card" }, thumbnail(card.thumb, alt), ...cardText(card));
}

/** A small picture that opens its card. */
function cardButton(card) {
  const title = `${nameOf(card.true)}, predicted ${nameOf(card.predicted)}: ${card.name}`;
  const button = element("button", { type: "button", class: "peek", title }, thumbnail(card.thumb, title));
  button.addEventListener("click", () => {
    const viewer = byId("viewer");
    viewer.lastElementChild.replaceChildren(makeCard(card));
    viewer.showModal();
  });
  return button;
}

/** Fills a grid with cards: the first of them, and a button for the others. */
function showCards(host, cards, make = makeCard, none = "There is none.") {
  if (!cards.length) return host.replaceChildren(element("p", { class: "empty" }, none));
  host.replaceChildren(...cards.slice(0, FIRST).map(make));
  const rest = cards.slice(FIRST);
  if (!rest.length) return undefined;
  const button = element("button", { type: "button", class: "rest" }, `Show all ${cards.length}`);
  const open = () => {
    if (!button.isConnected) return;
    const made = rest.map(make);
    button.replaceWith(...made);
    made[0].setAttribute("tabindex", -1);
    made[0].focus({ preventScroll: true });
  };
  button.addEventListener("click", open);
  addEventListener("beforeprint", open);
  host.append(button);
  return undefined;
}

function showMistakes() {
  showCards(inside("mistakes", ".cards"), data.mistakes, makeCard, "It made no mistake.");
}

function showUncertain() {
  showCards(inside("uncertain", ".cards"), data.uncertain);
}

function showSuspects() {
  showCards(inside("suspects", ".cards"), data.suspects, makeCard, "No label looks wrong.");
}

// Where it looks -----------------------------------------------------------------------------------------------------

function makeLook(card) {
  const shot = (t, words, tone, c) => {
    const caption = element("figcaption", {}, words);
    if (there(c)) caption.append(" ", className(c, { class: tone }));
    return element("figure", {}, thumbnail(t, there(c) ? `${words} ${labelOf(c)}` : words), caption);
  };
  const right = card.predicted === card.true;
  const shots = [
    shot(card.picture, "the picture"),
    shot(card.map, "speaks for", right ? "good" : "bad", card.predicted),
  ];
  if (there(card.map_true)) shots.push(shot(card.map_true, "for its label,", "good", card.true));
  const row = element("div", { class: "shots" }, ...shots);
  return element(
    "article",
    { class: "card look" },
    row,
    probabilities(card),
    fileName(card.name),
  );
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function showWhere() {
  const { right, wrong, deletion, random_weights: random } = data.where;
  const told = [];
  if (deletion) {
    const lines = [
      { name: "warmest first", colour: "var(--c1)", of: deletion.by_map },
      { name: "at random", colour: "var(--c0)", dashed: true, of: deletion.at_random },
    ].map((line) => ({ ...line, points: deletion.share.map((share, k) => [share, line.of[k]]) }));
    const host = element("div");
    const legend = element("p", { class: "key" });
    for (const line of lines) legend.append(keyItem(line.colour, line.name, line.dashed ? "dotted" : ""));
    byId("trust").append(element("div", { class: "chart" }, host, legend));
    const options = {
      xText: roundPercent,
      yText: roundPercent,
      tell: percent,
      range: [0, Math.max(...lines.flatMap((line) => line.of))],
    };
    lineChart(host, lines, { title: "Probability left", xName: "of the picture covered", ...options });
    const [map, chance] = [mean(deletion.by_map), mean(deletion.at_random)];
    told.push(
      map < 0.9 * chance
        ? `Covering what the maps call warm costs more than covering as much at random (${roundPercent(map)} of ` +
            `probability left against ${roundPercent(chance)}, in the mean): the maps point at what the network uses.`
        : "Covering what the maps call warm costs no more than covering as much at random: do not trust these maps.",
    );
  }
  if (there(random?.correlation)) {
    const r = random.correlation;
    const [word, meaning] =
      Math.abs(r) < 0.3
        ? ["differ", "they show what was learnt, and not just where the picture has edges"]
        : Math.abs(r) < 0.6
          ? ["partly resemble each other", "some of what they show is in the picture alone, not in what was learnt"]
          : ["are much alike", "they show the picture more than what was learnt"];
    byId("trust").append(
      element(
        "div",
        { class: "panel" },
        element("h3", {}, "Against random weights"),
        element("p", { class: "figure" }, r.toFixed(2)),
        element(
          "p",
          {},
          `Correlation with the maps of the same network before any learning: they ${word}, so ${meaning}.`,
        ),
        element("p", { class: "note" }, "Near 1, a map would look the same whatever the network knows."),
      ),
    );
  }
  say("where", told.join(" "));
  showCards(byId("looks-right"), right, makeLook);
  showCards(byId("looks-wrong"), wrong, makeLook);
}
