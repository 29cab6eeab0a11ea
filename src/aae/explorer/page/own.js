// The user's own picture, brought to the size of the model's pictures as `aae.data.decoding` does.

const MOST_BYTES = 2 ** 25;
const LONGEST = 2048; // larger ones are shrunk by the browser first

/** A file → [c · h · w] in [0, 1], and how light its border is. */
export async function read(file, [channels, height, width]) {
  if (file.size > MOST_BYTES) throw new Error(`${file.name} is larger than ${MOST_BYTES / 2 ** 20} MB`);
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
  } catch {
    throw new Error(`${file.name || "That"} is not a picture that this browser can read`);
  }
  const bytes = planes(bitmap, channels).flatMap((plane) => [...fitted(plane, width, height)]);
  const x = Float32Array.from(bytes, (value) => value / 255);
  return { x, border: borderOf(x, width, height) };
}

/** A bitmap's grey or its three colours, in bytes; white where it is transparent. */
function planes(bitmap, channels) {
  const scale = Math.min(1, LONGEST / Math.max(bitmap.width, bitmap.height));
  const [w, h] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  const context = new OffscreenCanvas(w, h).getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, w, h);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, w, h);
  const { data } = context.getImageData(0, 0, w, h);
  const plane = (value) => ({ w, h, data: Uint8ClampedArray.from({ length: w * h }, (_, i) => value(4 * i)) });
  if (channels === 1) return [plane((i) => 0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2])];
  return [0, 1, 2].map((c) => plane((i) => data[i + c]));
}

/** A plane of bytes scaled until it covers width × height, and cropped around its centre. */
function fitted({ w, h, data }, width, height) {
  const scale = Math.min(w / width, h / height); // pixels of the file for one of the model's
  return resampled(resampled(data, h, w, width, scale), width, h, height, scale);
}

/** Lines of bytes brought to `size` around their middle by Lanczos' filter: [lines, length] → [size, lines]. */
function resampled(data, lines, length, size, scale) {
  const out = new Uint8ClampedArray(size * lines), wide = Math.max(1, scale);
  for (let k = 0; k < size; k++) {
    const centre = length / 2 + (k + 0.5 - size / 2) * scale;
    const [from, to] = [-3, 3].map((lobes) => Math.min(length, Math.max(0, Math.floor(centre + lobes * wide + 0.5))));
    const weights = Array.from({ length: to - from }, (_, i) => lanczos((from + i + 0.5 - centre) / wide));
    const total = weights.reduce((a, b) => a + b);
    for (let line = 0; line < lines; line++) {
      let sum = 0;
      for (let i = from; i < to; i++) sum += weights[i - from] * data[line * length + i];
      out[k * lines + line] = sum / total;
    }
  }
  return out;
}

function lanczos(t) {
  if (t === 0) return 1;
  if (Math.abs(t) >= 3) return 0;
  return 3 * Math.sin(Math.PI * t) * Math.sin(Math.PI * t / 3) / (Math.PI * t) ** 2;
}

/** The mean of a picture's outermost pixels. */
function borderOf(x, width, height) {
  const outer = x.filter((_, i) => {
    const column = i % width, row = Math.floor(i / width) % height;
    return !column || !row || column === width - 1 || row === height - 1;
  });
  return outer.reduce((a, b) => a + b) / outer.length;
}
