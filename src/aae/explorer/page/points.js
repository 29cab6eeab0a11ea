// Many small discs, blended pixel by pixel: without a graphics card that is far quicker than canvas calls.

const OPACITY = 0.85;

/** How much a disc covers of each pixel around its centre. */
export function stamp(radius) {
  const reach = Math.ceil(radius), side = 2 * reach + 1, cover = new Float32Array(side * side);
  for (let i = 0; i < cover.length; i++) {
    const away = Math.hypot((i % side) - reach, Math.floor(i / side) - reach);
    cover[i] = OPACITY * Math.min(1, Math.max(0, radius + 0.5 - away));
  }
  return { reach, side, cover };
}

/** Lay a stamp of a colour [r, g, b] over a picture, clipped to it. */
export function press({ data, width, height }, { reach, side, cover }, x, y, [r, g, b]) {
  const left = Math.round(x - 0.5) - reach, top = Math.round(y - 0.5) - reach;
  const from = Math.max(0, -left), to = Math.min(side, width - left);
  for (let row = Math.max(0, -top); row < Math.min(side, height - top); row++) {
    for (let column = from; column < to; column++) {
      const a = cover[row * side + column];
      if (!a) continue;
      const at = 4 * ((top + row) * width + left + column), below = data[at + 3] / 255 * (1 - a), sum = a + below;
      data[at] = (r * a + data[at] * below) / sum;
      data[at + 1] = (g * a + data[at + 1] * below) / sum;
      data[at + 2] = (b * a + data[at + 2] * below) / sum;
      data[at + 3] = 255 * sum;
    }
  }
}
