"""A stand-in for the Hugging Face Hub, on 127.0.0.1."""

import base64
import hashlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

COMMIT = "c" * 40


class Hub(ThreadingHTTPServer):
    """As much of the Hub as its client asks for: one commit of each repository, and a log."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories, self.asked, self.refuses, self.promises = {}, [], False, {}
        self.private = {}
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def handle_one(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(self.path.partition("?")[0])
        self.server.asked.append((self.command, path))
        if self.server.refuses:
            code = {"X-Error-Code": self.server.refuses} if self.server.refuses is not True else {}
            return self.answer(404 if "Found" in str(code) else 403, {"error": "no"}, code)
        kind, *rest = path.strip("/").split("/")
        if kind == "api":
            return self.api(rest, body)
        return self.file("/".join([kind, rest[0]]), "/".join(rest[3:]))

    do_GET = do_HEAD = do_POST = handle_one  # noqa: N815

    def api(self, words, body):
        if words == ["repos", "create"]:
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            self.server.repositories.setdefault(name, {})
            # Clients of version 1 say so by a truth value.
            said = asked.get("visibility"), asked.get("private")
            self.server.private[name] = "private" in said or True in said
            return self.answer(200, {"url": f"{self.server.url}/{name}", "id": name})
        if words == ["validate-yaml"]:
            return self.answer(200, {"errors": [], "warnings": []})
        name, verb = "/".join(words[1:3]), words[3] if len(words) > 3 else ""
        if name not in self.server.repositories:
            return self.answer(404, {"error": "none"}, {"X-Error-Code": "RepoNotFound"})
        files = self.server.repositories[name]
        if verb == "preupload":
            asked = json.loads(body)["files"]
            plain = [{**f, "uploadMode": "regular", "shouldIgnore": False} for f in asked]
            return self.answer(200, {"files": plain})
        if verb == "commit":
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                elif line["key"] == "deletedFile":
                    del files[line["value"]["path"]]
            url = f"{self.server.url}/{name}/commit/{COMMIT}"
            return self.answer(200, {"commitUrl": url, "commitOid": COMMIT})
        if verb == "tree":
            listed = [
                {
                    "type": "file",
                    "path": path,
                    "oid": oid(content),
                    "size": self.size(path, content),
                }
                for path, content in files.items()
            ]
            return self.answer(200, listed)
        siblings = [{"rfilename": path} for path in files]
        return self.answer(200, {"id": name, "sha": COMMIT, "siblings": siblings})

    def file(self, name, path):
        content = self.server.repositories.get(name, {}).get(path)
        if content is None:
            return self.answer(404, {}, {"X-Error-Code": "EntryNotFound"})
        about = {"ETag": f'"{oid(content)}"', "X-Repo-Commit": COMMIT}
        if self.command == "HEAD":
            about["Content-Length"] = self.size(path, content)
        return self.answer(200, content, about)

    def size(self, path, content):
        return self.server.promises.get(path, len(content))

    def answer(self, code, content, headers=None):
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(code)
        for name, value in {"Content-Length": len(content), **(headers or {})}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def oid(content):
    return hashlib.sha1(content).hexdigest()
