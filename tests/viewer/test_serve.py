"""`saropt serve` as a command: where it listens, what it says, how it ends, what it refuses."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from saropt.cli import extras, main
from saropt.errors import install_words

COMMAND = [sys.executable, "-c", "import sys; from saropt.cli import main; sys.exit(main())", "serve"]


@contextmanager
def serving(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline()
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    capsys.readouterr()
    assert main(["serve", *map(str, arguments)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("saropt: error: ")
    assert err.count("\n") == 1
    return err


def test_serves_this_machine_until_interrupted(folder: Path) -> None:
    begun = time.monotonic()
    with serving(folder, "--port", 0) as (process, line):
        assert time.monotonic() - begun < 20
        address = line.split()[0]
        assert address.startswith("http://127.0.0.1:")
        assert "3 scenes" in line
        assert "token" not in line
        assert httpx.get(address).status_code == 200
        assert len(httpx.get(f"{address}api/catalogue").json()["scenes"]) == 3
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (0, "", "")


def test_an_upload_that_is_broken_off_leaves_nothing_and_says_nothing(folder: Path) -> None:
    with serving(folder, "--port", 0) as (process, line):
        address = httpx.URL(line.split()[0])
        order = "POST /api/scenes?name=a.tif HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Saropt: 1\r\nContent-Length: 9000\r\n\r\n"
        uploads = folder / ".saropt-viewer" / "uploads"
        with socket.create_connection((address.host, address.port)) as client:
            client.sendall(order.encode() + bytes(1000))
            waited(lambda: any(uploads.iterdir()))
        waited(lambda: not any(uploads.iterdir()))
        assert httpx.get(address).status_code == 200
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20) == ("", "")


def waited(done: Callable[[], bool]) -> None:
    """Wait until something is so."""
    until = time.monotonic() + 20
    while not done():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_beyond_this_machine_it_needs_its_token(folder: Path) -> None:
    with serving(folder, "--port", 0, "--host", "0.0.0.0") as (_, line):
        address, _, token = line.split()[0].partition("#token=")
        assert len(token) >= 32
        here = address.replace("0.0.0.0", "127.0.0.1")
        assert httpx.get(f"{here}api/catalogue").status_code == 401
        bearer = {"Authorization": f"Bearer {token}"}
        assert httpx.get(f"{here}api/catalogue", headers=bearer).status_code == 200


def test_refusals(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no such folder" in refused(capsys, tmp_path / "nothing", "--port", 0)
    assert "is a file" in refused(capsys, folder / "here.tif", "--port", 0)
    assert "not an address" in refused(capsys, folder, "--port", 0, "--host", "no.such.host.invalid")
    assert "--host 192.0.2.1" in refused(capsys, folder, "--port", 0, "--host", "192.0.2.1")
    (tmp_path / "file").touch()
    assert "--state" in refused(capsys, folder, "--port", 0, "--state", tmp_path / "file")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"--port {port}: cannot be used: address already in use" in refused(capsys, folder, "--port", port)
    assert not (folder / ".saropt-viewer").exists()
    with serving(folder, "--port", 0):
        assert "another saropt serve" in refused(capsys, folder, "--port", 0)


def test_missing_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    assert f"pip install {install_words('serve')}" in refused(capsys)
