"""How quick the explorer is: from a move of the pointer to the picture, in a real browser.

Writes the explorer of a run, serves it, and drives Debian's Chromium over it:

    aae train gaussian --data mnist --out runs/g
    python benchmarks/explorer.py runs/g

Decoding time runs from the move's own time stamp to the picture on its canvas, "shown" to the frame
after that. A redraw is what zooming costs: all codes, the prior and the axes.
"""

import argparse
import json
import os
import platform
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright

from aae.explorer import server, site
from aae.run import Run

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
WATCH = """() => {
  window.times = { decoded: [], shown: [] };
  document.querySelector("#here").addEventListener("decoded", ({ detail: { since } }) => {
    times.decoded.push(performance.now() - since);
    // After the next frame's drawing, a message comes once it has been handed on.
    requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => times.shown.push(performance.now() - since);
      port2.postMessage(0);
    });
  });
}"""
REDRAW = """async () => {
  const frame = () => new Promise(requestAnimationFrame), spans = [];
  const button = document.querySelector("#zoom-in"), all = document.querySelector("#zoom-all");
  for (let k = 0; k < 20; k++) {
    const since = performance.now();
    (k % 2 ? all : button).click();
    // Reading a pixel waits for what is drawn.
    document.querySelector("#base").getContext("2d").getImageData(0, 0, 1, 1);
    spans.push(performance.now() - since);
    await frame();
  }
  return spans;
}"""


def measure(page: Page, url: str, moves: int) -> dict[str, Any]:
    since = time.perf_counter()
    page.goto(url)
    page.wait_for_selector("main[aria-busy=false]", timeout=120_000)
    figures: dict[str, Any] = {"load_ms": (time.perf_counter() - since) * 1000}
    box = page.locator("#plot").bounding_box()
    assert box is not None
    rng = np.random.default_rng(0)
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.wait_for_timeout(1000)
    page.evaluate(WATCH)
    for x, y in 0.1 + 0.8 * rng.random((moves, 2)):
        page.mouse.move(box["x"] + box["width"] * x, box["y"] + box["height"] * y)
        page.wait_for_timeout(40)
    page.wait_for_timeout(500)
    figures |= page.evaluate("times")
    figures["redraw"] = page.evaluate(REDRAW)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--moves", type=int, default=200)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--data-dir")
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        run = Run(arguments.run)
        since = time.perf_counter()
        site.write(run, folder, count=arguments.count, data_dir=arguments.data_dir)
        written = time.perf_counter() - since
        with server.serve(Path(folder)) as served:
            threading.Thread(target=served.serve_forever, daemon=True).start()
            url = f"http://{server.HOST}:{served.server_port}/"
            browser = play.chromium.launch(executable_path=arguments.chromium, args=FLAGS)
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            figures = measure(page, url, arguments.moves)
            version = browser.version
            browser.close()
            served.shutdown()
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    report(figures, run, written, size, version)


def report(figures: dict[str, Any], run: Run, written: float, size: int, version: str) -> None:
    told = {
        "run": f"{run.config.recipe}, {run.config.data}, code {run.config.latent_dim}",
        "chromium": version,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "written_s": round(written, 1),
        "folder_mb": round(size / 1e6, 1),
        "load_ms": round(figures["load_ms"]),
    }
    for name in ("decoded", "shown", "redraw"):
        low, middle, high = np.quantile(figures[name], [0.05, 0.5, 0.95])
        told[f"{name}_ms"] = {
            "median": round(middle, 1), "5 %": round(low, 1), "95 %": round(high, 1),
            "most": round(max(figures[name]), 1), "count": len(figures[name]),
        }  # fmt: skip
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
