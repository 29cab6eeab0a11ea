// Pictures on canvases, pixel by pixel; the style sheet makes them large.

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** A canvas for a picture, labelled as an image with these words. */
export function tile(words) {
  const canvas = element("canvas", { className: "picture" });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", words);
  return canvas;
}

/** Draw a picture [c · h · w] in [0, 1]. */
export function paint(canvas, x, [channels, height, width]) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d"), plane = height * width;
  const image = context.createImageData(width, height);
  for (let i = 0; i < plane; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = 255 * x[channels === 3 ? c * plane + i : i];
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}
