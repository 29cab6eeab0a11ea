"""Runs explored in a real browser: Debian's Chromium, or the one on the PATH."""

import functools
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from pages import Explored

from aae import inference
from aae.explorer import server, site
from aae.fit import fit
from aae.splits import Splits
from aae.training.trainer import Observer

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="module")
def chromium():
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
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
