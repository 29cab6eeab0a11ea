"""An explorer exported into a folder, and that its networks are those of Python."""

import numpy as np
import onnxruntime
import pytest
import torch
from pages import DROP, decoded, png

from aae import inference
from aae.splits import Splits

RUN_BOTH = """async ([pictures, asked]) => {
  const { load } = await import("./data.js"), { Networks } = await import("./networks.js");
  const { about } = await load(), networks = await Networks.load(about), found = [];
  for (const [i, x] of pictures.entries()) {
    const { z, y } = await networks.encode(Float32Array.from(x));
    const told = about.told ? [y ?? networks.oneHot(asked[i])] : [];
    const [decoded] = await networks.decode([z], told);
    found.push([z, y ?? [], decoded].map((values) => [...values]));
  }
  return found;
}"""


@pytest.mark.parametrize("which", ["semi", "style"])
def test_the_browser_gives_what_onnx_runtime_gives_in_python(visit, request, which, digits):
    folder = request.getfixturevalue({"semi": "tiny_site", "style": "style_site"}[which])
    x, asked = digits.test_images[:100].astype(np.float32) / 255, np.arange(100) % 10
    given = [x.reshape(100, -1).tolist(), asked.tolist()]
    found = visit(request.getfixturevalue(which)).page.evaluate(RUN_BOTH, given)
    z, y, decoded = (np.array(part) for part in zip(*found, strict=True))
    encoder, decoder = (
        onnxruntime.InferenceSession(folder / f"{name}.onnx", providers=["CPUExecutionProvider"])
        for name in ("encoder", "decoder")
    )
    codes = dict(
        zip([o.name for o in encoder.get_outputs()], encoder.run(None, {"x": x}), strict=True)
    )
    told = codes.get("y", np.eye(10, dtype=np.float32)[asked])
    (pictures,) = decoder.run(None, {"z": codes["z"], "y": told})
    assert np.abs(z - codes["z"]).max() < 1e-5
    assert np.abs(decoded - pictures.reshape(100, -1)).max() < 1e-5
    assert (y.shape == (100, 10)) == ("y" in codes) == (which == "semi")
    if which == "semi":
        assert np.abs(y - codes["y"]).max() < 1e-5
    assert min(codes["z"].std(), pictures.std()) > 0.01  # they differ from picture to picture


class TestExported:
    """Three dimensions, a decoder that is told the label, and a plain file server."""

    def test_sliders_move_the_code(self, visit, style, style_run):
        seen = visit(style)
        assert seen.page.locator("#sliders input").count() == 3
        seen.page.locator("#sliders input").nth(2).fill("1.05")
        seen.wait_for("#here", decoded(style_run, (0, 0, 1.05), 0))

    def test_the_plane_is_of_two_dimensions_or_principal(self, visit, style, style_run):
        seen = visit(style)
        seen.page.locator("#sliders input").nth(0).fill("0.7")
        seen.page.locator("#axis-u").select_option("2")
        assert seen.page.locator("#axis-v").input_value() == "1"
        seen.page.mouse.move(*seen.to_page((1.0, -0.5)))
        seen.wait_for("#here", decoded(style_run, (0.7, -0.5, 1.0), 0))
        seen.page.locator("#axis-u").select_option("1")
        assert seen.page.locator("#axis-v").input_value() == "2"  # they change places
        seen.page.locator("#axis-u").select_option("pca")
        u, v = np.array(seen.about["axes"])
        z = np.array([0.7, 0, 0])
        place = np.array([0.4, -0.8])
        seen.page.mouse.move(*seen.to_page(place))
        z = z + (place[0] - z @ u) * u + (place[1] - z @ v) * v
        seen.wait_for("#here", decoded(style_run, z, 0))
        assert seen.text("#where").startswith("PC 1")
        seen.page.locator("#axis-u").select_option("2")  # which "Up" holds
        assert seen.page.locator("#axis-v").input_value() == "1"
        seen.page.mouse.move(*seen.to_page((0.3, -0.2)))
        assert seen.text("#where").split() == ["z₃", "0.30", "z₂", "−0.20"]

    def test_a_picture_without_a_label_is_decoded_as_the_best(
        self, visit, style, style_run, digits
    ):
        seen = visit(style)
        image = Splits.of(style_run.config, digits).test.images[3]
        seen.page.evaluate(DROP, [png(image[0]), "image/png"])
        seen.page.wait_for_selector("#own:visible")
        model = style_run.model()
        z = inference.encode(model, image[None]).mean
        every = inference.decode(model, z.expand(10, -1), torch.arange(10))[:, 0].numpy()
        best = np.square(every - image[0] / 255).sum((1, 2)).argmin()
        seen.wait_for("#own figure:nth-of-type(2) canvas", every[best])

    def test_a_part_that_is_missing_is_said(self, chromium, style):
        page = chromium.new_page()
        page.route("**/about.json", lambda route: route.fulfill(status=404))
        page.goto(style)
        page.get_by_text("about.json could not be loaded: 404").wait_for()
        page.close()
