"""A server on this machine that breaks off, lies about lengths and sends wrong bytes, as the address asks for."""

import http.server

import numpy as np

BODY = np.random.default_rng(0).bytes(300_000)


class Server(http.server.ThreadingHTTPServer):
    """Serves BODY in the manner that the path names; `asked` holds each request's path and Range."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked, self.files = [], {}
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_):
        pass  # a client that goes away is part of the test


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        manner = self.path.split("/")[1]
        times = sum(path == self.path for path, _ in self.server.asked)
        self.server.asked.append((self.path, self.headers.get("Range")))
        getattr(self, manner, self.whole)(times)

    def send(self, body, begin=0, total=None, status=None, **headers):
        total = len(body) if total is None else total
        self.send_response(status or (206 if begin else 200))
        self.send_header("Content-Length", str(total - begin))
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{total - 1}/{total}")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body[begin:])
        self.close_connection = True

    def begin(self):
        return int((self.headers.get("Range") or "bytes=0-")[6:-1])

    def whole(self, _):
        body = self.server.files.get(self.path, BODY)
        begin = self.begin()
        if begin >= len(body):
            return self.send_error(416)
        self.send(body, begin, ETag='"v1"')

    def breaks(self, _):
        """A third of the file at a time."""
        self.send(BODY[: self.begin() + 100_001], self.begin(), len(BODY), ETag='"v1"')

    def too_long(self, _):
        if self.begin():
            return self.send_error(416)
        self.send(BODY, total=len(BODY) + 100)

    def too_short(self, _):
        self.send(BODY[:1_000])

    def wrong(self, _):
        self.send(BODY[:-1] + b"x")

    def page(self, _):
        self.send(b"<html>sign in</html>", Content_Type="text/html; charset=utf-8")

    def no_ranges(self, times):
        self.send(BODY[: 1_000 if not times else None], 0, len(BODY))

    def changes(self, times):
        """Breaks off; then the file is another, so that If-Range gives the whole of it."""
        if not times:
            return self.send(b"old" * 10, 0, len(BODY), ETag='"v1"')
        assert self.headers["If-Range"] == '"v1"'
        self.send(BODY, ETag='"v2"')

    def busy(self, times):
        self.send_error(503) if times < 2 else self.send(BODY)

    def elsewhere(self, times):
        """Answers a range with another one."""
        if times == 1:
            return self.send(BODY, 7, ETag='"v1"')
        self.send(BODY[: 1_000 if not times else None], 0, len(BODY), ETag='"v1"')

    def none(self, _):
        self.send_error(404)

    def stalls(self, _):
        self.send(BODY[:1_000] if not self.begin() else b"", 0, len(BODY))
