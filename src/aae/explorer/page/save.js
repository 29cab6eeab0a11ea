// The page as a PNG: its canvases and its words, each in its place.

const SCALE = 2;

/** Draw all visible canvases, and the text of elements marked data-ink, onto one canvas. */
export function snapshot() {
  const whole = document.body.getBoundingClientRect();
  const canvas = new OffscreenCanvas(Math.ceil(whole.width * SCALE), Math.ceil(whole.height * SCALE));
  const context = canvas.getContext("2d");
  context.scale(SCALE, SCALE);
  context.translate(-whole.left, -whole.top);
  context.fillStyle = getComputedStyle(document.body).backgroundColor;
  context.fillRect(whole.left, whole.top, whole.width, whole.height);
  for (const box of document.querySelectorAll("aside > section, .plot")) panel(context, box);
  for (const picture of document.querySelectorAll("main canvas")) {
    const { left, top, width, height } = picture.getBoundingClientRect();
    if (!width || !picture.width) continue;
    context.imageSmoothingEnabled = !picture.matches(".picture, #strip canvas");
    clipped(context, picture.parentElement, () => context.drawImage(picture, left, top, width, height));
  }
  for (const each of document.querySelectorAll("[data-ink]")) words(context, each);
  for (const meter of document.querySelectorAll("meter")) bar(context, meter, meter.value);
  for (const slider of document.querySelectorAll("input[type=range]")) {
    bar(context, slider, (slider.value - slider.min) / (slider.max - slider.min));
  }
  for (const dot of document.querySelectorAll(".legend .chip[aria-pressed=true] i")) {
    const { left, top, width, height } = dot.getBoundingClientRect();
    context.fillStyle = getComputedStyle(dot).backgroundColor;
    context.beginPath();
    context.arc(left + width / 2, top + height / 2, width / 2, 0, 2 * Math.PI);
    context.fill();
  }
  return canvas.convertToBlob({ type: "image/png" });
}

/** Draw what is in an element, as far as its boxes show it: some scroll, or cut long words. */
function clipped(context, element, draw) {
  context.save();
  for (let box = element; box !== document.body; box = box.parentElement) {
    if (getComputedStyle(box).overflow === "visible") continue;
    const { left, top, width, height } = box.getBoundingClientRect();
    context.beginPath();
    context.rect(left, top, width, height);
    context.clip();
  }
  draw();
  context.restore();
}

/** Draw a share as a bar, in place of the browser's meter or slider. */
function bar(context, control, share) {
  const { left, top, width, height } = control.getBoundingClientRect(), middle = top + height / 2;
  if (!width) return;
  const style = getComputedStyle(document.documentElement);
  clipped(context, control.parentElement, () => {
    for (const [name, length] of [["--rule", width], ["--accent", width * share]]) {
      context.fillStyle = style.getPropertyValue(name);
      context.fillRect(left, middle - 3, length, 6);
    }
  });
}

function panel(context, box) {
  const { left, top, width, height } = box.getBoundingClientRect(), style = getComputedStyle(box);
  if (!width) return;
  context.fillStyle = style.backgroundColor;
  context.strokeStyle = style.borderTopColor;
  context.beginPath();
  context.roundRect(left + 0.5, top + 0.5, width - 1, height - 1, parseFloat(style.borderRadius));
  context.fill();
  context.stroke();
}

/** Draw the lines of an element, as the browser broke them. */
function words(context, each) {
  const style = getComputedStyle(each);
  if (!each.offsetParent) return;
  context.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
  context.fillStyle = style.color;
  context.textBaseline = "middle";
  const range = document.createRange(), walker = document.createTreeWalker(each, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    let line = "", box = null;
    const flush = () => {
      if (!box || !line.trim()) return;
      clipped(context, node.parentElement, () => context.fillText(line.trim(), box.left, box.top + box.height / 2));
    };
    for (let i = 0; i < node.length; i++) {
      range.setStart(node, i);
      range.setEnd(node, i + 1);
      const rect = range.getBoundingClientRect();
      if (box && rect.width && Math.abs(rect.top - box.top) > 2) { flush(); line = ""; box = null; }
      if (!box && rect.width && node.data[i].trim()) box = rect;
      line += node.data[i];
    }
    flush();
  }
}

/** Have the browser save a file. */
export async function keep(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
