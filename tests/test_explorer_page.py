"""The explorer's page, driven in a real browser: Debian's Chromium, or the one on the PATH."""

import base64
import functools
import io
import re
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from statistics import median

import numpy as np
import onnxruntime
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.image import imread, imsave

from aae import inference
from aae.explorer import server, site
from aae.fit import fit
from aae.plots import class_colours
from aae.run import Splits
from aae.training.trainer import Observer

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no Chromium here: apt-get install chromium"
)

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def serving():
    """Serves until the module's tests are over; gives the address."""
    running = []

    def start(served):
        running.append(served)
        threading.Thread(target=served.serve_forever, args=(0.05,), daemon=True).start()
        return f"http://127.0.0.1:{served.server_port}/"

    yield start
    for served in running:
        served.shutdown()
        served.server_close()


@pytest.fixture(scope="module")
def semi(tiny_site, serving):
    """A run with two dimensions and a classifier, as `aae explore` shows it."""
    return serving(server.serve(tiny_site))


@pytest.fixture(scope="module")
def style_run(tiny, tmp_path_factory):
    """A run with three dimensions, whose decoder is told the label."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aae.fit.Painter", lambda *args: Observer())
        config = tiny(model="supervised", latent_dim=3, epochs=2)
        return fit(config, tmp_path_factory.mktemp("runs") / "style")


@pytest.fixture(scope="module")
def style_site(style_run, tmp_path_factory):
    """The same, exported into a folder of a plain file server."""
    return site.write(style_run, tmp_path_factory.mktemp("host") / "some" / "where", count=100)


@pytest.fixture(scope="module")
def style(style_site, serving):
    """Where that server shows it."""
    root = style_site.parents[1]

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    plain = functools.partial(Quiet, directory=str(root))
    return serving(ThreadingHTTPServer(("127.0.0.1", 0), plain)) + "some/where/"


@pytest.fixture(scope="module")
def opened():
    """Pages that tests share, by address: to load one takes a second."""
    return {}


@pytest.fixture
def visit(chromium, opened):
    """Opens a page, or takes it as it was opened; fails where it complained of anything."""
    seen = []

    def visit(url, **looks):
        if looks or url not in opened:
            context = chromium.new_context(viewport={"width": 1300, "height": 850}, **looks)
            explored = Explored(context.new_page(), url)
            if not looks:
                opened[url] = explored
        else:
            explored = opened[url]
            explored.start_over()
        seen.append(explored)
        return explored

    yield visit
    complaints = [said for explored in seen for said in explored.complaints]
    for explored in seen:
        explored.complaints.clear()
        if explored not in opened.values():
            explored.page.context.close()
    assert complaints == []


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
            if off <= 1:
                return
            self.page.wait_for_timeout(30)
        raise AssertionError(f"{selector} is off by {off} levels")

    def text(self, selector):
        return self.page.locator(selector).inner_text()


def decoded(run, z, label=None):
    labels = None if label is None else torch.tensor([label])
    z = torch.tensor(np.asarray(z), dtype=torch.float32)[None]
    return inference.decode(run.model(), z, labels)[0, 0].numpy()


@pytest.fixture(scope="module")
def test_part(tiny_run, digits):
    return Splits.of(tiny_run.config, digits).test


@pytest.fixture(scope="module")
def lone(tiny_run, test_part):
    """A test picture whose code has no neighbour within reach of a click, and its code."""
    z = inference.encode(tiny_run.model(), test_part.images).mean.numpy()
    distance = np.linalg.norm(z[:, None] - z, axis=2) + 99 * np.eye(len(z))
    inside = np.abs(z).max(1) < 3
    i = int(np.argmax(distance.min(1) * inside))
    return i, z[i]


def test_moving_the_pointer_decodes_at_once(visit, semi, tiny_run):
    seen = visit(semi)
    for place in ((0.5, -1.0), (-1.25, 0.75)):
        seen.page.mouse.move(*seen.to_page(place))
        seen.wait_for("#here", decoded(tiny_run, place, 0))
        assert [float(word.replace("−", "-")) for word in seen.text("#where").split()[1::2]] == (
            pytest.approx(place, abs=0.02)
        )
    for k in range(30):
        seen.page.mouse.move(*seen.to_page((-2 + k / 8, 0.5)))
    times = seen.page.evaluate("performance.getEntriesByName('decode').map((e) => e.duration)")
    assert len(times) > 10
    assert median(times) < 50  # milliseconds from the move to the picture


def test_the_pointer_gone_the_cross_is_decoded(visit, semi, tiny_run):
    seen = visit(semi)
    seen.page.mouse.move(*seen.to_page((2.0, 2.0)))
    seen.wait_for("#here", decoded(tiny_run, (2.0, 2.0), 0))
    seen.page.mouse.move(5, 5)
    seen.wait_for("#here", decoded(tiny_run, (0.0, 0.0), 0))


def test_a_click_shows_a_picture_and_its_reconstruction(visit, semi, tiny_run, test_part, lone):
    seen, (i, z) = visit(semi), lone
    seen.page.mouse.click(*seen.to_page(z))
    seen.page.wait_for_selector("#chosen:visible")
    label = test_part.labels[i]
    assert f"No. {i + 1}: {label}" in seen.text("#chosen")
    seen.wait_for("#chosen figure:nth-of-type(1) canvas", test_part.images[i, 0] / 255)
    x_hat = inference.reconstruct(tiny_run.model(), test_part)[i, 0]
    seen.wait_for("#chosen figure:nth-of-type(2) canvas", x_hat.numpy())
    seen.wait_for("#here", decoded(tiny_run, z, label))
    assert "of the test pictures" in seen.text("#chosen .told")


def test_a_drag_draws_what_lies_between(visit, semi, tiny_run, lone):
    seen, (_, z) = visit(semi), lone
    mouse, end = seen.page.mouse, (-3.3, -3.3)  # a corner without codes
    mouse.move(*seen.to_page(z))
    mouse.down()
    mouse.move(*seen.to_page((0, 0)), steps=3)
    mouse.move(*seen.to_page(end))
    mouse.up()
    for k in (0, 4, 8):
        between = z + (np.array(end) - z) * k / 8
        seen.page.wait_for_selector("#strip:visible")
        drawn = decoded(tiny_run, between, 0)
        got = seen.pixels(f"#strip canvas:nth-of-type({k + 1})") / 255
        assert np.abs(got - drawn).max() < 0.02  # the corner is met to a pixel
    assert seen.page.locator("#chosen").is_hidden()


def test_a_class_is_told_to_the_decoder(visit, semi, tiny_run):
    seen = visit(semi)
    for k in (0, 3, 9):
        seen.wait_for(f"#classes button:nth-child({k + 1}) canvas", decoded(tiny_run, (0, 0), k))
    seen.page.get_by_role("radio", name="3").click()
    seen.wait_for("#here", decoded(tiny_run, (0, 0), 3))
    assert seen.text("#here-name") == "Decoded as 3"
    assert seen.page.get_by_role("radio", name="3").get_attribute("aria-checked") == "true"
    seen.page.keyboard.press("ArrowRight")
    seen.wait_for("#here", decoded(tiny_run, (0, 0), 4))


def test_a_picture_of_a_cluster_is_decoded_as_its_cluster(
    chromium, semi, tiny_run, test_part, lone
):
    def clusters(route):
        route.fulfill(json={**route.fetch().json(), "clusters": True})

    page = chromium.new_page(viewport={"width": 1300, "height": 850})
    page.route("**/about.json", clusters)
    seen, (i, z) = Explored(page, semi), lone
    page.mouse.click(*seen.to_page(z))
    y = inference.encode(tiny_run.model(), test_part.images[i : i + 1]).y
    assert y is not None
    own = int(y.argmax())
    page.get_by_role("heading", name=f"Decoded as cluster {own}", exact=True).wait_for()
    seen.wait_for("#here", decoded(tiny_run, z, own))
    assert seen.text("#chosen .bars div:nth-of-type(1) b") == f"cluster {own}"
    page.close()


def png(image):
    """A picture of bytes [h, w], each pixel sixteen wide, as PNG in base64."""
    file = io.BytesIO()
    imsave(file, np.repeat(np.kron(image, np.ones((16, 16), np.uint8))[..., None], 3, 2))
    return base64.b64encode(file.getvalue()).decode()


DROP = """([data, type]) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0)), files = new DataTransfer();
  files.items.add(new File([bytes], "mine.png", { type }));
  document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true }));
}"""


@pytest.mark.parametrize("inverted", [False, True])
def test_a_dropped_picture_goes_through_the_model(visit, semi, tiny_run, test_part, inverted):
    seen, image = visit(semi), test_part.images[7, 0]
    seen.page.evaluate(DROP, [png(255 - image if inverted else image), "image/png"])
    seen.page.wait_for_selector("#own:visible")
    # Black digits on white are turned into what the model knows.
    assert seen.page.locator("#invert").is_checked() is inverted
    seen.wait_for("#own figure:nth-of-type(1) canvas", image / 255)
    codes = inference.encode(tiny_run.model(), test_part.images[7:8])
    assert codes.y is not None
    best = int(codes.y.argmax())
    share = f"{100 * float(codes.y.max()):.1f} %"
    assert seen.text("#own .bars div:nth-of-type(1)").split("\n") == [str(best), share]
    assert "Anomaly score" in seen.text("#own .told")
    where = [float(word.replace("−", "-")) for word in seen.text("#where").split()[1::2]]
    assert where == pytest.approx(codes.mean[0].tolist(), abs=0.01)


def test_a_chessboard_is_an_anomaly(visit, semi):
    seen = visit(semi)
    board = np.indices((8, 8)).sum(0) % 2 * 255
    seen.page.evaluate(DROP, [png(board.astype(np.uint8)), "image/png"])
    seen.page.wait_for_selector("#own:visible")
    share = re.search(r"greater than that of (\d+) %", seen.text("#own .told"))
    assert int(share[1]) > 90


def test_what_is_no_picture_is_said_so(visit, semi):
    seen = visit(semi)
    seen.page.evaluate(DROP, [base64.b64encode(b"hello").decode(), "text/plain"])
    assert seen.text("#trouble") == "mine.png is not a picture"
    seen.page.evaluate(DROP, [base64.b64encode(b"hello").decode(), "image/png"])
    seen.page.get_by_text("mine.png is not a picture that this browser can read").wait_for()
    assert seen.complaints == ["mine.png is not a picture that this browser can read"]
    seen.complaints.clear()


def test_what_is_seen_is_saved(visit, semi, tiny_run, tmp_path):
    seen = visit(semi)
    seen.page.mouse.click(*seen.to_page((1.0, 1.0)))
    with seen.page.expect_download() as download:
        seen.page.get_by_role("button", name="Save PNG").click()
    assert download.value.suggested_filename == "tiny-digits.png"
    download.value.save_as(tmp_path / "saved.png")
    image = imread(tmp_path / "saved.png")[..., :3]
    assert image.shape[1] == 2 * seen.page.evaluate("document.body.offsetWidth")
    box = seen.page.locator("#here").bounding_box()
    body = seen.page.locator("body").bounding_box()
    left, top = int(2 * (box["x"] - body["x"])), int(2 * (box["y"] - body["y"]))
    picture = image[top : top + int(2 * box["height"]), left : left + int(2 * box["width"])]
    shown = seen.pixels("#here") / 255
    cell = picture.shape[0] / 8
    middles = ((np.arange(8) + 0.5) * cell).astype(int)
    assert np.abs(picture[middles][:, middles, 0] - shown).max() < 0.01


def test_all_can_be_done_by_keys(visit, semi, tiny_run):
    seen, limit = visit(semi), 3.5
    press = seen.page.keyboard.press
    seen.page.locator("#plot").focus()
    for key in ("Shift+ArrowRight", "Shift+ArrowRight", "ArrowUp"):
        press(key)
    place = (0.2 * limit, 0.02 * limit)
    seen.wait_for("#here", decoded(tiny_run, place, 0))
    seen.page.locator("#status").get_by_text("nearest codes").wait_for(state="attached")
    press("]")
    seen.wait_for("#here", decoded(tiny_run, place, 1))
    press("i")
    press("Shift+ArrowLeft")
    press("i")
    seen.page.wait_for_selector("#strip:visible")
    assert "from 0.70, 0.07 to 0.35, 0.07" in seen.page.locator("#strip").get_attribute(
        "aria-label"
    )
    before = seen.page.evaluate("document.querySelector('#base').toDataURL()")
    press("+")
    assert seen.page.evaluate("document.querySelector('#base').toDataURL()") != before
    press("0")
    assert seen.page.evaluate("document.querySelector('#base').toDataURL()") == before
    press("Escape")
    assert seen.page.locator("#strip").is_hidden()


def test_a_finger_decodes_where_it_goes_and_taps_choose(visit, semi, tiny_run, lone):
    seen = visit(semi, has_touch=True)
    client = seen.page.context.new_cdp_session(seen.page)

    def touch(kind, *places):
        points = [dict(zip("xy", seen.to_page(place), strict=True)) for place in places]
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", (0, 0))
    touch("touchMove", (0.5, 1.0))
    touch("touchMove", (-1.0, 1.5))
    touch("touchEnd")
    seen.wait_for("#here", decoded(tiny_run, (-1.0, 1.5), 0))
    assert seen.page.locator("#strip").is_hidden()
    # A browser short of time passes on a tap's touches but now and then not its click: tap again.
    for _ in range(5):
        seen.page.get_by_role("button", name="Interpolate").tap()
        seen.page.wait_for_timeout(500)
        if seen.page.locator("#strip-mode[aria-pressed=true]").count():
            break
    assert seen.page.locator("#strip-mode[aria-pressed=true]").is_visible()
    touch("touchStart", (0, 0))
    touch("touchMove", (0.5, 1.0))
    touch("touchEnd")
    seen.page.wait_for_selector("#strip:visible")
    seen.page.touchscreen.tap(*seen.to_page(lone[1]))
    seen.page.wait_for_selector("#chosen:visible")


def test_codes_of_hidden_classes_cannot_be_chosen(visit, semi, lone):
    seen, (_, z) = visit(semi), lone
    chips = seen.page.locator("#legend button")
    before = seen.page.evaluate("document.querySelector('#base').toDataURL()")
    for chip in chips.all():
        chip.click()
        assert chip.get_attribute("aria-pressed") == "false"
    seen.page.mouse.click(*seen.to_page(z))
    seen.page.wait_for_timeout(200)
    assert seen.page.locator("#chosen").is_hidden()
    assert seen.page.evaluate("document.querySelector('#base').toDataURL()") != before
    for chip in chips.all():
        chip.click()
    seen.page.mouse.click(*seen.to_page(z))
    seen.page.wait_for_selector("#chosen:visible")


def test_light_and_dark(visit, semi):
    page, grounds, codes = visit(semi).page, {}, {}
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        first = class_colours(1, dark=scheme == "dark")[0]
        page.wait_for_function(
            "(first) => document.querySelector('.chip i').style.background === first",
            arg="rgb({}, {}, {})".format(*(round(255 * part) for part in to_rgb(first))),
        )
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        grounds[scheme] = sum(int(part) for part in colour[4:-1].split(",")) / 3
        codes[scheme] = page.evaluate("document.querySelector('#base').toDataURL()")
    assert grounds["light"] > 200
    assert grounds["dark"] < 50
    assert codes["light"] != codes["dark"]


def test_everything_has_a_name(visit, semi, lone):
    seen = visit(semi)
    seen.page.mouse.click(*seen.to_page(lone[1]))
    seen.page.wait_for_selector("#chosen:visible")
    lines = [line.strip() for line in seen.page.locator("body").aria_snapshot().splitlines()]
    for role in ("button", "img", "radio", "checkbox", "application", "meter", "dialog"):
        named = [line for line in lines if re.match(rf"- '?{role}\b", line)]
        assert all(f'{role} "' in line for line in named), role
    assert any(line.startswith('- application "Code space"') for line in lines)
    assert sum(line.startswith("- radio ") for line in lines) == 10
    assert sum(bool(re.match(r"- '?img ", line)) for line in lines) == 3


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


def accessible(page):
    """What Chromium tells a screen reader: (role, name, properties) of each thing."""
    client = page.context.new_cdp_session(page)
    found = []
    for node in client.send("Accessibility.getFullAXTree")["nodes"]:
        if not node["ignored"]:
            role, name = (node.get(k, {}).get("value", "") for k in ("role", "name"))
            told = {p["name"]: p["value"].get("value") for p in node.get("properties", [])}
            found.append((role, name, told))
    client.detach()
    return found


@pytest.mark.parametrize("which", ["semi", "style"])
def test_chromium_tells_a_screen_reader_all_of_it_once(visit, request, which):
    seen = visit(request.getfixturevalue(which))
    seen.page.locator("#plot").focus()
    seen.page.keyboard.press("Enter")
    seen.page.wait_for_selector("#chosen:visible")
    found = accessible(seen.page)
    need = {
        "application", "button", "checkbox", "combobox", "complementary", "heading", "image",
        "meter", "radio", "radiogroup", "region", "slider",
    }  # fmt: skip
    assert [each for each in found if each[0] in need and not each[1]] == []
    roles = [role for role, *_ in found]
    assert "Canvas" not in roles  # what is drawn is told in words
    assert roles.count("slider") == (3 if which == "style" else 0)
    # One region speaks, however many numbers change.
    assert [role for role, _, told in found if told.get("live")] == ["status"]
    seen.page.locator("#status").get_by_text("No. ").wait_for(state="attached")
    words = "(controls) => controls.map((each) => each.getAttribute('aria-valuetext'))"
    sliders = seen.page.locator("#sliders input").evaluate_all(words)
    assert sliders == seen.page.locator("#sliders span").all_inner_texts()
    meters = seen.page.locator("#chosen meter").evaluate_all(words)
    assert meters == seen.page.locator("#chosen .bars span").all_inner_texts()
    assert len(meters) == (3 if which == "semi" else 0)


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


def test_regions_hold_their_share_of_the_prior(visit, semi):
    levels = visit(semi).page.evaluate(
        """async () => {
          const { levels } = await import("./density.js"), grid = [];
          for (let y = -50; y <= 50; y++)
            for (let x = -50; x <= 50; x++) grid.push(Math.exp(-(x * x + y * y) / 200));
          return [levels(grid), levels(new Float32Array(100).fill(2))];
        }"""
    )
    # For a Gaussian they are at one, two and three standard deviations.
    assert levels[0] == pytest.approx(np.exp(-np.array([9, 4, 1]) / 2), rel=0.03)
    assert levels[1] == [pytest.approx(2, rel=1e-5)]
