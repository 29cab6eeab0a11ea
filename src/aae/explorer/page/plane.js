// The plane through code space that the screen shows, and the window onto it.

export const MARGIN = { left: 38, right: 10, top: 10, bottom: 26 };
const SUBSCRIPTS = "₀₁₂₃₄₅₆₇₈₉";

export const axisName = (k) => "z" + [...String(k + 1)].map((digit) => SUBSCRIPTS[digit]).join("");

const dot = (a, b) => a.reduce((sum, v, i) => sum + v * b[i], 0);

export class Plane {
  constructor(data) {
    this.data = data;
    this.side = 600;
    this.show(0, Math.min(1, data.dim - 1));
    this.reset();
  }

  /** Show the plane of two unit vectors: dimensions, or for "pca" the codes' principal directions. */
  show(across, up) {
    const { dim, about } = this.data;
    const pca = across === "pca";
    const unit = (k) => Float32Array.from({ length: dim }, (_, i) => +(i === k));
    [this.u, this.v] = pca ? about.axes.map((axis) => Float32Array.from(axis)) : [unit(across), unit(up)];
    if (dim === 1) this.v = new Float32Array(1); // there is no direction to go up
    this.axes = pca ? null : [across, up];
    this.names = pca ? ["PC 1", "PC 2"] : [axisName(across), dim > 1 ? axisName(up) : ""];
    this.xs = this.#along(this.data.codes, this.u);
    this.ys = this.#along(this.data.codes, this.v);
    if (dim === 1) this.ys = this.ys.map((_, i) => ((i * 0.618034) % 1 - 0.5) * about.limit); // spread out, to be seen
    [this.reach, this.outside] = [about.limit, 0];
    for (let i = 0; i < this.xs.length; i++) {
      const far = Math.max(Math.abs(this.xs[i]), Math.abs(this.ys[i]));
      this.reach = Math.max(this.reach, 1.05 * far);
      this.outside += far > about.limit;
    }
  }

  #along(rows, direction) {
    const d = direction.length, out = new Float32Array(rows.length / d);
    for (let i = 0; i < out.length; i++) {
      let sum = 0;
      for (let k = 0; k < d; k++) sum += rows[i * d + k] * direction[k];
      out[i] = sum;
    }
    return out;
  }

  /** The points in the plane of other rows. */
  project(rows) {
    return [this.#along(rows, this.u), this.#along(rows, this.v)];
  }

  /** Show the frame of the prior. */
  reset() {
    this.centre = [0, 0];
    this.half = this.data.about.limit;
  }

  /** Show the frame of the prior, and the codes outside of it. */
  showAll() {
    this.centre = [0, 0];
    this.half = this.reach;
  }

  zoom(factor, [a, b]) {
    const half = Math.min(this.reach, Math.max(this.data.about.limit / 40, this.half * factor));
    const kept = half / this.half;
    this.centre = [a + (this.centre[0] - a) * kept, b + (this.centre[1] - b) * kept];
    this.half = half;
    if (half === this.reach) this.centre = [0, 0];
  }

  /** Move the window so that a point is in it; says whether it moved. */
  reveal(point) {
    const before = this.centre, reach = 0.95 * this.half;
    this.centre = before.map((c, i) => Math.min(point[i] + reach, Math.max(point[i] - reach, c)));
    return this.centre.some((c, i) => c !== before[i]);
  }

  get scale() {
    return Math.min(this.side - MARGIN.left - MARGIN.right, this.side - MARGIN.top - MARGIN.bottom) / 2 / this.half;
  }

  toPixel([a, b]) {
    const s = this.scale;
    return [MARGIN.left + (a - this.centre[0] + this.half) * s, MARGIN.top + (this.centre[1] + this.half - b) * s];
  }

  fromPixel([x, y]) {
    const s = this.scale;
    return [(x - MARGIN.left) / s + this.centre[0] - this.half, this.centre[1] + this.half - (y - MARGIN.top) / s];
  }

  /** Where a code is in the plane. */
  at(z) {
    return [dot(z, this.u), dot(z, this.v)];
  }

  /** The code at a place in this plane that differs from z only within the plane. */
  moved(z, [a, b]) {
    const [from, to] = this.at(z);
    return z.map((value, i) => value + (a - from) * this.u[i] + (b - to) * this.v[i]);
  }

  /** The shown code nearest to a place, if it is within `pixels`; else null. */
  nearest([a, b], hidden, pixels) {
    let best = null, least = (pixels / this.scale) ** 2;
    for (let i = 0; i < this.xs.length; i++) {
      const d = (this.xs[i] - a) ** 2 + (this.ys[i] - b) ** 2;
      if (d > least || hidden.has(this.data.labels[i])) continue;
      [best, least] = [i, d];
    }
    return best;
  }
}

/** About five round numbers between two others, with their labels. */
export function ticks(from, to) {
  const raw = (to - from) / 5, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw);
  const found = [];
  for (let k = Math.ceil(from / step); k * step <= to; k++) found.push(k * step);
  return found.map((t) => [t, t.toFixed(Math.max(0, -Math.floor(Math.log10(step)))).replace("-", "−")]);
}
