"""A folder of files, served on the loopback address, and nothing else."""

from __future__ import annotations

import functools
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"


def serve(folder: Path, port: int = 0) -> ThreadingHTTPServer:
    """A server of a folder's files, bound and ready for ``serve_forever``.

    It answers only on the loopback address, and only requests that name it. It reads no request
    bodies and obeys no commands.

    Args:
        folder: the folder to serve.
        port: the port to listen at; 0 for any free one.

    Raises:
        OSError: the port is in use, or this user may not use it.
    """
    try:
        return _Server((HOST, port), functools.partial(_Files, directory=str(folder)))
    except OSError as error:
        raise OSError(
            f"cannot listen at port {port} of {HOST}: {error.strerror}; take another, or 0 for "
            "any that is free"
        ) from error


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Do not report a client that left: browsers do that, and the terminal is the user's."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Files(SimpleHTTPRequestHandler):
    timeout = 30  # seconds that a silent client may hold a thread
    # A system's own table, such as the registry of Windows, may call scripts plain text.
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {
        ".js": "text/javascript", ".css": "text/css", ".html": "text/html",
    }  # fmt: skip

    def send_head(self) -> Any:
        """As usual, if the request names this server: another site's name may lead here, too."""
        if self.headers.get("Host", "").rsplit(":", 1)[0] not in (HOST, "localhost"):
            return self.send_error(403, "This server answers to 127.0.0.1 and localhost")
        try:
            return super().send_head()
        except ValueError:  # a name that no file can have: it holds a NUL, say
            return self.send_error(404)

    def list_directory(self, path: Any) -> None:
        """List no files."""
        self.send_error(404)

    def end_headers(self) -> None:
        """Say that the page changes with the run, and that no other site may show it."""
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Content-Security-Policy", "frame-ancestors 'none'")
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        """Log nothing: the terminal is the user's."""
