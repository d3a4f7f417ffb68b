"""A STAC API on the loopback, over GeoTIFFs in a folder, that can be slow, fail and lie."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class StacServer:
    """Serves `items` by POST /search in pages and files of `folder` by ranges.

    `faults` maps a file name to a function (number of the request from 1, handler, content) -> True if it answered.
    """

    def __init__(self, folder):
        self.folder, self.items, self.faults = folder, [], {}
        self.page, self.requests, self.bodies, self.search_failures, self.endless = 2, Counter(), [], 0, False
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def answer(self, code, content, headers=()):
                self.send_response(code)
                for key, value in headers:
                    self.send_header(key, value)
                if "Content-Length" not in dict(headers):
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.bodies.append(body)
                if server.search_failures > 0:
                    server.search_failures -= 1
                    return self.answer(503, b"busy", [("Retry-After", "0")])
                low, high = body["datetime"].split("/")
                found = [
                    item
                    for item in server.items
                    if item["collection"] in body["collections"] and low <= item["properties"]["datetime"] <= high
                ]
                start = body.get("token", 0)
                part = found[start : start + server.page]
                links = []
                if start + server.page < len(found) or server.endless:
                    token = start if server.endless else start + server.page
                    link = {"rel": "next", "method": "POST", "href": f"{server.url}/search"}
                    links.append({**link, "merge": True, "body": {"token": token}})
                content = json.dumps({"type": "FeatureCollection", "features": part, "links": links}).encode()
                return self.answer(200, content, [("Content-Type", "application/geo+json")])

            def do_HEAD(self):
                self.do_GET()

            def do_GET(self):
                name = self.path.partition("?")[0].rpartition("/")[2]
                if name == "token":
                    return self.answer(200, b'{"token": "sig=secret"}')
                server.requests[name] += 1
                path = server.folder / name
                if not path.is_file():
                    return self.answer(
                        404,
                        b"<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>",
                    )
                content = path.read_bytes()
                fault = server.faults.get(name)
                if fault is not None and fault(server.requests[name], self, content):
                    return None
                return self.send_part(content)

            def send_part(self, content, stated=()):
                asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
                if asked is None:
                    return self.answer(200, content, [("Accept-Ranges", "bytes")])
                first = int(asked.group(1))
                last = min(int(asked.group(2) or len(content) - 1), len(content) - 1)
                if first >= len(content):
                    return self.answer(416, b"", [("Content-Range", f"bytes */{len(content)}")])
                headers = [("Content-Range", f"bytes {first}-{last}/{len(content)}"), ("Accept-Ranges", "bytes")]
                headers += stated
                return self.answer(206, content[first : last + 1], headers)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def fails(times, code=503):
    """The first requests are answered with an error."""

    def fault(number, handler, content):
        if number <= times:
            handler.answer(code, b"error")
        return number <= times

    return fault


def slow(seconds):
    def fault(number, handler, content):
        time.sleep(seconds)
        return False

    return fault


def no_ranges(number, handler, content):
    handler.answer(200, content)
    return True


def cut_short(number, handler, content):
    """Says the right size and hangs up half way, but for the first byte."""
    asked = re.fullmatch(r"bytes=(\d+)-(\d*)", handler.headers.get("Range", ""))
    if asked is None or asked.group(0) == "bytes=0-0":
        return False
    first, last = int(asked.group(1)), min(int(asked.group(2) or len(content) - 1), len(content) - 1)
    handler.send_response(206)
    handler.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
    handler.send_header("Content-Length", str(last - first + 1))
    handler.end_headers()
    handler.wfile.write(content[first : first + (last - first + 1) // 2])
    handler.close_connection = True
    return True


def garbage(number, handler, content):
    handler.send_part(bytes(len(content)))
    return True


def states(headers):
    """What the server says of the state of the file."""

    def fault(number, handler, content):
        handler.send_part(content, headers.items())
        return True

    return fault


def get_alone(number, handler, content):
    """As an address that is signed for GET, of a server that answers to every GET with a part."""
    if handler.command == "HEAD":
        handler.answer(403, b"")
    elif "Range" not in handler.headers:
        handler.answer(206, content, [("Content-Range", f"bytes 0-{len(content) - 1}/{len(content)}")])
    return handler.command == "HEAD" or "Range" not in handler.headers


def needs(credentials):
    """Basic authorisation is asked for."""

    def fault(number, handler, content):
        wanted = base64.b64encode(credentials.encode()).decode()
        allowed = handler.headers.get("Authorization") == f"Basic {wanted}"
        if not allowed:
            handler.answer(401, b"", [("WWW-Authenticate", "Basic")])
        return not allowed

    return fault


def small_letters(number, handler, content):
    """Names of headers in small letters, as HTTP/2 gateways pass them on."""
    first, last = (int(part) for part in handler.headers["Range"].removeprefix("bytes=").split("-"))
    part = content[first : last + 1]
    handler.send_response_only(206)
    handler.send_header("content-range", f"bytes {first}-{first + len(part) - 1}/{len(content)}")
    handler.send_header("content-length", str(len(part)))
    handler.end_headers()
    handler.wfile.write(part)
    return True
