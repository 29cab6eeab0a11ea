// The prior behind the codes: the smallest regions that hold 39, 86 and 99 % of its mass.

const SHARES = [0.989, 0.865, 0.393];
const SIDE = 121;
const FINER = 3;

/** The prior's density over the plane, on a square grid over ±reach, rows from the bottom, and its regions' edges. */
export function densityOver(plane, data) {
  const exact = data.about.planar ? data.prior : ofPair(plane, data);
  if (!exact) return ofSamples(plane, data);
  return { grid: exact, side: Math.sqrt(exact.length), reach: data.about.limit, edges: levels(exact) };
}

/** The density over the plane's two dimensions, where one is known; else null. */
function ofPair({ axes }, { pair, about }) {
  if (!pair || !axes) return null;
  const [across, up] = axes, side = Math.sqrt(pair.length);
  if (!about.any_pair && across >> 1 !== up >> 1) return null;
  return across < up ? pair : pair.map((_, i) => pair[(i % side) * side + Math.floor(i / side)]);
}

/** The density that samples give, smoothed; its regions hold their shares of the samples. */
function ofSamples(plane, { prior, about }) {
  const [xs, ys] = plane.project(prior);
  const reach = xs.reduce((far, x, i) => Math.max(far, Math.abs(x), Math.abs(ys[i])), about.limit);
  const cell = (value) => Math.round((value / reach + 1) / 2 * (SIDE - 1));
  const cells = Uint16Array.from(xs, (x, i) => cell(ys[i]) * SIDE + cell(x));
  const counts = new Float32Array(SIDE * SIDE);
  for (const each of cells) counts[each]++;
  const grid = blurred(blurred(counts, 1), SIDE);
  return { grid, side: SIDE, reach, edges: levels(Float32Array.from(cells, (each) => grid[each]), () => 1) };
}

/** A grid smoothed along rows (step 1) or columns (step SIDE) by a bell curve of three cells. */
function blurred(grid, step) {
  const bell = Array.from({ length: 19 }, (_, k) => Math.exp(-(((k - 9) / 3) ** 2) / 2));
  const out = new Float32Array(grid.length);
  for (let i = 0; i < grid.length; i++) {
    const place = step === 1 ? i % SIDE : Math.floor(i / SIDE);
    let sum = 0;
    for (let k = -9; k <= 9; k++) if (place + k >= 0 && place + k < SIDE) sum += bell[k + 9] * grid[i + k * step];
    out[i] = sum;
  }
  return out;
}

/** Densities at the edges of the regions, the outermost first; only one if all are the same.
 *  They are found among densities at places, each of which stands for a mass of `weight`. */
export function levels(densities, weight = (p) => p) {
  const falling = Float32Array.from(densities).sort().reverse();
  const total = falling.reduce((a, p) => a + weight(p), 0);
  const found = [];
  for (const share of SHARES) {
    let mass = 0, i = 0;
    while (i < falling.length - 1 && (mass += weight(falling[i])) < share * total) i++;
    if (!found.length) found.push(falling[i] * (1 - 1e-6)); // below a flat prior's one level
    else if (falling[i] > 1.01 * found.at(-1)) found.push(falling[i]);
  }
  return found;
}

/** The regions as a picture of the whole grid, in the given colours [r, g, b]. */
export function shade({ grid, side, edges }, colours) {
  const size = (side - 1) * FINER;
  const canvas = new OffscreenCanvas(size, size), context = canvas.getContext("2d");
  const image = context.createImageData(size, size);
  const used = colours.slice(-edges.length);
  for (let row = 0; row < size; row++) {
    const y = (size - 1 - row) / FINER, j = Math.floor(y), t = y - j;
    for (let column = 0; column < size; column++) {
      const x = column / FINER, i = Math.floor(x), s = x - i, at = j * side + i;
      const p = (1 - t) * ((1 - s) * grid[at] + s * grid[at + 1])
        + t * ((1 - s) * grid[at + side] + s * grid[at + side + 1]);
      let level = -1;
      while (level + 1 < edges.length && p >= edges[level + 1]) level++;
      if (level >= 0) image.data.set([...used[level], 255], 4 * (row * size + column));
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}
