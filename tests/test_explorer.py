"""What the explorer's page is given, the folder it lies in, and the server that hands it out."""

import gzip
import http.client
import json
import math
import shutil
import threading
from http.server import ThreadingHTTPServer

import numpy as np
import pytest
import torch

from aae import inference
from aae.build import build
from aae.explorer import server, site
from aae.explorer.content import content
from aae.priors import Gaussian, Mixture
from aae.run import Part, Run, Splits


@pytest.fixture(scope="module")
def shown(tiny_run):
    return content(tiny_run, tiny_run.model(), count=100)


@pytest.fixture
def drawn(tiny, digits, tmp_path):
    """Makes runs whose weights are drawn and not trained, and their models."""

    def make(**changes):
        config = tiny(init="he", **changes)
        model = build(config, (1, 8, 8), 10, torch.Generator().manual_seed(0)).eval()
        return Run.create(tmp_path / "drawn", config, digits), model

    return make


def test_codes_are_those_of_the_test_set(tiny_run, shown, digits):
    part = Splits.of(tiny_run.config, digits).test.some(100)
    codes = inference.encode(tiny_run.model(), part.images).mean
    assert np.array_equal(shown.arrays["codes"], codes.numpy())
    assert np.array_equal(shown.arrays["labels"], part.labels)
    assert np.array_equal(shown.arrays["pictures"], part.images)


def test_pictures_are_bounded_in_bytes(tiny_run, monkeypatch):
    monkeypatch.setattr("aae.explorer.content.MOST_BYTES", 64 * 7)
    assert len(content(tiny_run, tiny_run.model(), count=100).arrays["codes"]) == 7


def test_errors_are_half_the_squared_error_over_pixels(tiny_run, shown):
    images = shown.arrays["pictures"]
    part = Part(images, shown.arrays["labels"].astype(np.int64))
    off = 2 * (inference.reconstruct(tiny_run.model(), part).numpy() - images / 255)
    errors = np.square(off).sum((1, 2, 3)) / 2
    assert shown.about["errors"][0] == pytest.approx(errors.min(), rel=1e-4)
    assert shown.about["errors"][100] == pytest.approx(np.median(errors), rel=1e-4)
    assert shown.about["errors"][200] == pytest.approx(errors.max(), rel=1e-4)


def test_what_the_decoder_is_told(shown, drawn):
    about = shown.about
    assert (about["told"], about["classifies"], about["clusters"]) == (True, True, False)
    assert about["y"] == about["classes"] == [str(k) for k in range(10)]
    clusters = content(*drawn(model="cluster", labels=0, clusters=4), count=10).about
    assert (clusters["told"], clusters["clusters"]) == (True, True)
    assert clusters["y"] == ["0", "1", "2", "3"]


def test_a_place_in_an_embedding_is_of_a_class(drawn):
    run, model = drawn(model="embed", labels=100)
    about = content(run, model, count=10).about
    assert (about["told"], about["classifies"]) == (False, True)
    assert about["limit"] == pytest.approx(model.embedded_prior.limit)


