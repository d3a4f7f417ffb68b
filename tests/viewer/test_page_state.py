"""The page in Debian's chromium: what is shown belongs to the last click and to the address."""

from __future__ import annotations

from typing import Any

from test_browser import address, browser, choose, pytestmark, settle, sync_api, visit  # noqa: F401  (fixtures)


def test_a_late_answer_does_not_replace_a_newer_reading(visit: Any) -> None:  # noqa: F811
    page = visit()
    choose(page, "here.tif")
    held: list[Any] = []

    def hold_the_first(route: Any) -> None:
        if len(held) < 2:
            held.append(route)
        else:
            route.continue_()

    def click(across: float) -> None:
        box = page.locator(".map").bounding_box()
        page.mouse.click(box["x"] + box["width"] * across, box["y"] + box["height"] * 0.4)
        page.wait_for_timeout(800)

    def let_go() -> None:
        for route in held:
            route.continue_()
        page.wait_for_timeout(800)

    page.route("**/point?**", hold_the_first)
    click(0.4)
    click(0.6)
    page.wait_for_selector(".readout:not([hidden])")
    reading = page.inner_text(".readout")
    assert len(held) == 2
    let_go()
    assert page.inner_text(".readout") == reading

    held.clear()
    click(0.4)
    choose(page, "root/sar/a.tif")
    assert len(held) == 2
    let_go()
    assert page.locator(".readout").is_hidden()


def test_an_address_is_followed_or_told_to_be_gone(visit: Any, address: str) -> None:  # noqa: F811
    page = visit()
    choose(page, "here.tif")
    here = page.evaluate("location.hash")
    choose(page, "root/sar/a.tif")
    page.evaluate("hash => { location.hash = hash }", here)
    sync_api.expect(page).to_have_title("here.tif – saropt")
    gone = "#scene=0123456789abcdef"
    page.evaluate("hash => { location.hash = hash }", gone)
    page.locator(".errors", has_text="no such scene").wait_for()
    assert (page.title(), page.evaluate("location.hash")) == ("here.tif – saropt", here)

    page.goto("about:blank")
    page.goto(f"{address}{gone}")
    page.locator(".errors", has_text="no such scene").wait_for()
    assert page.title() == "saropt"
    choose(page, "here.tif")
    assert page.title() == "here.tif – saropt"


def test_a_job_is_repeated_with_its_own_image(visit: Any, address: str) -> None:  # noqa: F811
    """Its scene may be gone while its image, a translation of that scene, stands alone."""
    page = visit()
    catalogue = page.request.get(f"{address}api/catalogue").json()
    layer = next(scene["layers"][0]["id"] for scene in catalogue["scenes"] if scene["name"] == "plain.png")
    request = {"direction": "sar2opt", "bands": None, "units": None, "realism": None, "reliability": False}
    job = {"id": "0" * 16, "state": "failed", "scene": "f" * 16, "layer": layer, "source": "plain.png", "message": ""}
    job |= {"translator": "s1-losangeles", "request": {**request, "companions": {}}, "seam": None, "result": None}
    page.route("**/api/jobs", lambda route: route.fulfill(json=[job | {"done": 0, "total": 0, "created": 0}]))
    choose(page, "here.tif")
    page.click("#tab-jobs")
    page.click(f'[data-key="again-{job["id"]}"]')
    sync_api.expect(page).to_have_title("plain.png – saropt")
    settle(page)
    assert page.locator("#panel-translate select").first.input_value() == layer
