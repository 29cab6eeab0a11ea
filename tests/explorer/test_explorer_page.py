"""The explorer's page in use: pointer, clicks, drags, classes, pictures dropped on it, saving."""

import base64
import io
import re
from statistics import median

import numpy as np
import pytest
from matplotlib.image import imread
from pages import DROP, Explored, decoded, png

from aae import inference
from aae.data.decoding import decode


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
    seen.wait_for("#here", decoded(tiny_run, (-2 + 29 / 8, 0.5), 0))
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


@pytest.mark.parametrize("by_hand", [False, True])
def test_where_the_data_have_no_ground_only_the_user_inverts(chromium, semi, test_part, by_hand):
    def photographs(route):
        route.fulfill(json={**route.fetch().json(), "border": 0.45})

    page = chromium.new_page(viewport={"width": 1300, "height": 850})
    page.route("**/about.json", photographs)
    seen, image = Explored(page, semi), test_part.images[7, 0]
    page.locator("#invert").set_checked(by_hand)
    page.evaluate(DROP, [png(255 - image), "image/png"])
    page.wait_for_selector("#own:visible")
    assert page.locator("#invert").is_checked() is by_hand
    seen.wait_for("#own figure:nth-of-type(1) canvas", (image if by_hand else 255 - image) / 255)
    page.close()


@pytest.mark.parametrize("size", [(20, 50, 3), (45, 8, 3), (6, 5, 3), (31, 40, 4)])
def test_a_dropped_picture_is_read_as_files_are(visit, semi, size):
    seen, rng = visit(semi), np.random.default_rng(0)
    image = png(rng.integers(0, 256, size, dtype=np.uint8))
    expected = decode(io.BytesIO(base64.b64decode(image)), (8, 8), 1)[0] / 255
    seen.page.evaluate(DROP, [image, "image/png"])
    seen.page.wait_for_selector("#own:visible")
    inverted = seen.page.locator("#invert").is_checked()
    seen.wait_for("#own figure:nth-of-type(1) canvas", 1 - expected if inverted else expected)


def test_a_chessboard_is_an_anomaly(visit, semi):
    seen = visit(semi)
    board = np.indices((8, 8)).sum(0) % 2 * 255
    seen.page.evaluate(DROP, [png(board.astype(np.uint8)), "image/png"])
    seen.page.wait_for_selector("#own:visible")
    assert "greater than that of any test picture" in seen.text("#own .told")


def test_no_test_picture_is_worse_than_all(visit, semi, tiny_run, test_part):
    x_hat = inference.reconstruct(tiny_run.model(), test_part).numpy()
    errors = 2 * np.square(x_hat - test_part.images / 255).sum((1, 2, 3))
    said = visit(semi).page.evaluate(
        """async (errors) => {
          const { load } = await import("./data.js"), data = await load();
          return errors.map((error) => data.rank(error));
        }""",
        # As sums in another order may be, at worst.
        [float(errors.max() * (1 + k)) for k in (-1e-3, 1e-6, 1e-3)],
    )
    most = "greater than that of 99 % of the test pictures"
    assert said == [most, most, "greater than that of any test picture"]


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


def test_codes_outside_of_the_frame_are_counted_and_shown(chromium, semi, test_part, tiny_run):
    far, limit = np.zeros((len(test_part.images), 2), "<f4"), 3.5
    far[:3] = (0, 7), (-4, 1), (0, -3.6)
    page = chromium.new_page(viewport={"width": 1300, "height": 850})
    page.route("**/codes.gz", lambda route: route.fulfill(body=far.tobytes()))
    seen = Explored(page, semi)
    assert f"3 of {len(far)} codes lie outside the prior's frame" in seen.text("#map-note")
    page.get_by_role("button", name="All").click()
    place = far[0] * limit / (1.05 * 7)  # where the window shows it now
    page.mouse.click(*seen.to_page(place))
    page.wait_for_selector("#chosen:visible")
    assert "No. 1:" in seen.text("#chosen")
    for zoom in ("in", "out", "out"):
        page.get_by_role("button", name=f"Zoom {zoom}").click()
    page.mouse.move(*seen.to_page(place))
    seen.wait_for("#here", decoded(tiny_run, far[0], test_part.labels[0]))
    page.close()


def test_of_one_dimension_a_height_means_nothing(visit, semi):
    seen = visit(semi, color_scheme="light")
    seen.page.evaluate(
        """async () => {
          const { Explorer } = await import("./explorer.js");
          Explorer.prototype.noteMap.call({ data: { dim: 1 }, plane: { outside: 0 } });
        }"""
    )
    assert "height on the map means nothing" in seen.text("#map-note")


