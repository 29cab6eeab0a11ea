// User input: pointer, keys, buttons, files.

import { $ } from "./panel.js";

const DRAG = 6; // pixels beyond which a press becomes a drag

export function listen(explorer) {
  pointer(explorer);
  keys(explorer);
  files(explorer);
  $("zoom-in").addEventListener("click", () => explorer.zoom(1 / 1.5));
  $("zoom-out").addEventListener("click", () => explorer.zoom(1.5));
  $("zoom-all").addEventListener("click", () => explorer.zoom());
  $("save").addEventListener("click", () => explorer.save());
  $("keys-open").addEventListener("click", () => $("keys").showModal());
  $("strip-mode").addEventListener("click", ({ currentTarget }) => {
    currentTarget.setAttribute("aria-pressed", currentTarget.getAttribute("aria-pressed") !== "true");
  });
}

/** Show what went wrong, where it can be seen and heard. */
export function trouble(error) {
  $("trouble").textContent = error?.message ?? String(error); // the runtime of the networks may throw numbers
  $("trouble").hidden = false;
}

function pointer(explorer) {
  const plot = $("plot"), { plane, state } = explorer;
  let pressed = null; // where a button or finger went down: { at, from, drags }
  const at = (event) => {
    const { left, top } = plot.getBoundingClientRect();
    return plane.fromPixel([event.clientX - left - plot.clientLeft, event.clientY - top - plot.clientTop]);
  };
  const draws = (event) => event.pointerType !== "touch" || $("strip-mode").getAttribute("aria-pressed") === "true";

  plot.addEventListener("pointerdown", (event) => {
    if (event.button || !event.isPrimary) return;
    plot.setPointerCapture(event.pointerId);
    pressed = { x: event.clientX, y: event.clientY, from: at(event), drags: false };
  });
  plot.addEventListener("pointermove", (event) => {
    if (!event.isPrimary) return; // a second finger
    if (pressed && !event.buttons) pressed = null; // it was let go elsewhere
    const place = at(event);
    if (pressed && Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y) > DRAG) pressed.drags = true;
    if (pressed?.drags && draws(event)) {
      explorer.interpolate(explorer.end(pressed.from), plane.moved(state.cross, place));
    }
    const z = plane.moved(state.cross, place);
    if (event.pointerType === "touch") explorer.put(z, event.timeStamp);
    else {
      state.pointer = z;
      explorer.show(event.timeStamp);
    }
  });
  plot.addEventListener("pointerup", (event) => {
    if (!pressed || !event.isPrimary) return;
    const { drags, from } = pressed;
    pressed = null;
    if (!drags) explorer.click(from, event.timeStamp);
    else if (draws(event)) explorer.interpolate(explorer.end(from), explorer.end(at(event)));
  });
  plot.addEventListener("pointercancel", () => { pressed = null; });
  plot.addEventListener("pointerleave", () => {
    state.pointer = null;
    explorer.show();
  });
  plot.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    explorer.zoom(Math.exp(event.deltaY / 300), at(event));
  }, { passive: false });
}

function keys(explorer) {
  const { plane, state, about } = explorer;
  let begun = null; // the first end of an interpolation
  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  const turn = (step) => about.told && explorer.chooseClass((state.y + step + about.y.length) % about.y.length);
  const commands = {
    Enter: () => explorer.chooseNearest(),
    i: () => {
      if (begun) explorer.interpolate(begun, state.cross);
      explorer.say(begun ? "Interpolated." : "The interpolation begins here. Move on, and press I again.");
      begun = begun ? null : state.cross;
    },
    "[": () => turn(-1),
    "]": () => turn(1),
    "+": () => explorer.zoom(1 / 1.5),
    "=": () => explorer.zoom(1 / 1.5),
    "-": () => explorer.zoom(1.5),
    0: () => explorer.zoom(),
    s: () => explorer.save(),
    Escape: () => { begun = null; explorer.clear(); },
  };
  $("plot").addEventListener("keydown", (event) => {
    // On some keyboards brackets need Option or AltGr, which some systems report as Ctrl and Alt.
    const bracket = event.altKey && "[]".includes(event.key);
    if (event.metaKey || ((event.ctrlKey || event.altKey) && !bracket)) return;
    if (arrows[event.key]) {
      const step = plane.half * (event.shiftKey ? 0.1 : 0.02), here = plane.at(state.cross);
      const place = here.map((v, i) => v + step * arrows[event.key][i]);
      explorer.reveal(place);
      explorer.put(plane.moved(state.cross, place), event.timeStamp);
      explorer.sayWhere();
    } else {
      const command = commands[event.key] ?? commands[event.key.toLowerCase()];
      if (!command) return;
      command();
    }
    event.preventDefault();
  });
}

function files(explorer) {
  const take = (list) => {
    const file = [...list].find((each) => each.type.startsWith("image/"));
    if (file) explorer.take(file);
    else if (list.length) trouble(new Error(`${list[0].name} is not a picture`));
  };
  for (const kind of ["dragenter", "dragover"]) {
    addEventListener(kind, (event) => {
      event.preventDefault();
      document.body.classList.add("dropping");
    });
  }
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dropping");
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    take(event.dataTransfer.files);
  });
  addEventListener("paste", (event) => take(event.clipboardData.files));
  $("file").addEventListener("change", ({ target }) => {
    take(target.files);
    target.value = ""; // so that the same file can be chosen again
  });
  $("invert").addEventListener("change", () => explorer.showOwn());
}
