// The user's own picture, fitted to the size and the background of the model's pictures.

const MOST_BYTES = 2 ** 25;

/** A file → [c · h · w] in [0, 1], and how light its border is. */
export async function read(file, [channels, height, width]) {
  if (file.size > MOST_BYTES) throw new Error(`${file.name} is larger than ${MOST_BYTES / 2 ** 20} MB`);
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Error(`${file.name || "That"} is not a picture that this browser can read`);
  }
  const scale = Math.min(width / bitmap.width, height / bitmap.height);
  const [w, h] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  const small = shrunk(bitmap, w, h);
  const inside = small.getContext("2d").getImageData(0, 0, w, h).data;
  const ground = borderOf(inside, w, h);
  const canvas = new OffscreenCanvas(width, height), context = canvas.getContext("2d");
  context.fillStyle = `rgb(${ground.join(" ")})`; // the space beside it continues its border
  context.fillRect(0, 0, width, height);
  context.drawImage(small, Math.floor((width - w) / 2), Math.floor((height - h) / 2));
  const { data } = context.getImageData(0, 0, width, height);
  const x = new Float32Array(channels * height * width);
  for (let i = 0; i < height * width; i++) {
    const rgb = [data[4 * i] / 255, data[4 * i + 1] / 255, data[4 * i + 2] / 255];
    if (channels === 1) x[i] = grey(rgb);
    else rgb.forEach((value, c) => { x[c * height * width + i] = value; });
  }
  return { x, border: grey(ground) / 255 };
}

const grey = ([r, g, b]) => 0.2126 * r + 0.7152 * g + 0.0722 * b;

/** A bitmap shrunk by halves, so that each of its pixels counts; white where it is transparent. */
function shrunk(bitmap, w, h) {
  let from = bitmap, [fw, fh] = [bitmap.width, bitmap.height];
  for (;;) {
    const [tw, th] = [Math.max(w, Math.ceil(fw / 2)), Math.max(h, Math.ceil(fh / 2))];
    const last = tw === w && th === h;
    const to = new OffscreenCanvas(tw, th), context = to.getContext("2d");
    context.fillStyle = "#fff";
    context.fillRect(0, 0, tw, th);
    context.imageSmoothingQuality = "high";
    context.drawImage(from, 0, 0, tw, th);
    if (last) return to;
    [from, fw, fh] = [to, tw, th];
  }
}

function borderOf(data, w, h) {
  const sum = [0, 0, 0];
  let count = 0;
  for (let i = 0; i < w * h; i++) {
    const column = i % w, row = Math.floor(i / w);
    if (column && row && column < w - 1 && row < h - 1) continue;
    for (let c = 0; c < 3; c++) sum[c] += data[4 * i + c];
    count++;
  }
  return sum.map((value) => Math.round(value / count));
}
