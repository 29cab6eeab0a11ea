"""The explorer's page for everyone: keys, fingers, light and dark, names, a screen reader."""

import re

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from pages import decoded

from aae import inference
from aae.plots import class_colours


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


def test_enter_shows_the_code_nearest_to_the_cross(visit, semi, test_part, tiny_run):
    seen, limit = visit(semi), 3.5
    corner = np.array((-0.9, 0.9)) * limit
    codes = inference.encode(tiny_run.model(), test_part.images).mean.numpy()
    order = np.linalg.norm(codes - corner, axis=1).argsort()
    first = test_part.labels[order[0]]
    other = next(i for i in order if test_part.labels[i] != first)
    chip = seen.page.locator("#legend").get_by_role("button", name=str(first))
    for expected in (order[0], other):
        seen.start_over()
        seen.page.locator("#plot").focus()
        for key in ("Shift+ArrowLeft", "Shift+ArrowUp"):
            for _ in range(9):
                seen.page.keyboard.press(key)
        seen.page.keyboard.press("Enter")
        seen.page.locator("#chosen").get_by_text(f"No. {expected + 1}:").wait_for()
        chip.click()  # hides the class, then shows it again


@pytest.mark.parametrize("held", [{"altKey": True}, {"altKey": True, "ctrlKey": True}])
def test_brackets_may_need_alt(visit, semi, held):
    seen = visit(semi)
    for key, name in (("]", "1"), ("[", "0")):
        seen.page.locator("#plot").dispatch_event("keydown", {"key": key, **held})
        assert seen.text("#here-name") == f"Decoded as {name}"
    seen.page.locator("#plot").dispatch_event("keydown", {"key": "]", "ctrlKey": True})
    assert seen.text("#here-name") == "Decoded as 0"


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
