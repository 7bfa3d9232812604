// Class activation maps: from a few cells to a smooth picture of the evidence.

const PIXELS = 24; // of the drawing to a cell of the map; the browser scales the drawing to the picture
// Inferno, whose lightness rises evenly, from its purple on: its black would only darken the picture.
const RAMP = [
  [74, 12, 107],
  [120, 28, 109],
  [165, 44, 96],
  [207, 68, 70],
  [237, 105, 37],
  [251, 155, 6],
  [247, 209, 61],
  [252, 255, 164],
];

/** For every pixel along one side the four cells around it and how much each counts (Catmull-Rom; ends go on). */
function taps(cells) {
  return Array.from({ length: cells * PIXELS }, (_, pixel) => {
    const at = (pixel + 0.5) / PIXELS - 0.5;
    const first = Math.floor(at);
    const t = at - first;
    const weights = [
      ((-t + 2) * t - 1) * t * 0.5,
      ((3 * t - 5) * t * t + 2) * 0.5,
      ((-3 * t + 4) * t + 1) * t * 0.5,
      (t - 1) * t * t * 0.5,
    ];
    return weights.map((weight, k) => [Math.min(Math.max(first + k - 1, 0), cells - 1), weight]);
  });
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

/** A map at the drawing's size, as rows. */
function enlarge(map) {
  const across = map.map((row) => taps(row.length).map((tap) => sum(tap.map(([cell, weight]) => weight * row[cell]))));
  return taps(map.length).map((tap) =>
    across[0].map((_, column) => sum(tap.map(([cell, weight]) => weight * across[cell][column]))),
  );
}

/** Red, green, blue and how opaque, for evidence between 0 and 1. */
function colour(share) {
  const at = share * (RAMP.length - 1);
  const first = Math.min(Math.floor(at), RAMP.length - 2);
  const mixed = RAMP[first].map((from, k) => from + (at - first) * (RAMP[first + 1][k] - from));
  return [...mixed, 255 * Math.min(1, 1.6 * share ** 0.8)];
}

const COLOURS = Array.from({ length: 256 }, (_, k) => colour(k / 255)); // a drawing asks for tens of thousands

/** Draws what in a map speaks for its class; `most` is the evidence that gets the brightest colour. */
function drawMap(canvas, map, most) {
  const rows = enlarge(map);
  canvas.height = rows.length;
  canvas.width = rows[0].length;
  const image = new ImageData(canvas.width, canvas.height);
  rows.flat().forEach((value, k) => {
    if (value > 0 && most > 0) image.data.set(COLOURS[Math.round(255 * Math.min(value / most, 1))], 4 * k);
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** The strongest evidence for any of the classes. */
function strongest(maps) {
  return Math.max(...maps.flat(2));
}

/** The sign of an empty page: a map of 7 x 7 cells, brightest a little beside its middle. */
function drawDots(host) {
  for (let cell = 0; cell < 49; cell++) {
    const share = Math.exp(-(((cell % 7) - 3.6) ** 2 + (Math.floor(cell / 7) - 2.5) ** 2) / 7);
    const dot = element("i");
    dot.style.backgroundColor = `rgb(${colour(share).slice(0, 3).map(Math.round)})`;
    dot.style.opacity = Math.min(1, 0.12 + 1.8 * share);
    dot.style.scale = 0.5 + 0.5 * share;
    host.append(dot);
  }
}
