// The explorer: what the user has chosen, and what the page shows for it.

import { Newest } from "./networks.js";
import { read } from "./own.js";
import { $, buildAxes, buildLegend, Classes, number, showPair, Sliders } from "./panel.js";
import { axisName, Plane } from "./plane.js";
import { keep, snapshot } from "./save.js";
import { Scatter } from "./scatter.js";
import { paint, tile } from "./tiles.js";

const STEPS = 9; // pictures of an interpolation
const NEAR = 14; // pixels within which a place means the code there
const NEIGHBOURS = 10;
const PLAIN = 0.2; // how far from black or white a border may be to count as a background

export class Explorer {
  constructor(data, networks) {
    Object.assign(this, { data, networks, about: data.about });
    this.state = {
      cross: new Float32Array(data.dim), // the code that the sliders show
      pointer: null, // the code under the mouse, while it is over the map
      y: 0, // the class that the decoder is told
      chosen: null, // the test picture that was clicked
      own: null, // the picture that was dropped: { x, code }
      strip: null, // an interpolation's ends: { from, to }
    };
    this.plane = new Plane(data);
    this.scatter = new Scatter(data, this.plane, $("base"), $("over"));
    const recolourLegend = buildLegend(data, this.scatter, () => this.scatter.draw());
    this.classes = new Classes(this.about, (k) => this.chooseClass(k));
    this.sliders = new Sliders(data, (k, value) => this.go(this.state.cross.with(k, value)));
    buildAxes(data, (across, up) => {
      this.plane.show(across, up);
      this.plane.reset();
      this.scatter.changePlane();
      this.noteMap();
      this.show();
    });
    this.noteMap();
    const recolour = () => { this.scatter.recolour(); recolourLegend(); this.mark(); };
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
    new ResizeObserver(() => { this.scatter.draw(); this.mark(); }).observe($("plot"));
    this.decoding = new Newest((asked, outdated) => this.decode(asked, outdated));
    this.striping = new Newest((ends) => this.drawStrip(ends));
    document.body.classList.toggle("plain", data.dim <= 2 && !this.about.told); // then there is room
    this.check(0);
    recolour();
    this.show();
  }

  /** The code to decode: under the pointer, else at the cross. */
  get code() {
    return this.state.pointer ?? this.state.cross;
  }

  y(k = this.state.y) {
    return this.about.told ? this.networks.oneHot(k) : null;
  }

  /** Decode what is to be shown; `since` is when the user asked for it. */
  show(since = performance.now()) {
    this.mark();
    this.decoding.ask({ z: this.code, since });
    this.sliders.show(this.code);
    this.describe();
  }

  async decode({ z, since }, outdated) {
    const [x] = await this.networks.decode([z], [this.y()]);
    paint($("here"), x, this.about.shape);
    performance.measure("decode", { start: since, end: performance.now() });
    $("here").dispatchEvent(new CustomEvent("decoded", { detail: { since, z } }));
    if (this.about.told && !outdated()) this.classes.paint(await this.networks.asEveryClass(z));
  }

  mark() {
    const at = (z) => z && this.plane.at(z);
    const strip = this.state.strip && { from: at(this.state.strip.from), to: at(this.state.strip.to), steps: STEPS };
    this.scatter.mark({ cross: at(this.state.cross), pointer: at(this.state.pointer), chosen: this.state.chosen, own: at(this.state.own?.code), strip });
  }

  /** Say what the map does not show by itself. */
  noteMap() {
    const { data, plane } = this;
    const notes = [
      data.dim === 1 && "A code's height on the map means nothing: it only keeps codes apart.",
      plane.outside && `${plane.outside} of ${data.n} codes lie outside the prior's frame; “All” shows them.`,
    ].filter(Boolean);
    $("map-note").textContent = notes.join(" ");
    $("map-note").hidden = !notes.length;
  }

  /** Describe the current place in words. */
  describe() {
    const z = this.code, { plane, data } = this, here = plane.at(z);
    const shown = data.dim <= 2 ? [...z].map((v, k) => `${axisName(k)} ${number(v)}`) : plane.names.map((n, i) => `${n} ${number(here[i])}`);
    $("where").textContent = shown.join("\n");
    if (!this.about.classes.length) return;
    const near = data.neighbours(z, NEIGHBOURS), counts = new Map();
    for (const i of near) counts.set(data.labels[i], (counts.get(data.labels[i]) ?? 0) + 1);
    const [[first, most], second] = [...counts].sort((a, b) => b[1] - a[1]);
    $("near").textContent = `Of the ${near.length} nearest codes ${most} ${most === 1 ? "is" : "are"} “${data.className(first)}”`
      + (second ? `, ${second[1]} “${data.className(second[0])}”` : "");
  }

  /** Tell a screen reader, once things have settled. */
  say(words) {
    clearTimeout(this.saying);
    this.saying = setTimeout(() => { $("status").textContent = words; }, 350);
  }

  sayWhere() {
    const said = [$("where").textContent.replaceAll("\n", ", "), $("near").textContent];
    this.say(said.filter(Boolean).map((words) => `${words}.`).join(" "));
  }

  /** Put the cross at a code. */
  put(z, since) {
    this.state.cross = z;
    this.state.pointer = null;
    this.show(since);
  }

  /** Put the cross at a code that may be outside of the window. */
  go(z, since) {
    this.reveal(this.plane.at(z));
    this.put(z, since);
  }

  /** Move the window so that a point is in it. */
  reveal(point) {
    if (this.plane.reveal(point)) this.scatter.draw();
  }