def test_of_data_without_classes_none_is_told(chromium, semi, test_part):
    def without(route):
        route.fulfill(json={**route.fetch().json(), "classes": []})

    page, labels = chromium.new_page(), np.full(len(test_part.images), -1, "<i2")
    page.route("**/about.json", without)
    page.route("**/labels.gz", lambda route: route.fulfill(body=labels.tobytes()))
    seen = Explored(page, semi)
    page.locator("#plot").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#chosen:visible")
    assert re.fullmatch(r"No\. \d+", seen.text("#chosen strong"))
    assert seen.text("#near") == ""
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


def test_of_two_pictures_the_later_one_is_shown_however_long_the_first_takes(
    visit, semi, test_part
):
    seen, image = visit(semi), test_part.images[7, 0]
    large = np.random.default_rng(0).integers(256, size=(2400, 2400), dtype=np.uint8)
    for given in (large, image):
        seen.page.evaluate(DROP, [png(given), "image/png"])
    seen.page.wait_for_selector("#own:visible")
    seen.page.wait_for_timeout(1500)
    seen.wait_for("#own figure:nth-of-type(1) canvas", image / 255)
    seen.page.evaluate(DROP, [png(large), "image/png"])
    seen.start_over()
    seen.page.wait_for_timeout(1500)
    assert seen.page.locator("#own").is_hidden()


def test_what_is_cleared_does_not_come_back(visit, semi):
    seen = visit(semi)
    seen.page.locator("#plot").focus()
    for key in ("]", "i", "Shift+ArrowLeft", "i", "Escape"):
        seen.page.keyboard.press(key)
    seen.page.wait_for_timeout(300)
    assert seen.page.locator("#strip").is_hidden()
    assert seen.text("#here-name") == "Decoded as 0"


def test_a_place_that_is_chosen_is_in_the_window(visit, semi):
    seen = visit(semi)
    seen.page.locator("#plot").focus()
    for _ in range(12):
        seen.page.keyboard.press("Shift+ArrowRight")
    for _ in range(6):
        seen.page.keyboard.press("+")
    before = seen.page.evaluate("document.querySelector('#base').toDataURL()")
    seen.page.keyboard.press("Escape")  # puts the cross at the origin
    assert seen.page.evaluate("document.querySelector('#base').toDataURL()") != before
    seen.page.keyboard.press("0")


def test_a_second_finger_does_not_move_the_place(visit, semi):
    seen = visit(semi)
    before = seen.text("#where")
    for primary in (False, True):
        seen.page.evaluate(
            """(isPrimary) => {
              const plot = document.querySelector("#plot"), box = plot.getBoundingClientRect();
              plot.dispatchEvent(new PointerEvent("pointermove", {
                isPrimary, pointerType: "touch", clientX: box.left + 99, clientY: box.top + 99,
              }));
            }""",
            primary,
        )
        assert (seen.text("#where") == before) is not primary


def test_a_file_can_be_chosen_again(visit, semi, test_part, tmp_path):
    seen = visit(semi)
    (tmp_path / "mine.png").write_bytes(base64.b64decode(png(test_part.images[7, 0])))
    for _ in range(2):
        seen.page.set_input_files("#file", tmp_path / "mine.png")
        seen.page.wait_for_selector("#own:visible")
        assert seen.page.evaluate("document.querySelector('#file').value") == ""
        seen.start_over()


def test_what_was_asked_during_a_failure_is_done(visit, semi):
    done = visit(semi).page.evaluate(
        """async () => {
          const { Newest } = await import(new URL("networks.js", location)), done = [];
          const newest = new Newest(async (k) => {
            await null;
            if (k === 1) throw new Error("no");
            done.push(k);
          });
          const first = newest.ask(1).catch((error) => error.message);
          newest.ask(2);
          return [await first, done];
        }"""
    )
    assert done == ["no", [2]]


def test_a_page_that_is_served_does_not_ask_for_a_server(visit, semi):
    assert visit(semi).page.locator("#served").count() == 0


def test_what_scrolls_out_of_sight_is_not_saved(visit, semi):
    seen = visit(semi)
    red = seen.page.evaluate(
        """async () => {
          const { snapshot } = await import(new URL("save.js", location));
          const box = document.createElement("div"), word = document.createElement("p");
          box.className = "sliders";
          box.style.cssText = "position: absolute; left: 0; top: 0; width: 90px; max-height: 9px";
          word.style.cssText = "margin: 60px 0 0; color: #f00; font-weight: 700";
          word.dataset.ink = "";
          word.textContent = "████";
          box.append(word);
          document.body.append(box);
          const drawn = await createImageBitmap(await snapshot());
          box.style.maxHeight = "none";
          const whole = await createImageBitmap(await snapshot());
          box.remove();
          return [drawn, whole].map((image) => {
            const copy = new OffscreenCanvas(image.width, image.height).getContext("2d");
            copy.drawImage(image, 0, 0);
            const { data } = copy.getImageData(0, 0, 300, 300);
            let count = 0;
            for (let i = 0; i < data.length; i += 4) count += data[i] > 250 && data[i + 1] < 5;
            return count;
          });
        }"""
    )
    assert red[0] == 0 < red[1]
