"""The server that hands the explorer out, and the command that starts it."""

import http.client
import json
import mimetypes
import shutil
import signal
import socket
import struct
import tempfile
import threading
from http.server import ThreadingHTTPServer

import pytest

from aae.explorer import server, site


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

    def test_scripts_are_scripts_whatever_the_system_says(self, ask, monkeypatch):
        monkeypatch.setitem(mimetypes.types_map, ".js", "text/plain")
        assert ask("GET", "/main.js")[1]["Content-Type"].startswith("text/javascript")

    @pytest.mark.parametrize(
        "name", ["evil.example", "evil.example:80", "127.0.0.1.evil.example:1"]
    )
    def test_answers_to_its_own_names_alone(self, ask, name):
        assert ask("GET", "/", Host=name)[0] == 403
        assert ask("HEAD", "/", Host=name)[0] == 403
        assert ask("GET", "/", Host="localhost:1")[0] == 200
        assert ask("GET", "/", Host="127.0.0.1")[0] == 200  # at port 80

    @pytest.mark.parametrize("path", ["/../secret", "/%2e%2e/secret", "/ort/", "/none"])
    def test_nothing_else_is_to_be_had(self, ask, tiny_site, path):
        (tiny_site.parent / "secret").write_text("beside the folder")
        assert ask("GET", path)[0] == 404

    @pytest.mark.parametrize("path", ["/about.json%00", "/%00/", "/a%ed%a0%80"])
    def test_names_that_no_file_can_have_are_not_found(self, ask, path, capsys):
        assert ask("GET", path)[0] == ask("HEAD", path)[0] == 404
        assert capsys.readouterr().err == ""

    def test_a_client_that_leaves_is_not_spoken_of(self, tmp_path, capsys):
        (tmp_path / "large").write_bytes(bytes(2**25))
        with server.serve(tmp_path) as served:
            served.daemon_threads = False  # to be waited for
            with socket.create_connection(served.server_address) as client:
                client.sendall(b"GET /large HTTP/1.0\r\nHost: localhost\r\n\r\n")
                served.handle_request()
                assert client.recv(99).startswith(b"HTTP/1.0 200")
                # What is still to come is refused.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert capsys.readouterr() == ("", "")

    def test_other_faults_are_told(self, tmp_path, monkeypatch, capsys):
        def fail(_):
            raise RuntimeError("a fault of ours")

        with server.serve(tmp_path) as served:
            served.daemon_threads = False
            monkeypatch.setattr(served.RequestHandlerClass.func, "do_GET", fail)
            with socket.create_connection(served.server_address) as client:
                client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                served.handle_request()
        assert "a fault of ours" in capsys.readouterr().err

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

    @pytest.fixture
    def own_tmp(self, tmp_path, monkeypatch):
        """Where temporary folders are made."""
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        return tmp_path

    @pytest.fixture
    def heard(self):
        """Signals that end a process do so, even where nohup has these tests ignore one."""
        numbers = (signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}
        yield
        for number, handler in before.items():
            signal.signal(number, handler)

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
    @pytest.mark.parametrize("serving", [False, True])
    def test_a_signal_leaves_nothing_behind(
        self, run, tiny_run, own_tmp, monkeypatch, heard, number, serving
    ):
        handlers = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGHUP)]

        def end(*_, **__):
            [folder] = own_tmp.iterdir()
            (folder / "half").touch()
            with pytest.raises(SystemExit) as stop:
                signal.raise_signal(number)
            signal.raise_signal(signal.SIGTERM)  # is not heard any more
            raise stop.value

        monkeypatch.setattr(site, "write", (lambda *_, **__: None) if serving else end)
        monkeypatch.setattr(ThreadingHTTPServer, "serve_forever", end)
        code, _, err = run("explore", tiny_run.folder, "--no-open")
        assert (code, err) == (128 + number, "")
        assert list(own_tmp.iterdir()) == []
        assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGHUP)] == handlers

    def test_an_export_ends_with_a_signal_as_it_began(
        self, run, tiny_run, tmp_path, monkeypatch, heard
    ):
        monkeypatch.setattr("aae.export.write_onnx", lambda *_: signal.raise_signal(signal.SIGTERM))
        flags = ("--export", tmp_path / "site", "--count", 20)
        assert run("explore", tiny_run.folder, *flags)[0] == 128 + signal.SIGTERM
        assert list(tmp_path.iterdir()) == []

    def test_what_nohup_ignores_stays_ignored(self, run, tiny_run, monkeypatch):
        def stop(_):
            signal.raise_signal(signal.SIGHUP)
            raise KeyboardInterrupt

        monkeypatch.setattr(site, "write", lambda *_, **__: None)
        monkeypatch.setattr(ThreadingHTTPServer, "serve_forever", stop)
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            assert run("explore", tiny_run.folder, "--no-open")[0] == 0
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        finally:
            signal.signal(signal.SIGHUP, before)

    def test_signals_are_left_to_the_main_thread(self, run, tiny_run, monkeypatch):
        def stop(_):
            raise KeyboardInterrupt

        monkeypatch.setattr(site, "write", lambda *_, **__: None)
        monkeypatch.setattr(ThreadingHTTPServer, "serve_forever", stop)
        codes = []
        beside = threading.Thread(
            target=lambda: codes.append(run("explore", tiny_run.folder, "--no-open")[0])
        )
        beside.start()
        beside.join()
        assert codes == [0]

    def test_a_port_in_use_is_said_before_the_work(self, run, tiny_run, own_tmp, monkeypatch):
        monkeypatch.setattr(site, "write", lambda *_, **__: pytest.fail("written"))
        with server.serve(own_tmp) as other:
            port = other.server_port
            code, out, err = run("explore", tiny_run.folder, "--port", port, "--no-open")
        assert (code, out) == (1, "")
        assert err == (
            f"aae: cannot listen at port {port} of 127.0.0.1: Address already in use; take "
            "another, or 0 for any that is free\n"
        )
        assert list(own_tmp.iterdir()) == []

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
