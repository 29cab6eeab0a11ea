"""Downloads, from servers that the tests start on loopback."""

import gzip
import hashlib
import http.server
import socket
import sys
import threading
import time
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest

from aae.data import CacheError, DownloadError, Source, SourceFile, download, load_source
from aae.data.cache import cache_folder
from aae.data.download import fetch

IMAGES = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
IDX_IMAGES = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 3]) + IMAGES.tobytes()
IDX_LABELS = bytes([0, 0, 8, 1, 0, 0, 0, 2, 0, 1])
CONTENTS = {
    "train-images.gz": IDX_IMAGES,
    "train-labels.gz": IDX_LABELS,
    "test-images.gz": IDX_IMAGES,
    "test-labels.gz": IDX_LABELS,
}
SERVED = {f"/{name}": gzip.compress(content, mtime=0) for name, content in CONTENTS.items()}
CORRUPT = {path: body[:12] + b"?" + body[13:] for path, body in SERVED.items()}
OTHER = dict.fromkeys(SERVED, gzip.compress(b"another file"))


class Mirror:
    """A server on loopback, and the requests that it was sent."""

    def __init__(self, bodies, status=200, declared=None):
        mirror = self
        self.requests = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                mirror.requests.append(self.path)
                body = bodies[self.path]
                self.send_response(status)
                if "gzip" in self.headers["Accept-Encoding"]:
                    self.send_header("Content-Encoding", "gzip")  # as some servers do with .gz
                self.send_header("Content-Length", str(declared or len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}/"

    @contextmanager
    def running(self):
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield self
        finally:
            self.stop()
            thread.join()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def start():
    """Start a mirror that runs to the end of the test."""
    with ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(Mirror(*args, **options).running())


@pytest.fixture
def down():
    """Address at which nothing listens."""
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    server.server_close()
    return f"http://127.0.0.1:{server.server_port}/"


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.delenv("AAE_DATA_DIR", raising=False)
    monkeypatch.setenv("AAE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "_PAUSE_SECONDS", 0)
    return tmp_path / "cache" / "tiny"


def make_source(*mirrors, by_content=True):
    files = tuple(
        SourceFile(
            name,
            len(content),
            content_sha256=hashlib.sha256(content).hexdigest() if by_content else None,
            served_sha256=hashlib.sha256(SERVED[f"/{name}"]).hexdigest(),
        )
        for name, content in CONTENTS.items()
    )
    return Source("tiny", "made up", (1, 3, 3), 2, 2, ("even", "odd"), "idx", files, mirrors)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def check(dataset):
    np.testing.assert_array_equal(dataset.train_images, IMAGES[:, None])
    np.testing.assert_array_equal(dataset.test_images, IMAGES[:, None])
    assert dataset.train_labels.tolist() == dataset.test_labels.tolist() == [0, 1]


@pytest.mark.parametrize("by_content", [True, False])
def test_good_mirror_then_cache(start, cache, by_content):
    mirror = start(SERVED)
    source = make_source(mirror.address, by_content=by_content)
    check(load_source(source, progress=False))
    assert mirror.requests == list(SERVED)
    assert names(cache) == sorted(CONTENTS)
    check(load_source(source, progress=False))
    assert mirror.requests == list(SERVED)


def test_mirror_that_is_down(start, cache, down):
    mirror = start(SERVED)
    check(load_source(make_source(down, mirror.address), progress=False))
    assert names(cache) == sorted(CONTENTS)


@pytest.mark.parametrize("by_content", [True, False])
@pytest.mark.parametrize("bodies", [CORRUPT, OTHER])
def test_mirror_with_corrupted_files(start, cache, bodies, by_content):
    bad, good = start(bodies), start(SERVED)
    source = make_source(bad.address, good.address, by_content=by_content)
    check(load_source(source, progress=False))
    assert bad.requests == good.requests == list(SERVED)
    assert names(cache) == sorted(CONTENTS)
    for name in CONTENTS:
        assert (cache / name).read_bytes() == SERVED[f"/{name}"]


def test_mirror_that_breaks_off(start, cache):
    short = {path: body[:-4] for path, body in SERVED.items()}
    bad, good = start(short, declared=10_000), start(SERVED)
    check(load_source(make_source(bad.address, good.address), progress=False))
    assert names(cache) == sorted(CONTENTS)


def test_mirror_that_is_silent(monkeypatch):
    monkeypatch.setattr(download, "_TIMEOUT_SECONDS", (5, 0.1))
    start = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(DownloadError, match=r"train-images.gz: timed out"):
            load_source(make_source(f"http://127.0.0.1:{port}/"), progress=False)
    assert time.monotonic() - start < 10


def test_mirror_that_sends_without_end(start):
    bad = start(dict.fromkeys(SERVED, bytes(1 << 20)))
    with pytest.raises(DownloadError, match="it sends more than the file can hold"):
        load_source(make_source(bad.address), progress=False)


def test_all_mirrors_bad_is_one_clear_error(start, cache, down):
    missing, corrupt = start(SERVED, status=404), start(OTHER)
    source = make_source(down, missing.address, corrupt.address)
    with pytest.raises(DownloadError) as raised:
        load_source(source, progress=False)
    message = str(raised.value)
    assert "cannot download train-images.gz of tiny" in message
    assert f"{down}train-images.gz: no connection" in message
    assert f"{missing.address}train-images.gz: 404 Not Found" in message
    assert f"{corrupt.address}train-images.gz: not the published train-images.gz" in message
    assert "--data-dir DIR" in message
    assert "\n" not in message
    assert names(cache) == []
    assert missing.requests == ["/train-images.gz"] * 2  # a second round, then no other file


def test_second_round_can_succeed(start, cache):
    bodies = dict(OTHER)
    mirror = start(bodies)
    source = make_source(mirror.address)

    def repair(seconds):
        bodies.update(SERVED)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(download.time, "sleep", repair)
        check(load_source(source, progress=False))
    assert mirror.requests[:2] == ["/train-images.gz"] * 2


def test_damaged_cache_is_replaced(start, cache):
    mirror = start(SERVED)
    source = make_source(mirror.address)
    load_source(source, progress=False)
    (cache / "test-images.gz").write_bytes(b"damaged")
    check(load_source(source, progress=False))
    assert mirror.requests == [*SERVED, "/test-images.gz"]
    assert (cache / "test-images.gz").read_bytes() == SERVED["/test-images.gz"]


def test_interruption_leaves_nothing(start, cache, monkeypatch):
    mirror = start(SERVED)

    def interrupted(path, file):
        assert path.is_file()
        raise KeyboardInterrupt

    monkeypatch.setattr(download, "read_verified", interrupted)
    source = make_source(mirror.address)
    with pytest.raises(KeyboardInterrupt):
        fetch(source, source.files[0], progress=False)
    assert names(cache) == []


def test_environment_folder_without_the_files_downloads_them(start, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "train-labels").write_bytes(IDX_LABELS)
    monkeypatch.setenv("AAE_DATA_DIR", str(tmp_path / "mine"))
    mirror = start(SERVED)
    check(load_source(make_source(mirror.address), progress=False))
    assert mirror.requests == ["/train-images.gz", "/test-images.gz", "/test-labels.gz"]


def test_explicit_folder_never_downloads(start, tmp_path):
    mirror = start(SERVED)
    with pytest.raises(ValueError, match="put them there, or leave --data-dir out"):
        load_source(make_source(mirror.address), tmp_path / "nowhere")
    assert mirror.requests == []


def test_cache_that_cannot_be_written(monkeypatch, tmp_path, down):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("AAE_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(CacheError, match=r"cannot write to the cache .* set AAE_CACHE_DIR"):
        load_source(make_source(down), progress=False)


def test_cache_is_the_systems_unless_told(monkeypatch, tmp_path):
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.setenv("AAE_CACHE_DIR", "")
    assert cache_folder().name == "aae"


def test_progress_goes_to_standard_error(start, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)  # a bar moves on a terminal alone
    monkeypatch.setenv("TERM", "xterm")
    mirror = start(SERVED)
    check(load_source(make_source(mirror.address), progress=True))
    captured = capsys.readouterr()
    assert "tiny/train-images.gz" in captured.err
    assert captured.out == ""


def test_progress_bar_counts_bytes():
    from rich.progress import Progress

    display = Progress(disable=True)
    bar = download._Bar(display, display.add_task("file", total=None))
    bar.total = 0  # the server did not say
    assert bar.total is None
    bar.total = 100
    bar.update(30)
    bar.update(30)
    assert (display.tasks[0].completed, bar.total) == (60, 100)
    bar.reset()
    bar.update(100)
    bar.close()
    assert display.finished
