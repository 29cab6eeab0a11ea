// The model's networks, run in this browser by ONNX Runtime.

import * as ort from "./ort/ort.js";
import { bytes } from "./data.js";

export class Networks {
  static async load(about) {
    ort.env.wasm.numThreads = 1; // more threads need headers that a plain file server does not send
    ort.env.wasm.wasmBinary = (await bytes("ort/ort.wasm.gz")).buffer;
    const options = { executionProviders: ["wasm"] };
    const [encoder, decoder] = await Promise.all(["encoder.onnx", "decoder.onnx"].map(bytes));
    // One after the other: the first one starts the runtime.
    return new Networks(
      about,
      await ort.InferenceSession.create(encoder, options),
      await ort.InferenceSession.create(decoder, options),
    );
  }

  constructor(about, encoder, decoder) {
    Object.assign(this, { about, encoder, decoder, classes: about.y.length });
    this.turn = Promise.resolve();
  }

  /** Runs of a session must not overlap. */
  #run(session, inputs) {
    const result = this.turn.then(() => session.run(inputs));
    this.turn = result.catch(() => {});
    return result;
  }

  /** A picture [c · h · w] in [0, 1] → its code z, and y where the model classifies. */
  async encode(x) {
    const found = await this.#run(this.encoder, { x: new ort.Tensor("float32", x, [1, ...this.about.shape]) });
    return { z: found.z.data, y: found.y?.data };
  }

  /** Codes, with one y each if the decoder takes y → one picture each. */
  async decode(zs, ys) {
    const inputs = { z: stacked(zs) };
    if (this.about.told) inputs.y = stacked(ys);
    const { x } = await this.#run(this.decoder, inputs);
    const size = x.data.length / zs.length;
    return zs.map((_, i) => x.data.subarray(i * size, (i + 1) * size));
  }

  oneHot(k) {
    const y = new Float32Array(this.classes);
    y[k] = 1;
    return y;
  }

  /** A code decoded as every class. */
  asEveryClass(z) {
    const ks = Array.from({ length: this.classes }, (_, k) => k);
    return this.decode(ks.map(() => z), ks.map((k) => this.oneHot(k)));
  }
}

function stacked(rows) {
  const all = new Float32Array(rows.length * rows[0].length);
  rows.forEach((row, i) => all.set(row, i * row.length));
  return new ort.Tensor("float32", all, [rows.length, rows[0].length]);
}

/** Work of which only the newest is worth doing: each new request replaces the one that waits. */
export class Newest {
  constructor(work) {
    this.work = work;
  }

  async ask(what) {
    this.next = what;
    if (this.busy) return;
    this.busy = true;
    let failure;
    while (this.next !== undefined) {
      const now = this.next;
      this.next = undefined;
      try {
        await this.work(now, () => this.next !== undefined);
      } catch (error) {
        failure = { error }; // what was asked meanwhile is done first
      }
    }
    this.busy = false;
    if (failure) throw failure.error;
  }
}
