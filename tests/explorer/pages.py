"""A page that explores a run: how to read and touch it, and what it is compared with."""

import base64
import io

import numpy as np
import torch
from matplotlib.image import imsave

from aae import inference


class Explored:
    """A page, and how to read and touch it."""

    def __init__(self, page, url):
        self.page, self.complaints = page, []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda said: self.complaints.append(said.text))
        page.on("request", lambda request: self._local(request.url))
        page.goto(url)
        page.wait_for_selector("main[aria-busy=false]", timeout=30_000)
        self.box = page.locator("#plot").bounding_box()
        self.about = page.evaluate("fetch('about.json').then((answer) => answer.json())")

    def start_over(self):
        self.page.locator("#plot").focus()
        self.page.keyboard.press("Escape")
        self.page.mouse.move(5, 5)
        if self.about["told"]:
            self.page.get_by_role("radio", name="0").click()

    def _local(self, url):
        if not url.startswith(("http://127.0.0.1:", "data:", "blob:http://127.0.0.1:")):
            self.complaints.append(f"asked for {url}")

    def to_page(self, place):
        """Where a place of the plane is on the page, in the window at first."""
        left, right, top, limit = 38, 10, 10, self.about["limit"]
        scale = (self.box["width"] - 2 - left - right) / 2 / limit
        return (
            float(self.box["x"] + 1 + left + (place[0] + limit) * scale),
            float(self.box["y"] + 1 + top + (limit - place[1]) * scale),
        )

    def pixels(self, selector):
        """The red of a picture's pixels, [h, w] bytes."""
        values = self.page.evaluate(
            """(selector) => {
              const canvas = document.querySelector(selector), { width, height } = canvas;
              const copy = new OffscreenCanvas(width, height).getContext("2d");
              copy.drawImage(canvas, 0, 0);
              const { data } = copy.getImageData(0, 0, width, height);
              return [height, width, [...data].filter((_, i) => i % 4 === 0)];
            }""",
            selector,
        )
        return np.array(values[2]).reshape(values[:2])

    def wait_for(self, selector, expected):
        """Wait until a picture's pixels are these [h, w] in [0, 1], to rounding."""
        for _ in range(100):
            off = np.abs(self.pixels(selector) - 255 * np.asarray(expected)).max()
            if off < 0.51:
                return
            self.page.wait_for_timeout(30)
        raise AssertionError(f"{selector} is off by {off} levels")

    def text(self, selector):
        return self.page.locator(selector).inner_text()


def decoded(run, z, label=None):
    labels = None if label is None else torch.tensor([label])
    z = torch.tensor(np.asarray(z), dtype=torch.float32)[None]
    return inference.decode(run.model(), z, labels)[0, 0].numpy()


def png(image):
    """A picture of bytes, grey [h, w] or with channels [h, w, 3 or 4], as PNG in base64."""
    file = io.BytesIO()
    imsave(file, image if image.ndim == 3 else np.repeat(image[..., None], 3, 2))
    return base64.b64encode(file.getvalue()).decode()


DROP = """([data, type]) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0)), files = new DataTransfer();
  files.items.add(new File([bytes], "mine.png", { type }));
  document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true }));
}"""
