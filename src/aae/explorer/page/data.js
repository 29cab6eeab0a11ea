// What the page is given: one JSON object, arrays and networks, all in files beside it.

const TYPES = { float32: Float32Array, int16: Int16Array, uint8: Uint8Array };

async function fetched(name) {
  const answer = await fetch(name);
  if (!answer.ok) throw new Error(`${name} could not be loaded: ${answer.status}`);
  return answer;
}

/** The bytes of a file, unpacked if they are still packed: some hosts unpack .gz themselves. */
export async function bytes(name) {
  const raw = new Uint8Array(await (await fetched(name)).arrayBuffer());
  if (raw[0] !== 0x1f || raw[1] !== 0x8b) return raw;
  const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** What `aae.explorer.content` wrote: `about`, and its arrays by name. */
export async function load() {
  const about = await (await fetched("about.json")).json();
  const arrays = {};
  await Promise.all(Object.entries(about.arrays).map(async ([name, { type }]) => {
    arrays[name] = new TYPES[type]((await bytes(`${name}.gz`)).buffer);
  }));
  return new Data(about, arrays);
}

export class Data {
  constructor(about, arrays) {
    Object.assign(this, arrays);
    this.about = about;
    [this.n, this.dim] = about.arrays.codes.shape;
    this.size = about.shape.reduce((a, b) => a * b);
  }

  /** The i-th code. */
  code(i) {
    return this.codes.slice(i * this.dim, (i + 1) * this.dim);
  }

  /** The i-th picture, [c · h · w] in [0, 1]. */
  picture(i) {
    return Float32Array.from(this.pictures.subarray(i * this.size, (i + 1) * this.size), (v) => v / 255);
  }

  /** The codes nearest to z, in all dimensions, nearest first; none of hidden classes. */
  neighbours(z, count, hidden = new Set()) {
    const best = [];
    for (let i = 0; i < this.n; i++) {
      if (hidden.has(this.labels[i])) continue;
      let d = 0;
      for (let k = 0; k < this.dim; k++) d += (this.codes[i * this.dim + k] - z[k]) ** 2;
      if (best.length === count && d >= best[count - 1].d) continue;
      let at = best.length;
      while (at && best[at - 1].d > d) at--;
      best.splice(at, 0, { i, d });
      if (best.length > count) best.pop();
    }
    return best.map(({ i }) => i);
  }

  className(k) {
    return k < 0 ? "no label" : this.about.classes[k];
  }

  /** The share of the test pictures with a smaller reconstruction error than this, in words. */
  rank(error) {
    const { errors } = this.about;
    const least = error * (1 - 1e-5); // Python, which found the others, sums in another order
    if (least > errors.at(-1)) return "greater than that of any test picture";
    const below = errors.filter((e) => e < least).length / errors.length;
    return `greater than that of ${Math.min(99, Math.round(below * 100))} % of the test pictures`;
  }
}

/** Half the squared error of a reconstruction, summed over pixels in the model's range, [-1, 1]. */
export function halfSquaredError(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
  return 2 * sum;
}
