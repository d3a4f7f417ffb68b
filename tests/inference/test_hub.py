"""Translators in folders and in repositories: nothing but the file is fetched, from a server on the loopback."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import yaml

from saropt.errors import InputError, MissingExtraError
from saropt.inference import Translator, find_translator, hub

COMMIT = "0123456789012345678901234567890123456789"
FILES = ("README.md", "config.json", "translator.onnx", "evil.py")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Translator.load("s1-losangeles").save_pretrained(tmp_path / "mine")


def test_a_saved_translator_is_the_same(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "translator.onnx"]
    first, again = Translator.load("s1-losangeles"), Translator.from_pretrained(folder, realism=0.0)
    amplitude = np.random.default_rng(0).integers(1, 255, (1, 64, 64)).astype(np.uint8)
    assert again.card == first.card
    assert np.array_equal(again(amplitude), Translator.load("s1-losangeles", realism=0.0)(amplitude))
    assert json.loads((folder / "config.json").read_text())["name"] == "s1-losangeles"
    front, text = (folder / "README.md").read_text().split("---\n")[1:]
    assert yaml.safe_load(front)["license"] == "apache-2.0"
    assert "not a measurement" in text


def test_a_translator_is_replaced_only_on_demand(folder: Path) -> None:
    other = Translator.load("s1-world")
    with pytest.raises(InputError, match="holds a translator already"):
        other.save_pretrained(folder)
    assert Translator.from_pretrained(folder).card.name == "s1-losangeles"
    other.save_pretrained(folder, overwrite=True)
    assert Translator.from_pretrained(folder).card.name == "s1-world"


def test_what_is_no_repository_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="neither a folder nor OWNER/NAME"):
        Translator.from_pretrained("unknown")
    monkeypatch.setattr(hub, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"\[hub\]"):
        Translator.from_pretrained("owner/name")


class Hub(BaseHTTPRequestHandler):
    """As much of the Hub as fetching asks for: the list of files, and each file by commit."""

    content: dict[str, bytes]
    asked: list[str]

    def do_HEAD(self) -> None:
        self._answer(False)

    def do_GET(self) -> None:
        self._answer(True)

    def _answer(self, whole: bool) -> None:
        self.asked.append(self.path)
        name = self.path.rsplit("/", 1)[-1]
        if self.path.startswith("/api/models/owner/name/"):
            sizes = {file: len(body) for file, body in self.content.items()}
            tree = [{"type": "file", "path": file, "size": size, "oid": file} for file, size in sizes.items()]
            about = {"id": "owner/name", "sha": COMMIT, "siblings": [{"rfilename": file} for file in self.content]}
            found: bytes | None = json.dumps(tree if "/tree/" in self.path else about).encode()
        else:
            found = self.content.get(name) if self.path.startswith("/owner/name/resolve/") else None
        self.send_response(404 if found is None else 200)
        found = found or b""
        self.send_header("Content-Length", str(len(found)))
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(found).hexdigest()}"')
        self.end_headers()
        if whole:
            self.wfile.write(found)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[type[Hub]]:
    pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
    content = dict.fromkeys(FILES, b"x")
    content["translator.onnx"] = find_translator("s1-losangeles").read_bytes()
    handler = type("Here", (Hub,), {"content": content, "asked": []})
    running = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{running.server_port}")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield handler
    running.shutdown()
    running.server_close()


def fetch(repo: str, **options: object) -> str:
    """In a process of its own, because huggingface_hub reads its settings when it is imported."""
    code = "import sys, saropt as s; print(s.Translator.from_pretrained(sys.argv[1], **eval(sys.argv[2])).card.name)"
    command = [sys.executable, "-c", code, repo, repr(options)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


def test_only_the_translator_is_fetched_and_once(server: type[Hub]) -> None:
    assert fetch("owner/name") == "s1-losangeles"
    assert {path.rsplit("/", 1)[-1] for path in server.asked if "/resolve/" in path} == {"translator.onnx"}
    server.asked.clear()
    assert fetch("owner/name", local_only=True) == "s1-losangeles"
    assert server.asked == []


def test_a_repository_that_is_not_there_is_one_line(server: type[Hub]) -> None:
    assert fetch("owner/other").startswith("saropt.errors.InputError: owner/other: cannot be fetched: ")
