// The prior behind the codes: the smallest regions that hold 39, 86 and 99 % of its mass.

const SHARES = [0.989, 0.865, 0.393];
const SIDE = 121;
const FINER = 3;

/** The prior's density over the plane, on a square grid over ±limit, rows from the bottom. */
export function densityOver(plane, data) {
  const { prior, about } = data;
  if (about.planar) return { grid: prior, side: about.arrays.prior.shape[0] };
  const grid = new Float32Array(SIDE * SIDE);
  const [xs, ys] = plane.project(prior);
  const cell = (value) => Math.round((value / about.limit + 1) / 2 * (SIDE - 1));
  for (let i = 0; i < xs.length; i++) {
    const x = cell(xs[i]), y = cell(ys[i]);
    if (x >= 0 && x < SIDE && y >= 0 && y < SIDE) grid[y * SIDE + x]++;
  }
  return { grid: blurred(blurred(grid, 1), SIDE), side: SIDE };
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

/** Densities at the edges of the regions, the outermost first; only one if all are the same. */
export function levels(grid) {
  const falling = Float32Array.from(grid).sort().reverse();
  const total = falling.reduce((a, b) => a + b, 0);
  const found = [];
  for (const share of SHARES) {
    let mass = 0, i = 0;
    while (i < falling.length - 1 && (mass += falling[i]) < share * total) i++;
    if (!found.length) found.push(falling[i] * (1 - 1e-6)); // below a flat prior's one level
    else if (falling[i] > 1.01 * found.at(-1)) found.push(falling[i]);
  }
  return found;
}

/** The regions as a picture of the whole grid, in the given colours [r, g, b]. */
export function shade({ grid, side }, colours) {
  const edges = levels(grid), size = (side - 1) * FINER;
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