  /** Choose what a click meant: a code if there is one, else a place. */
  async click(place, since) {
    const nearest = this.plane.nearest(place, this.scatter.hidden, NEAR);
    if (nearest !== null) return this.choose(nearest, since);
    this.put(this.plane.moved(this.state.cross, place), since);
    return this.sayWhere();
  }

  /** Choose the code nearest to the cross, if any is shown. */
  chooseNearest() {
    const [nearest] = this.data.neighbours(this.state.cross, 1, this.scatter.hidden);
    if (nearest === undefined) return this.sayWhere();
    this.reveal(this.plane.at(this.data.code(nearest)));
    return this.choose(nearest);
  }

  async choose(i, since) {
    this.state.chosen = i;
    const x = this.data.picture(i), label = this.data.labels[i];
    if (this.about.told && !this.about.clusters && label >= 0) this.check(label);
    this.put(this.data.code(i), since);
    const { reconstruction, y } = await this.reconstruct(x, label);
    if (this.state.chosen !== i) return;
    if (this.about.told && this.about.clusters) this.chooseClass(y.indexOf(Math.max(...y)));
    $("chosen-hint").hidden = true;
    const title = `No. ${i + 1}` + (this.about.classes.length ? `: ${this.data.className(label)}` : "");
    const names = ["original", "reconstruction"], score = "Reconstruction error";
    this.say(showPair($("chosen"), this.data, { x, names, title, reconstruction, y, score }));
  }

  /** Reconstruct a picture; if the decoder must be told a class and none is known, with the best. */
  async reconstruct(x, label = -1) {
    const { z, y } = await this.networks.encode(x);
    if (!this.about.told || y || label >= 0) {
      const [reconstruction] = await this.networks.decode([z], [y ?? this.y(label)]);
      return { z, y, reconstruction };
    }
    const all = await this.networks.asEveryClass(z);
    const off = all.map((each) => each.reduce((sum, v, i) => sum + (v - x[i]) ** 2, 0));
    return { z, y, reconstruction: all[off.indexOf(Math.min(...off))] };
  }

  asWhat(k) {
    return this.about.clusters ? `cluster ${k}` : this.about.y[k];
  }

  check(k) {
    this.state.y = k;
    this.classes.check(k);
    if (this.about.told) $("here-name").textContent = `Decoded as ${this.asWhat(k)}`;
    if (this.state.strip) this.interpolate(this.state.strip.from, this.state.strip.to);
  }

  chooseClass(k) {
    this.check(k);
    this.show();
    this.say(`Decoded as ${this.asWhat(k)}`);
  }

  /** Pictures from one code to another. */
  interpolate(from, to) {
    this.state.strip = { from, to };
    this.mark();
    this.striping.ask(this.state.strip);
  }

  async drawStrip({ from, to }) {
    const codes = Array.from({ length: STEPS }, (_, k) => from.map((v, i) => v + (to[i] - v) * k / (STEPS - 1)));
    const pictures = await this.networks.decode(codes, codes.map(() => this.y()));
    if (!this.state.strip) return; // it was cleared meanwhile
    const strip = $("strip");
    if (strip.childElementCount !== STEPS) strip.replaceChildren(...pictures.map(() => tile("")));
    pictures.forEach((x, k) => paint(strip.children[k], x, this.about.shape));
    const words = [from, to].map((z) => this.plane.at(z).map(number).join(", ")).join(" to ");
    strip.setAttribute("aria-label", `${STEPS} pictures, from ${words}`);
    strip.hidden = false;
    $("strip-hint").hidden = true;
  }

  /** The code that an end of a drag means: the nearest test code, or the place itself. */
  end(place) {
    const nearest = this.plane.nearest(place, this.scatter.hidden, NEAR);
    return nearest !== null ? this.data.code(nearest) : this.plane.moved(this.state.cross, place);
  }

  async take(file) {
    $("trouble").hidden = true;
    const turn = this.taking = {};
    const found = await read(file, this.about.shape).catch((error) => ({ error }));
    if (this.taking !== turn) return; // another was given meanwhile, or none
    if (found.error) throw found.error;
    const { x, border } = found;
    const ground = this.about.border;
    // If it is neither black nor white, as in photographs, it tells nothing: the user may invert.
    if (ground < PLAIN || ground > 1 - PLAIN) $("invert").checked = Math.abs(border - ground) > Math.abs(1 - border - ground);
    this.state.own = { x, code: null };
    await this.showOwn();
  }

  async showOwn() {
    const { own } = this.state;
    if (!own) return;
    const x = $("invert").checked ? own.x.map((v) => 1 - v) : own.x;
    const { z, y, reconstruction } = await this.reconstruct(x);
    if (this.state.own !== own) return; // another was given meanwhile, or none
    own.code = Float32Array.from(z);
    this.go(own.code);
    const names = ["yours", "reconstruction"], title = "Your picture";
    const score = "Anomaly score (reconstruction error)";
    this.say(showPair($("own"), this.data, { x, names, title, reconstruction, y, score }));
  }

  zoom(factor, around = this.plane.at(this.state.cross)) {
    if (factor) this.plane.zoom(factor, around); else this.plane.showAll();
    this.scatter.draw();
    this.mark();
  }

  /** Reset all choices, and the place. */
  clear() {
    Object.assign(this.state, { chosen: null, strip: null, own: null });
    this.taking = null;
    for (const id of ["chosen", "strip", "own", "trouble"]) $(id).hidden = true;
    for (const id of ["chosen-hint", "strip-hint"]) $(id).hidden = false;
    this.check(0);
    this.go(new Float32Array(this.data.dim));
  }

  save() {
    return keep(snapshot(), `${this.about.recipe}-${this.about.data}.png`);
  }
}
