// A card: one picture, how far it is, and its result.

const OPACITY = 60; // percent, to begin with

let cardsMade = 0;

class Card {
  /** `actions`: {remove(card), again(card)}. */
  constructor(file, actions) {
    this.file = file;
    this.name = file.name || "picture";
    this.abort = new AbortController();
    this.result = null;
    this.opacity = OPACITY;
    this.id = `card-${++cardsMade}`;
    this.url = URL.createObjectURL(file);

    this.stage = this.makeStage();
    this.body = element("div", { class: "body" });
    this.again = makeButton("Try again", () => actions.again(this), { class: "quiet" });
    const title = element("h3", { id: this.id, title: this.name }, this.name);
    this.remove = makeButton("Remove", () => actions.remove(this), {
      class: "quiet",
      "aria-label": `Remove ${this.name}`,
    });
    this.about = element("p", { class: "about" });
    this.element = element(
      "article",
      { class: "card", "aria-labelledby": this.id },
      element("div", { class: "top" }, title, this.remove),
      element("div", { class: "side" }, this.stage),
      this.body,
    );
  }

  makeStage() {
    const picture = element("img", { src: this.url, alt: this.name, decoding: "async", draggable: "false" });
    const stage = element("div", { class: "stage" }, picture);
    picture.addEventListener("load", () => {
      stage.style.setProperty("--ratio", picture.naturalWidth / picture.naturalHeight || 1);
      stage.classList.add("shown");
    });
    picture.addEventListener("error", () => {
      stage.classList.add("blank");
      picture.replaceWith(element("p", {}, "This browser cannot show this file."));
    });
    return stage;
  }

  /** A line while there is no result yet. */
  tell(text, waiting = false) {
    this.fill(element("p", { class: waiting ? "progress waiting" : "progress" }, text));
  }

  /** Puts something else beside the picture; who was on a button there goes on at the card's own. */
  fill(...parts) {
    const held = this.body.contains(document.activeElement);
    this.body.replaceChildren(...parts);
    if (held) this.remove.focus();
  }

  fail(refusal) {
    const lines = [element("strong", {}, refusal.message)];
    if (refusal.hint) lines.push(element("p", {}, refusal.hint));
    if (refusal.detail) lines.push(element("p", { class: "detail" }, `The server says: ${refusal.detail}`));
    Object.assign(this.again, { hidden: !refusal.again, textContent: "Try again" });
    this.fill(element("div", { class: "error" }, ...lines, this.again));
    this.clearSeen();
    say(`${this.name}: ${refusal.message}. ${refusal.hint}`);
  }

  show({ model, prediction }, seconds) {
    this.result = { model, prediction };
    const { labels, probabilities, width, height, box, maps } = prediction;
    this.stage.style.setProperty("--ratio", width / height);
    this.rows = labels.map((label, k) => this.makeRow(readLabel(label), probabilities[k], k, Boolean(maps)));
    this.offer();
    this.about.textContent = `${model} · ${width} × ${height} · ${seconds.toFixed(seconds < 1 ? 2 : 1)} s`;
    this.fill(
      element("ol", { class: "classes", "aria-label": "Classes" }, ...this.rows.map((row) => row.element)),
      this.about,
      element(
        "div",
        { class: "line actions" },
        makeCopyButton("Copy text", () => this.asText(), { class: "quiet" }),
        makeCopyButton("Copy JSON", () => this.asJson(), { class: "quiet" }),
        this.again,
      ),
    );
    this.showSeen(box, maps);
    say(`${this.name}: ${labels.length ? `${readLabel(labels[0]).name}, ${asPercent(probabilities[0])}` : "no class"}`);
  }

  /** Offers another model than the one that this result is of, where it was chosen since. */
  offer() {
    if (!this.result) return;
    const { name } = chosenModel() ?? {};
    Object.assign(this.again, { hidden: !name || name === this.result.model, textContent: `Classify with ${name}` });
  }

  makeRow({ id, name, others }, share, k, pressable) {
    const words = [
      element("span", { class: "name" }, name),
      element("span", { class: "share" }, asPercent(share)),
      ...(others || id
        ? [element("span", { class: "others" }, others, ...(id ? [element("code", { class: "wnid" }, id)] : []))]
        : []),
    ];
    const label = `${this.id}-${k}`;
    const head = pressable
      ? makeButton("", () => this.choose(k), { class: "class", id: label, "aria-pressed": "false" })
      : element("div", { class: "class", id: label });
    head.append(...words);
    const fill = element("div", { class: "fill" });
    fill.style.width = `${100 * share}%`;
    const percent = Number((100 * share).toFixed(1));
    const range = {
      "aria-valuemin": 0,
      "aria-valuemax": 100,
      "aria-valuenow": percent,
      "aria-valuetext": `${percent} %`,
    };
    const bar = element("div", { class: "track", role: "meter", "aria-label": name, ...range }, fill);
    return { element: element("li", {}, head, bar), head, name };
  }

  /** The part that the network was given, and the map over it. */
  showSeen([left, top, right, bottom], maps) {
    this.clearSeen();
    const seen = element("div", { class: "seen" });
    const percent = (share) => `${100 * share}%`;
    Object.assign(seen.style, {
      left: percent(left),
      top: percent(top),
      width: percent(right - left),
      height: percent(bottom - top),
    });
    this.stage.append(seen);
    if (!maps) return;
    this.canvas = element("canvas", { "aria-hidden": "true" });
    seen.append(this.canvas);
    this.most = strongest(maps);
    this.element.querySelector(".side").append(this.makeLook());
    this.choose(0);
  }

  clearSeen() {
    this.stage.querySelector(".seen")?.remove();
    this.element.querySelector(".look")?.remove();
  }

  /** The words under the picture, and how opaque the map is. */
  makeLook() {
    const number = element("output", { for: `${this.id}-opacity` });
    const attributes = { type: "range", min: 0, max: 100, step: 5, value: this.opacity, id: `${this.id}-opacity` };
    const slider = element("input", attributes);
    const fade = () => {
      this.opacity = Number(slider.value);
      this.canvas.style.opacity = this.opacity / 100;
      number.textContent = `${this.opacity} %`;
    };
    slider.addEventListener("input", fade);
    fade();
    this.caption = element("p", {});
    return element(
      "div",
      { class: "look" },
      this.caption,
      element("div", { class: "scale", "aria-hidden": "true" }, "little", element("i"), "most"),
      element("div", { class: "opacity" }, element("label", { for: `${this.id}-opacity` }, "Opacity"), slider, number),
    );
  }

  choose(chosen) {
    const map = this.result.prediction.maps[chosen];
    const { name } = this.rows[chosen];
    this.rows.forEach(({ head }, k) => head.setAttribute("aria-pressed", String(k === chosen)));
    drawMap(this.canvas, map, this.most);
    this.caption.replaceChildren(
      strongest([map]) > 0 ? "Where it looked for " : "Nothing in the picture speaks for ",
      element("em", {}, name),
    );
  }

  asText() {
    const { labels, probabilities } = this.result.prediction;
    return [this.name, ...labels.map((label, k) => `${asPercent(probabilities[k]).padStart(8)}  ${label}`)].join("\n");
  }

  /** What the server answered, less the maps: they are long, and of use to programs alone. */
  asJson() {
    const { maps, ...rest } = this.result.prediction;
    return JSON.stringify({ model: this.result.model, ...rest }, null, 2);
  }

  close() {
    this.abort.abort();
    URL.revokeObjectURL(this.url);
    this.element.remove();
  }
}
