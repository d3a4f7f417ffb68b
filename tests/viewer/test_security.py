"""Who may ask for what, and what no answer may do in a browser."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from asking import ORDER, Client, layer_of
from fastapi.testclient import TestClient

from saropt.viewer.security import is_loopback

HERE = "http://127.0.0.1:8000"


def test_paths_and_addresses_reach_no_file(viewer: TestClient, folder: Path) -> None:
    secret = folder.parent / "secret.txt"
    secret.write_text("secret")
    layer = layer_of(viewer, "plain.png", "sar")["id"]
    for path in (
        "/../secret.txt",
        "/..%2f..%2fsecret.txt",
        "/%2e%2e/%2e%2e/secret.txt",
        "/....//secret.txt",
        f"//{secret}",
        "/static/",
        "/api/",
        "/api/layers/..%2f..%2fsecret.txt",
        f"/api/layers/%2fvsicurl%2f{HERE}",
        f"/api/layers/{layer}/../../../../secret.txt",
        f"/api/layers/{layer}%00/tiles/0/0/0",
        "/api/reports/..%2fsecret/page",
        "/api/jobs/../../secret.txt",
    ):
        answer = viewer.get(path)
        assert answer.status_code in (400, 404, 405, 422), path
        assert "secret" not in answer.text.replace("secret.txt", "")
        assert str(folder) not in answer.text
    order = {"layer": layer, "translator": str(secret)}
    assert viewer.post("/api/jobs", json=order, headers=ORDER).status_code == 404
    order = {"layer": f"/vsicurl/{HERE}", "translator": "s1-losangeles"}
    assert viewer.post("/api/jobs", json=order, headers=ORDER).status_code == 422


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Origin": HERE}, 403),
        ({**ORDER, "Origin": "http://evil.example"}, 403),
        ({**ORDER, "Origin": "null"}, 403),
        ({**ORDER, "Origin": "http://127.0.0.1:9000"}, 403),
        ({**ORDER, "Sec-Fetch-Site": "cross-site"}, 403),
        ({**ORDER, "Sec-Fetch-Site": "same-site"}, 403),
        ({**ORDER, "Host": "evil.example"}, 400),
        ({**ORDER, "Host": "127.0.0.1.evil.example:8000"}, 400),
        ({**ORDER, "Host": "localhost:8000", "Origin": "http://localhost:8000"}, 200),
        ({**ORDER, "Origin": HERE, "Sec-Fetch-Site": "same-origin"}, 200),
        (ORDER, 200),
    ],
)
def test_orders_of_foreign_pages(viewer: TestClient, headers: dict[str, str], status: int) -> None:
    assert viewer.post("/api/catalogue/scan", headers=headers).status_code == status


def test_foreign_hosts_read_nothing(viewer: TestClient) -> None:
    assert viewer.get("/api/catalogue", headers={"Host": "evil.example"}).status_code == 400
    assert viewer.get("/", headers={"Host": "evil.example"}).status_code == 400


def test_no_leave_for_other_origins(viewer: TestClient) -> None:
    asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    answer = viewer.options("/api/jobs", headers={**asked, "Access-Control-Request-Headers": "x-saropt"})
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_headers_of_every_answer(viewer: TestClient, folder: Path) -> None:
    for path in ("/", "/viewer.js", "/api/catalogue", "/api/nothing", "/nothing"):
        headers = viewer.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
    assert viewer.get("/", headers={"Host": "evil"}).headers["content-security-policy"] == policy


def test_reports_are_shown_in_a_sandbox(viewer: TestClient, folder: Path) -> None:
    (folder / "quality").mkdir()
    (folder / "quality" / "report.html").write_text("<script>alert(1)</script>")
    (folder / "quality" / "report.json").write_text("{}")
    (report,) = viewer.post("/api/catalogue/scan", headers=ORDER).json()["reports"]
    answer = viewer.get(f"/api/reports/{report['id']}/page")
    assert answer.text == "<script>alert(1)</script>"
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert "script-src" not in answer.headers["content-security-policy"]


def test_token(client: Client) -> None:
    viewer = client(token="right", host="192.168.7.7:8000")
    assert viewer.get("/").status_code == 200
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic right"},
        {"Cookie": "saropt_token=x"},
    ):
        for path in ("/api/catalogue", "/api/openapi.json", "/api/jobs"):
            answer = viewer.get(path, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
    assert viewer.post("/api/session", headers=ORDER).status_code == 401
    bearer = {"Authorization": "Bearer right"}
    assert viewer.get("/api/catalogue", headers=bearer).status_code == 200
    answer = viewer.post("/api/session", headers={**ORDER, **bearer})
    assert answer.status_code == 204
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert viewer.get("/api/catalogue").status_code == 200


def test_long_orders_are_refused(viewer: TestClient) -> None:
    order = {"layer": "0" * 16, "translator": "x" * 100_000}
    assert viewer.post("/api/jobs", json=order, headers=ORDER).status_code == 413
    pieces = (piece for piece in [b"{", b"}"])
    chunked = viewer.post("/api/jobs", content=pieces, headers={**ORDER, "Content-Type": "application/json"})
    assert chunked.status_code == 413


def test_loopback() -> None:
    for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost"):
        assert is_loopback(host)
    for host in ("0.0.0.0", "::", "192.168.1.2", "example.org", ""):
        assert not is_loopback(host)


def test_built_page_is_whole_and_points_nowhere() -> None:
    """No other host is asked for anything, nothing is inline, and licences of what is bundled are there."""
    import re
    from importlib.resources import files

    static = Path(str(files("saropt.viewer"))) / "static"
    pages, rest = {"index.html", "blind.html"}, {"viewer.js", "blind.js", "shared.js", "viewer.css", "licences.md"}
    assert {path.name for path in static.iterdir()} == pages | rest
    assert sum(path.stat().st_size for path in static.iterdir()) < 500_000
    for name in pages:
        page = (static / name).read_text(encoding="utf-8")
        assert re.findall(r"<script(?![^>]* src=)", page) == []
        assert re.findall(r"(?: on\w+=|<style|style=)", page) == []
    for path in static.iterdir():
        text = path.read_text(encoding="utf-8")
        hosts = set(re.findall(r"https?://([\w.-]+)", text))
        assert hosts <= {"www.opengis.net", "www.w3.org"}, path.name  # names of coordinate systems and of SVG
        assert "npmjs" not in text
    licences = (static / "licences.md").read_text(encoding="utf-8")
    for package in ("ol -", "rbush -"):
        assert package in licences


def test_the_lock_file_names_no_address_of_a_package() -> None:
    lock = Path(__file__).resolve().parents[2] / "viewer" / "web" / "package-lock.json"
    packages = json.loads(lock.read_text(encoding="utf-8"))["packages"]
    assert any("integrity" in package for package in packages.values())
    assert not any("resolved" in package for package in packages.values())