@pytest.mark.parametrize("dim", [2, 5])
def test_a_gaussian_looks_the_same_in_every_plane(drawn, dim):
    found = content(*drawn(latent_dim=dim), count=10)
    grid = found.arrays["prior"]
    assert found.about["planar"]
    side = grid.shape[0]
    middle, edge = grid[side // 2, side // 2], grid[side // 2, -1]
    assert middle == 1
    assert math.log(edge) == pytest.approx(-0.5 * Gaussian(2).limit ** 2, abs=1e-3)


def test_other_priors_of_more_dimensions_are_sampled(drawn):
    run, model = drawn(latent_dim=4, prior="mixture")
    found = content(run, model, count=10)
    assert not found.about["planar"]
    samples = torch.from_numpy(found.arrays["prior"])
    assert samples.shape == (20_000, 4)
    assert float(samples.norm(dim=1).mean()) == pytest.approx(
        float(Mixture(4).sample(20_000, generator=torch.Generator()).norm(dim=1).mean()), rel=0.02
    )


def test_principal_directions_hold_the_largest_variance(drawn):
    found = content(*drawn(latent_dim=5), count=300)
    axes, codes = np.array(found.about["axes"]), found.arrays["codes"]
    assert np.allclose(axes @ axes.T, np.eye(2), atol=1e-6)
    variances = np.linalg.eigvalsh(np.cov(codes.T))
    assert (codes @ axes.T).var(0, ddof=1) == pytest.approx(variances[::-1][:2], rel=1e-3)


def test_rows_cannot_be_shown(drawn, monkeypatch):
    run, model = drawn()
    monkeypatch.setattr(run, "shape", (5,))
    with pytest.raises(ValueError, match=r"shows pictures of 1 or 3 channels, and .* 5 values"):
        content(run, model, count=10)


def test_the_folder_holds_what_the_page_asks_for(tiny_site):
    about = json.loads((tiny_site / "about.json").read_text())
    for name, kind in about["arrays"].items():
        raw = gzip.decompress((tiny_site / f"{name}.gz").read_bytes())
        assert np.frombuffer(raw, kind["type"]).size == math.prod(kind["shape"])
    names = {
        path.relative_to(tiny_site).as_posix() for path in tiny_site.rglob("*") if path.is_file()
    }
    licences = {"ort/LICENSE", "ort/ThirdPartyNotices.txt"}
    assert {"index.html", "encoder.onnx", "decoder.onnx", "ort/ort.wasm.gz"} | licences <= names


def test_no_more_is_written_than_asked_for(drawn, monkeypatch, tmp_path):
    run, model = drawn()
    monkeypatch.setattr(Run, "model", lambda self: model)
    monkeypatch.setattr("aae.export.write_onnx", lambda *_: None)
    about = json.loads((site.write(run, tmp_path / "new", count=20) / "about.json").read_text())
    assert about["arrays"]["codes"]["shape"] == [20, 2]


def test_a_folder_in_use_is_refused(tiny_run, tiny_site):
    with pytest.raises(ValueError, match="holds something already"):
        site.write(tiny_run, tiny_site)


@pytest.fixture
def ask(tiny_site):
    """Asks a server of the folder; gives status, headers and body."""
    with server.serve(tiny_site) as served:
        threading.Thread(target=served.serve_forever, args=(0.05,), daemon=True).start()

        def ask(method, path, **headers):
            connection = http.client.HTTPConnection(server.HOST, served.server_port, timeout=10)
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
            return answer.status, answer.headers, body

        yield ask
        served.shutdown()


class TestServer:
    def test_listens_on_the_loopback_alone(self, tiny_site):
        with server.serve(tiny_site) as served:
            assert served.server_address[0] == "127.0.0.1"

    def test_hands_out_files(self, ask, tiny_site):
        status, headers, body = ask("GET", "/")
        assert (status, body) == (200, (tiny_site / "index.html").read_bytes())
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert ask("GET", "/main.js")[1]["Content-Type"].startswith("text/javascript")
        assert ask("HEAD", "/encoder.onnx")[0] == 200

    @pytest.mark.parametrize(
        "name", ["evil.example", "evil.example:80", "127.0.0.1.evil.example:1"]
    )
    def test_answers_to_its_own_names_alone(self, ask, name):
        assert ask("GET", "/", Host=name)[0] == 403
        assert ask("HEAD", "/", Host=name)[0] == 403
        assert ask("GET", "/", Host="localhost:1")[0] == 200
        assert ask("GET", "/", Host="127.0.0.1")[0] == 200  # at port 80

    @pytest.mark.parametrize("path", ["/../run.py", "/%2e%2e/%2e%2e/etc/passwd", "/ort/", "/none"])
    def test_nothing_else_is_to_be_had(self, ask, path):
        assert ask("GET", path)[0] == 404

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
    def test_cannot_be_told_anything(self, ask, method):
        assert ask(method, "/")[0] == 501

    def test_long_requests_are_cut_off(self, ask):
        assert ask("GET", "/" + "x" * 70_000)[0] == 414
        assert ask("GET", "/", **{"X-Long": "x" * 70_000})[0] == 431


class TestCommand:
    def test_serves_until_it_is_interrupted(self, run, tiny_run, tiny_site, monkeypatch):
        seen, asked, opened = [], [], []

        def write(run, folder, **how):
            asked.append(how)
            shutil.copy(tiny_site / "about.json", folder)

        def once(served):
            """A first request; then Ctrl-C."""

            def get():
                connection = http.client.HTTPConnection(*served.server_address, timeout=10)
                connection.request("GET", "/about.json")
                seen.append(json.loads(connection.getresponse().read())["recipe"])
                connection.close()

            asking = threading.Thread(target=get)
            asking.start()
            served.handle_request()
            asking.join()
            raise KeyboardInterrupt

        monkeypatch.setattr(site, "write", write)
        monkeypatch.setattr(ThreadingHTTPServer, "serve_forever", once)
        monkeypatch.setattr("webbrowser.open", opened.append)
        code, out, err = run("explore", tiny_run.folder, "--count", 20)
        assert (code, err) == (0, "")
        assert out.startswith(f"{opened[0]} (Ctrl-C ends it)")
        assert opened[0].startswith("http://127.0.0.1:")
        assert (seen, asked) == (["tiny"], [{"count": 20, "data_dir": None}])

    def test_opens_no_browser_unasked(self, run, tiny_run, monkeypatch):
        def stop(_):
            raise KeyboardInterrupt

        monkeypatch.setattr(site, "write", lambda *_, **__: None)
        monkeypatch.setattr(ThreadingHTTPServer, "serve_forever", stop)
        monkeypatch.setattr("webbrowser.open", lambda _: pytest.fail("opened"))
        assert run("explore", tiny_run.folder, "--no-open")[0] == 0

    @pytest.mark.parametrize(
        ("flags", "words"),
        [
            (["--count", "0"], "--count must be at least 1"),
            (["--port", "-1"], "--port must lie in"),
        ],
    )
    def test_wrong_use(self, run, tiny_run, flags, words):
        code, _, err = run("explore", tiny_run.folder, *flags)
        assert code == 2
        assert words in err
