// Draws what there is data for, and lists it.

const SECTIONS = [
  ["headline", "Headline", true, showHeadline],
  ["baseline", "Against the baseline", data.baseline, showBaseline],
  ["curves", "Training", data.curves?.length, showCurves],
  ["confusion", "Confusion", data.confusion, showConfusion],
  ["mistakes", "Worst mistakes", data.mistakes, showMistakes],
  ["uncertain", "Least certain", data.uncertain, showUncertain],
  ["suspects", "Labels to check", data.suspects, showSuspects],
  ["classes", "Classes", data.classes?.length, showClasses],
  ["calibration", "Calibration", data.calibration, showCalibration],
  ["inside", "Inside GoogLeNet", data.inside, showInside],
  ["where", "Where it looks", data.where, showWhere],
];

const links = new Map();
for (const [id, title, has, show] of SECTIONS) {
  if (!has) continue;
  byId(id).hidden = false;
  const link = element("a", { href: `#${id}` }, title);
  links.set(byId(id), link);
  inside("contents", "ol").append(element("li", {}, link));
  show();
}

// The contents mark what is being read: the last section that begins in the upper third.
function markContents() {
  let current = null;
  for (const section of links.keys()) if (section.getBoundingClientRect().top < innerHeight / 3) current = section;
  for (const [section, link] of links) {
    if (section !== current) link.removeAttribute("aria-current");
    else if (!link.hasAttribute("aria-current")) {
      link.setAttribute("aria-current", "true");
      const list = inside("contents", "ol");
      list.scrollTo({ left: link.offsetLeft - list.clientWidth / 2 + link.offsetWidth / 2 });
    }
  }
}
let due = false;
addEventListener(
  "scroll",
  () => {
    if (due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      markContents();
    });
  },
  { passive: true },
);
requestAnimationFrame(markContents);
byId("viewer").addEventListener("click", (event) => event.target === byId("viewer") && byId("viewer").close());
