"""A store on the loopback that speaks as much S3 as GDAL needs to write and read objects, and can fail."""

from __future__ import annotations

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

ABSENT = b"<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>"


class ObjectStore:
    """Objects by "bucket/key". `refuse(method, path, query)` may return a status with which a request is answered."""

    def __init__(self):
        self.objects, self.parts, self.requests = {}, {}, []
        self.refuse = lambda method, path, query: None
        store = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def body(self):
                if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                    return self.rfile.read(int(self.headers.get("Content-Length") or 0))
                content = b""
                while size := int(self.rfile.readline(), 16):
                    content += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return content

            def answer(self, code, content=b"", **headers):
                self.send_response(code)
                for key, value in headers.items():
                    self.send_header(key.replace("_", "-"), value)
                if "Content_Length" not in headers:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            def handle_any(self):
                parts = urlsplit(self.path)
                key, query = parts.path.strip("/"), parse_qs(parts.query, keep_blank_values=True)
                content = self.body()
                store.requests.append((self.command, key, sorted(query)))
                code = store.refuse(self.command, key, query)
                if code is not None:
                    return self.answer(code, b"<Error><Code>Refused</Code><Message>refused</Message></Error>")
                return getattr(self, f"on_{self.command}")(key, query, content)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

            def on_GET(self, key, query, content):
                if key not in store.objects:
                    if "/" not in key or "prefix" in query:
                        return self.answer(200, store.listing(key, query))
                    return self.answer(404, ABSENT)
                content = store.objects[key]
                asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
                if asked is None:
                    return self.answer(200, content, Accept_Ranges="bytes")
                first, last = int(asked[1]), min(int(asked[2] or len(content)), len(content) - 1)
                if first > last:
                    return self.answer(416, Content_Range=f"bytes */{len(content)}")
                part = content[first : last + 1]
                return self.answer(206, part, Content_Range=f"bytes {first}-{last}/{len(content)}")

            on_HEAD = on_GET

            def on_PUT(self, key, query, content):
                if "partNumber" in query:
                    store.parts.setdefault(query["uploadId"][0], {})[int(query["partNumber"][0])] = content
                elif "x-amz-copy-source" in self.headers:
                    store.objects[key] = store.objects[self.headers["x-amz-copy-source"].strip("/")]
                else:
                    store.objects[key] = content
                return self.answer(200, ETag='"0"')

            def on_POST(self, key, query, content):
                if "uploads" in query:
                    name = f"upload{len(store.parts)}"
                    store.parts[name] = {}
                    words = (
                        f"<InitiateMultipartUploadResult><UploadId>{name}</UploadId></InitiateMultipartUploadResult>"
                    )
                    return self.answer(200, words.encode())
                parts = store.parts.pop(query["uploadId"][0])
                store.objects[key] = b"".join(parts[number] for number in sorted(parts))
                return self.answer(200, b"<CompleteMultipartUploadResult/>")

            def on_DELETE(self, key, query, content):
                if "uploadId" in query:
                    store.parts.pop(query["uploadId"][0], None)
                else:
                    store.objects.pop(key, None)
                return self.answer(204)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def methods(self, method):
        """Keys of the requests by this method so far."""
        return [key for made, key, _ in self.requests if made == method]

    @property
    def environment(self):
        """What GDAL needs to be told."""
        return {
            "AWS_S3_ENDPOINT": self.endpoint,
            "AWS_HTTPS": "NO",
            "AWS_VIRTUAL_HOSTING": "FALSE",
            "AWS_NO_SIGN_REQUEST": "YES",
        }

    def listing(self, key, query):
        bucket, prefix = key.partition("/")[0], query.get("prefix", [""])[0]
        found = [name for name in self.objects if name.startswith(f"{bucket}/{prefix}")]
        items = "".join(
            f"<Contents><Key>{name.partition('/')[2]}</Key><Size>{len(self.objects[name])}</Size></Contents>"
            for name in found
        )
        return f"<ListBucketResult><Prefix>{prefix}</Prefix>{items}</ListBucketResult>".encode()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
