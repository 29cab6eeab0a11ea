// The controls beside the map: classes, sliders, axes, and the cards of single pictures.

import { halfSquaredError } from "./data.js";
import { axisName } from "./plane.js";
import { element, paint, tile } from "./tiles.js";

export const $ = (id) => document.getElementById(id);

/** A chip for each class that occurs, to show and hide its codes. */
export function buildLegend(data, scatter, changed) {
  const found = [...new Set(data.labels)].sort((a, b) => a - b);
  const chips = found.map((label) => {
    const chip = element("button", { type: "button", className: "chip" },
      element("i"), element("span", { textContent: data.className(label) }));
    chip.lastChild.dataset.ink = "";
    chip.setAttribute("aria-pressed", "true");
    chip.addEventListener("click", () => {
      const shown = scatter.hidden.delete(label) || !scatter.hidden.add(label);
      chip.setAttribute("aria-pressed", shown);
      changed();
    });
    return chip;
  });
  $("legend").replaceChildren(...(found.length > 1 ? chips : []));
  return () => chips.forEach((chip, i) => { chip.firstChild.style.background = scatter.colour(found[i]); });
}

/** The classes that the decoder can be told, each with the current code decoded as that class. */
export class Classes {
  constructor(about, choose) {
    this.about = about;
    this.tiles = about.told ? about.y.map(() => tile("")) : [];
    this.radios = this.tiles.map((canvas, k) => {
      canvas.setAttribute("aria-hidden", "true"); // the class name says it
      const words = element("span", { textContent: about.y[k] });
      words.dataset.ink = "";
      const radio = element("button", { type: "button" }, canvas, words);
      radio.setAttribute("role", "radio");
      radio.addEventListener("click", () => choose(k));
      radio.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        if (!step) return;
        event.preventDefault();
        const next = (k + step + about.y.length) % about.y.length;
        choose(next);
        this.radios[next].focus();
      });
      return radio;
    });
    $("classes").replaceChildren(...this.radios);
    $("classes").classList.toggle("many", this.radios.length > 10);
    $("class-part").hidden = !this.radios.length;
    if (about.clusters) $("class-name").textContent = "As every cluster";
  }

  check(chosen) {
    this.radios.forEach((radio, k) => {
      radio.setAttribute("aria-checked", k === chosen);
      radio.tabIndex = k === chosen ? 0 : -1;
    });
  }

  paint(pictures) {
    pictures.forEach((x, k) => paint(this.tiles[k], x, this.about.shape));
  }
}

/** A slider for each dimension of a code of more than two. */
export class Sliders {
  constructor(data, changed) {
    $("code-part").hidden = data.dim <= 2;
    const { limit } = data.about;
    this.rows = Array.from({ length: data.dim > 2 ? data.dim : 0 }, (_, k) => {
      const input = element("input", { type: "range", min: -limit, max: limit, step: limit / 200 });
      // No output elements: each is a live region, and all would speak at every move.
      const row = element("label", {}, axisName(k), input, element("span", { ariaHidden: "true" }));
      row.dataset.ink = "";
      input.addEventListener("input", () => changed(k, Number(input.value)));
      return row;
    });
    $("sliders").replaceChildren(...this.rows);
  }

  show(z) {
    this.rows.forEach((row, k) => {
      row.children[0].value = z[k];
      row.children[0].ariaValueText = row.children[1].textContent = number(z[k]);
    });
  }
}

/** The choice of two axes for the map, if codes have more than two dimensions. */
export function buildAxes(data, changed) {
  $("axes").hidden = data.dim <= 2;
  const [across, up] = [$("axis-u"), $("axis-v")];
  for (const select of [across, up]) {
    const options = Array.from({ length: data.dim }, (_, k) => element("option", { value: k, textContent: axisName(k) }));
    select.replaceChildren(...options);
  }
  across.append(element("option", { value: "pca", textContent: "PCA" }));
  up.value = Math.min(1, data.dim - 1);
  let before = [across.value, up.value];
  const read = () => {
    if (across.value === up.value) { // the other one takes this one's former value
      if (across.value === before[0]) across.value = before[1]; else up.value = before[0];
    }
    up.disabled = across.value === "pca";
    if (!up.disabled) before = [across.value, up.value];
    changed(across.value === "pca" ? "pca" : Number(across.value), Number(up.value));
  };
  across.addEventListener("change", read);
  up.addEventListener("change", read);
}

/** Show a picture beside its reconstruction, with their error and classes; returns this in words. */
export function showPair(place, data, { x, names, title, reconstruction, y, score }) {
  const error = halfSquaredError(x, reconstruction), rank = data.rank(error);
  const figures = [x, reconstruction].map((values, i) => {
    const canvas = tile(`${names[i]} of ${title}`);
    paint(canvas, values, data.about.shape);
    const caption = element("figcaption", { textContent: names[i] });
    caption.dataset.ink = "";
    return element("figure", {}, canvas, caption);
  });
  const said = `${score} ${error.toFixed(1)}, ${rank}`;
  const judged = element("p", { className: "soft", textContent: said });
  const heading = element("strong", { textContent: title });
  for (const words of [heading, judged]) words.dataset.ink = "";
  place.replaceChildren(...figures, element("div", { className: "told" }, heading, judged));
  if (y) place.append(bars(data, y));
  place.hidden = false;
  return `${title}. ${said}.` + (y ? ` Most probable: ${top(data, y)[0].words}.` : "");
}

function top(data, y, count = 3) {
  const name = (k) => data.about.clusters ? `cluster ${k}` : data.about.y[k];
  return [...y].map((p, k) => ({ name: name(k), p, words: `${name(k)}, ${(100 * p).toFixed(1)} %` }))
    .sort((a, b) => b.p - a.p).slice(0, count);
}

/** The most probable classes, as bars. */
function bars(data, y) {
  const rows = top(data, y).map(({ name, p }) => {
    const words = `${(100 * p).toFixed(1)} %`;
    const label = element("b", { textContent: name }), share = element("span", { textContent: words });
    label.dataset.ink = share.dataset.ink = "";
    return element("div", {}, label, element("meter", { min: 0, max: 1, value: p, ariaLabel: `Probability of ${name}`, ariaValueText: words }), share);
  });
  return element("div", { className: "bars" }, ...rows);
}

export const number = (value) => (Math.round(value * 100) / 100 + 0).toFixed(2).replace("-", "−"); // + 0: no −0
