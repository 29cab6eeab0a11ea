// The map of codes: what stays (prior, codes, axes) on one canvas, what moves on another.

import { densityOver, shade } from "./density.js";
import { MARGIN, ticks } from "./plane.js";
import { press, stamp } from "./points.js";

export class Scatter {
  constructor(data, plane, base, over) {
    Object.assign(this, { data, plane, base, over });
    this.hidden = new Set();
  }

  /** Take the colours from the style sheet, which knows light from dark. */
  recolour() {
    const style = getComputedStyle(document.documentElement);
    const read = (name) => style.getPropertyValue(`--${name}`).trim();
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const { light, dark: onDark } = this.data.about.colours;
    this.colours = Object.fromEntries(["ink", "soft", "rule", "plot", "accent", "no-label"].map((k) => [k, read(k)]));
    this.classes = dark ? onDark : light;
    this.shades = [0, 1, 2].map((k) => rgb(read(`prior-${k}`)));
    this.font = getComputedStyle(document.body).fontFamily;
    this.changePlane();
  }

  colour(label) {
    return label < 0 ? this.colours["no-label"] : this.classes[label];
  }

  /** Make the density of a new plane, and draw. */
  changePlane() {
    const density = densityOver(this.plane, this.data);
    this.prior = { reach: density.reach, picture: shade(density, this.shades) };
    this.draw();
  }

  #begin(canvas) {
    const dpr = devicePixelRatio || 1, side = Math.round(canvas.clientWidth * dpr);
    if (canvas.width !== side) canvas.width = canvas.height = side;
    this.plane.side = canvas.clientWidth;
    const context = canvas.getContext("2d");
    context.setTransform(dpr, 0, 0, dpr, 0, 0);
    context.clearRect(0, 0, this.plane.side, this.plane.side);
    return context;
  }

  draw() {
    const context = this.#begin(this.base), { plane, data } = this;
    const { half, centre, scale } = plane, inner = 2 * half * scale;
    const { reach, picture } = this.prior;
    context.save();
    context.beginPath();
    context.rect(MARGIN.left, MARGIN.top, inner, inner);
    context.clip();
    context.drawImage(picture, ...plane.toPixel([-reach, reach]), 2 * reach * scale, 2 * reach * scale);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(this.#points(), 0, 0);
    context.restore();
    context.font = `11px ${this.font}`;
    context.fillStyle = this.colours.soft;
    context.strokeStyle = this.colours.rule;
    context.strokeRect(MARGIN.left - 0.5, MARGIN.top - 0.5, inner + 1, inner + 1);
    context.textAlign = "center";
    for (const [t, text] of ticks(centre[0] - half, centre[0] + half)) {
      const [x] = plane.toPixel([t, 0]);
      if (x < plane.side - 70) context.fillText(text, x, MARGIN.top + inner + 17);
    }
    context.textAlign = "right";
    for (const [t, text] of data.dim > 1 ? ticks(centre[1] - half, centre[1] + half) : []) {
      const [, y] = plane.toPixel([0, t]);
      if (y > MARGIN.top + 26) context.fillText(text, MARGIN.left - 6, y + 4);
    }
    context.fillStyle = this.colours.ink;
    context.fillText(plane.names[0], MARGIN.left + inner, MARGIN.top + inner + 17);
    context.fillText(plane.names[1], MARGIN.left - 6, MARGIN.top + 10);
  }

  /** The codes, on a layer of the base's own pixels. */
  #points() {
    const { data, plane } = this, dpr = devicePixelRatio || 1, { width, height } = this.base;
    const zoom = Math.max(1, data.about.limit / plane.half);
    this.radius = Math.min(7, Math.max(1.3, Math.min(3.2, 170 / Math.sqrt(data.n))) * Math.sqrt(zoom));
    const layer = new OffscreenCanvas(width, height), pen = layer.getContext("2d");
    const image = pen.createImageData(width, height), disc = stamp(this.radius * dpr);
    const colours = new Map();
    for (let k = -1; k < data.about.classes.length; k++) if (!this.hidden.has(k)) colours.set(k, rgb(this.colour(k)));
    for (let i = 0; i < data.n; i++) {
      const colour = colours.get(data.labels[i]);
      if (!colour) continue;
      const [x, y] = plane.toPixel([plane.xs[i], plane.ys[i]]);
      press(image, disc, x * dpr, y * dpr, colour);
    }
    pen.putImageData(image, 0, 0);
    return layer;
  }

  /** Draw marks: the cross, the place under the pointer, the chosen code, the user's own, a strip. */
  mark({ cross, pointer, chosen, own, strip }) {
    const context = this.#begin(this.over), { plane } = this;
    const { ink, plot, accent } = this.colours;
    // Every mark has a halo, so that it shows on codes of any colour.
    const stroke = (draw, colour = ink, width = 1.6) => {
      for (const [style, w] of [[plot, width + 2.4], [colour, width]]) {
        context.beginPath();
        draw();
        context.strokeStyle = style;
        context.lineWidth = w;
        context.stroke();
      }
    };
    if (strip) {
      const [from, to] = [strip.from, strip.to].map((p) => plane.toPixel(p));
      stroke(() => { context.moveTo(...from); context.lineTo(...to); }, accent, 2);
      for (let k = 0; k < strip.steps; k++) {
        const t = k / (strip.steps - 1), x = from[0] + t * (to[0] - from[0]), y = from[1] + t * (to[1] - from[1]);
        stroke(() => context.arc(x, y, k % (strip.steps - 1) ? 1.5 : 4, 0, 2 * Math.PI), accent, 2);
      }
    }
    if (own) {
      const [x, y] = plane.toPixel(own);
      stroke(() => {
        context.moveTo(x, y - 9); context.lineTo(x + 9, y); context.lineTo(x, y + 9); context.lineTo(x - 9, y);
        context.closePath();
      }, accent, 2.4);
    }
    if (chosen !== null) {
      const [x, y] = plane.toPixel([plane.xs[chosen], plane.ys[chosen]]);
      context.beginPath();
      context.arc(x, y, Math.max(6, this.radius + 2), 0, 2 * Math.PI);
      context.fillStyle = this.colour(this.data.labels[chosen]);
      context.fill();
      stroke(() => context.arc(x, y, Math.max(7.5, this.radius + 3), 0, 2 * Math.PI));
    }
    const [x, y] = plane.toPixel(cross);
    stroke(() => {
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        context.moveTo(x + 10 * dx, y + 10 * dy); context.lineTo(x + 17 * dx, y + 17 * dy);
      }
    });
    if (pointer) stroke(() => context.arc(...plane.toPixel(pointer), 5, 0, 2 * Math.PI), ink, 1.2);
  }
}

function rgb(hex) {
  return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
}
