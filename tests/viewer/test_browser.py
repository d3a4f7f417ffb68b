"""The page in Debian's chromium: what a person does with it."""

from __future__ import annotations

import io
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asking import PLACE
from PIL import Image
from test_serve import serving

from saropt import Translator
from saropt.inference import NOTICE
from saropt.scenes import Scene, write_array
from saropt.simulate import amplitude_q99, simulate_scene

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install 'saropt[test]'")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium")
LONG_MS = 300_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as started:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = started.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    with serving(folder, "--port", 0, "--threads", 1) as (_, line):
        yield line.split()[0]


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Any]:
    """Factory of pages; whatever they complain about (scripts, policy, missing files) fails the test."""
    complaints: list[str] = []
    contexts = []

    def open_page(**options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 760}, "locale": "en-GB", **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: message.type in ("error", "warning") and complaints.append(message.text))
        page.on("response", lambda answer: answer.status >= 400 and complaints.append(f"{answer.status} {answer.url}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: request.url.startswith(("http://127.", "data:", "blob:")) or complaints.append(request.url))  # fmt: skip  # noqa: E501
        page.goto(address)
        page.wait_for_selector(".sidebar:not([inert])")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def settle(page: Any) -> None:
    """Wait until all tiles are drawn."""
    page.wait_for_timeout(150)
    page.wait_for_selector('.map[aria-busy="false"]')
    page.wait_for_timeout(100)


def choose(page: Any, name: str) -> None:
    page.click("#tab-scenes")
    page.click(f'.scene[title="{name}"]')
    settle(page)


def colours(page: Any, across: float) -> np.ndarray:
    """RGB of a patch of the map, `across` of its width from the left, free of labels."""
    shot = Image.open(io.BytesIO(page.locator(".map").screenshot())).convert("RGB")
    x, y = int(shot.width * across), shot.height // 2 + 60
    return np.asarray(shot.crop((x - 12, y - 12, x + 12, y + 12))).astype(int)


def centre(element: Any) -> np.ndarray:
    """RGB of a patch in the middle of an element."""
    shot = Image.open(io.BytesIO(element.screenshot())).convert("RGB")
    x, y = shot.width // 2 + 30, shot.height // 2 + 30
    return np.asarray(shot.crop((x - 12, y - 12, x + 12, y + 12))).astype(int)


def is_grey(patch: np.ndarray) -> bool:
    return bool(np.ptp(patch, axis=2).max() <= 2)


def drag_divider(page: Any, to: float) -> None:
    box, place = page.locator(".map").bounding_box(), page.locator(".divider").bounding_box()
    page.mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * to, place["y"] + place["height"] / 2, steps=5)
    page.mouse.up()
    page.wait_for_timeout(150)


def test_upload_translate_swipe_read_download(visit: Any, tmp_path: Path) -> None:
    sar = amplitude_q99(simulate_scene((192, 240), 9, looks=8).sigma0[1])[None]
    mine = write_array(tmp_path / "mine.tif", sar, band_names=["VH"], georeference=PLACE)
    page = visit()
    page.set_input_files("input[type=file]", mine)
    page.wait_for_selector('.scene[title="mine.tif"][aria-current]')
    page.click(".labels button")
    assert "Los" in page.inner_text(".card dl")
    page.click('[data-key="start"]')
    page.wait_for_selector('.job[data-state="done"]', timeout=LONG_MS)
    page.click('.job [data-key^="show-"]')
    settle(page)
    assert page.inner_text(".side.right .notice") == NOTICE

    drag_divider(page, 0.8)
    assert int(page.get_attribute(".divider", "aria-valuenow")) in range(78, 83)
    assert is_grey(colours(page, 0.5))
    drag_divider(page, 0.2)
    assert not is_grey(colours(page, 0.5))
    assert is_grey(colours(page, 0.1))

    box = page.locator(".map").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.4)
    page.wait_for_selector(".readout:not([hidden])")
    text = page.inner_text(".readout")
    found = re.search(r"column (\d+), row (\d+)", text)
    assert found is not None
    column, row = map(int, found.groups())
    expected = Translator.load("s1-losangeles").translate(mine, tmp_path / "out.tif")
    with Scene.open(expected) as scene:
        colour = scene.read()[0][:, row, column]
    values = [int(value) for value in re.findall(r"^(?:SAR|Translation) \w+\s+(\d+)", text, re.MULTILINE)]
    assert values == [sar[0, row, column], *map(int, colour)]
    assert "EPSG:32611" in text
    assert NOTICE in text

    page.click("#tab-jobs")
    with page.expect_download() as download:
        page.click(".job a.button")
    assert download.value.suggested_filename == "mine-s1-losangeles.tif"
    assert Path(download.value.path()).read_bytes() == expected.read_bytes()
    page.click("#tab-layers")
    with page.expect_download() as download:
        page.click(".layer.translation a.button >> nth=0")
    assert Image.open(download.value.path()).info["Notice"] == NOTICE


def test_reload_during_a_job_and_two_users(visit: Any, folder: Path) -> None:
    sar = amplitude_q99(simulate_scene(640, 2, looks=8).sigma0[1])[None]
    write_array(folder / "large.tif", sar, band_names=["VH"], georeference=PLACE)
    first, second = visit(), visit()
    for page in (first, second):
        page.click('[data-key="scan"]')
        page.wait_for_selector('.scene[title="large.tif"]')
        choose(page, "large.tif")
        page.click("#tab-translate")
    first.click('[data-key="start"]')
    first.wait_for_selector('.job[data-state="running"]', timeout=LONG_MS)
    first.reload()
    first.click("#tab-jobs")
    sync_api.expect(first.locator(".job")).to_have_count(1)
    assert first.get_attribute(".job", "data-state") == "running"
    second.click('[data-key="start"]')
    for page in (first, second):
        sync_api.expect(page.locator('.job[data-state="done"]')).to_have_count(2, timeout=LONG_MS)
        page.wait_for_selector(".side.right .chip.translation")
        settle(page)
    assert first.evaluate("location.hash").startswith("#scene=")
    second.click('[data-key^="remove-"] >> nth=0')
    for page in (first, second):
        sync_api.expect(page.locator(".job")).to_have_count(1)
        sync_api.expect(page.locator(".layer.translation")).to_have_count(1)


def test_a_scene_of_unnamed_bands_is_offered_a_translator_that_needs_nothing_else(visit: Any, folder: Path) -> None:
    write_array(folder / "unnamed_sar.tif", np.ones((1, 64, 64), np.uint8), band_names=["1"], georeference=PLACE)
    page = visit()
    page.click('[data-key="scan"]')
    page.wait_for_selector('.scene[title="unnamed_sar.tif"]')
    choose(page, "unnamed_sar.tif")
    page.click("#tab-translate")
    page.locator("#panel-translate select").nth(1).wait_for()
    assert page.locator("#panel-translate select").nth(1).input_value() == "sar2opt s1-losangeles"


def test_one_band_is_chosen_and_the_other_is_that_of_its_name(visit: Any, folder: Path) -> None:
    pixels = np.random.default_rng(0).uniform(-20, -5, (3, 96, 96)).astype(np.float32)
    write_array(folder / "stack.tif", pixels, band_names=["VV", "VH", "VV_filtered"], georeference=PLACE)
    page = visit()
    page.click('[data-key="scan"]')
    page.wait_for_selector('.scene[title="stack.tif"]')
    choose(page, "stack.tif")
    page.click("#tab-translate")
    page.locator("#panel-translate select").nth(1).select_option("sar2opt s1-world")
    page.get_by_label("Band for VV").select_option("VV_filtered")
    with page.expect_request(lambda request: request.method == "POST") as order:
        page.click('[data-key="start"]')
    assert order.value.post_data_json["bands"] == ["VV_filtered", None]
    page.wait_for_selector('.job[data-state="done"]', timeout=LONG_MS)
    assert order.value.response().json()["request"]["bands"] == ["VV_filtered", "VH"]


def test_cancel_from_the_page(visit: Any, folder: Path) -> None:
    write_array(folder / "huge.tif", np.full((1, 3000, 3000), 99, np.uint8), band_names=["VH"])
    page = visit()
    page.click('[data-key="scan"]')
    page.wait_for_selector('.scene[title="huge.tif"]')
    choose(page, "huge.tif")
    page.click("#tab-translate")
    page.click('[data-key="start"]')
    page.click('.job [data-key^="cancel-"]', timeout=LONG_MS)
    page.wait_for_selector('.job[data-state="cancelled"]')


def test_layers_and_their_display(visit: Any) -> None:
    page = visit()
    choose(page, "root/sar/a.tif")
    assert page.inner_text(".side.right .chip") == "Optical"
    assert page.locator(".notice").count() == page.locator("#panel-translate .notice").count()
    page.click("#tab-layers")
    page.locator(".layer.sar summary").click()
    card = page.locator(".layer.sar")
    drag_divider(page, 0.9)
    before = colours(page, 0.4)
    low, high = card.locator("input[type=number]").all()
    high.fill("-20")
    high.press("Enter")
    settle(page)
    assert colours(page, 0.4).mean() > before.mean() + 20
    assert "-20" in card.locator(".legend").inner_text()
    assert low.input_value() != ""
    card.locator("select").nth(2).select_option("0 100")
    settle(page)
    assert float(card.locator("input[type=number]").nth(1).input_value()) == pytest.approx(-5, abs=0.5)
    card.locator("input[type=range]").fill("0")
    settle(page)
    faded = colours(page, 0.4)
    assert np.ptp(faded, axis=(0, 1)).max() <= 2
    page.locator(".layer.sar button", has_text="Right").click()
    settle(page)
    assert page.inner_text(".side.right .chip") == "SAR"
    assert page.inner_text(".side.left .chip") == "Optical"


def test_histogram_sets_the_range(visit: Any) -> None:
    page = visit()
    choose(page, "root/sar/a.tif")
    page.click("#tab-layers")
    card = page.locator(".layer.sar")
    card.locator("summary").click()
    card.locator(".histogram").wait_for()
    low, high = (field.input_value() for field in card.locator("input[type=number]").all())
    box = card.locator(".histogram").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 20, steps=4)
    page.mouse.up()
    after = [field.input_value() for field in card.locator("input[type=number]").all()]
    assert after[0] == low
    assert float(low) < float(after[1]) < float(high)
    assert card.locator("select").nth(2).input_value() == "range"


def test_threshold_of_a_map_on_top(visit: Any, folder: Path, simulated: tuple[np.ndarray, np.ndarray]) -> None:
    """The right half is from radar: half of the pixels stay when less than 60 is hidden."""
    share = np.repeat(np.array([[0, 100]], np.uint8), 112, axis=1).repeat(160, axis=0)[None]
    tags = {"SAROPT_SOURCE": "here.tif", "SAROPT_PRODUCT": "origin"}
    write_array(folder / "share.tif", share, band_names=["from radar"], georeference=PLACE, tags=tags)
    page = visit()
    page.click('[data-key="scan"]')
    page.locator('.scene[title="here.tif"]', has_text="Product").wait_for()
    choose(page, "here.tif")
    drag_divider(page, 1)
    before = colours(page, 0.4)
    page.click("#tab-layers")
    page.click('[data-key^="over-"]')
    page.wait_for_selector(".side.over .notice")
    settle(page)
    black, white = colours(page, 0.4), colours(page, 0.6)
    assert black.max() <= 12
    assert white.min() >= 190
    card = page.locator(".layer.product")
    card.locator("select").first.select_option("least")
    settle(page)
    slider = card.locator(".threshold input")
    slider.fill("60")
    assert card.locator("output").inner_text() == "60 %"
    sync_api.expect(card.locator(".threshold p")).to_have_text("50.0 % of the pixels")
    settle(page)
    assert np.array_equal(colours(page, 0.4), before)
    assert np.array_equal(colours(page, 0.6), white)
    card.locator("select").first.select_option("most")
    settle(page)
    assert np.array_equal(colours(page, 0.4), black)
    assert is_grey(colours(page, 0.6))


def test_three_layers_at_once(visit: Any, folder: Path, simulated: tuple[np.ndarray, np.ndarray]) -> None:
    """SAR, translation and truth between two dividers, then side by side in maps that move together."""
    grey = np.full_like(simulated[1], 128)
    tags = {"SAROPT_SOURCE": "here.tif", "SAROPT_TRANSLATOR": "flat", "SAROPT_DIRECTION": "sar2opt"}
    write_array(folder / "flat.tif", grey, band_names=["B4", "B3", "B2"], georeference=PLACE, tags=tags)
    page = visit()
    page.click('[data-key="scan"]')
    page.locator('.scene[title="here.tif"]', has_text="Translation").wait_for()
    choose(page, "here.tif")
    assert page.locator(".side .chip").all_inner_texts() == ["SAR", "Translation", "Optical"]
    first, second = page.locator(".divider").all()
    assert np.abs(colours(page, 0.5) - 128).max() <= 1
    second.focus()
    second.press("Home")
    assert first.get_attribute("aria-valuenow") == "0"
    assert not is_grey(colours(page, 0.5))

    page.click('.tool[aria-pressed="false"]')
    maps = page.locator(".map")
    sync_api.expect(maps).to_have_count(3)
    assert page.locator(".divider").count() == 0
    page.wait_for_timeout(800)
    assert np.abs(centre(maps.nth(1)) - 128).max() <= 1
    before = centre(maps.nth(2))
    maps.nth(0).press("ArrowRight")
    page.wait_for_timeout(800)
    assert np.abs(centre(maps.nth(2)) - before).max() > 8
    maps.nth(0).press("Enter")
    page.wait_for_selector(".readout:not([hidden])")
    assert re.findall(r"^(\w+) B4", page.inner_text(".readout"), re.MULTILINE) == ["Translation", "Optical"]
    page.reload()
    page.wait_for_selector(".sidebar:not([inert])")
    choose(page, "root/sar/a.tif")
    sync_api.expect(maps).to_have_count(2)


def test_units_are_chosen_beforehand_and_a_job_is_repeated_with_others(visit: Any, folder: Path) -> None:
    decibels = np.random.default_rng(0).normal(-14, 4, (1, 64, 64)).astype(np.float32)
    (folder / "places").mkdir()
    write_array(folder / "places" / "bare_20200506.tif", decibels, band_names=["VH"], georeference=PLACE)
    page = visit()
    page.click('[data-key="scan"]')
    page.wait_for_selector('[data-key="folder-places"]')
    assert page.locator(".folder summary strong").all_inner_texts() == ["/", "places", "root"]
    page.click('[data-key="folder-places"]')
    assert not page.is_visible('.scene[title="places/bare_20200506.tif"]')
    page.click('[data-key="folder-places"]')
    assert "2020-05-06" in page.inner_text('.scene[title="places/bare_20200506.tif"]')
    choose(page, "places/bare_20200506.tif")
    page.click("#tab-translate")
    units = page.locator("#panel-translate label", has_text="Units of the input").locator("select")
    page.get_by_text("The values fit sigma0_db, gamma0_db only").wait_for()
    assert units.input_value() == "sigma0_db"
    page.locator("#panel-translate select").nth(1).select_option("sar2opt s1-losangeles")
    units.select_option("amplitude")
    page.get_by_text("The values cannot be amplitude. Units that fit: sigma0_db, gamma0_db").wait_for()
    page.click('[data-key="start"]')
    page.wait_for_selector('.job[data-state="failed"]', timeout=LONG_MS)
    assert "amplitude" in page.inner_text(".messages [role=alert] p")
    page.click(".messages [role=alert] button")
    sync_api.expect(page.locator(".messages [role=alert] p")).to_have_count(0)
    page.click('[data-key^="again-"]')
    page.wait_for_selector("#panel-translate:not([hidden])")
    assert units.input_value() == "amplitude"
    units.select_option("sigma0_db")
    page.click('[data-key="start"]')
    page.wait_for_selector('.job[data-state="done"]', timeout=LONG_MS)


def test_keyboard_alone(visit: Any) -> None:
    page = visit()
    choose(page, "here.tif")
    page.focus("#tab-scenes")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.id") == "tab-layers"
    assert page.is_visible("#panel-layers")
    page.focus(".divider")
    for key, value in (("ArrowLeft", 48), ("PageUp", 58), ("Home", 0), ("End", 100)):
        page.keyboard.press(key)
        assert page.get_attribute(".divider", "aria-valuenow") == str(value)
    page.focus(".map")
    page.keyboard.press("Enter")
    page.wait_for_selector(".readout:not([hidden])")
    assert "row" in page.inner_text(".readout")
    page.keyboard.press("+")
    page.wait_for_timeout(400)
    assert page.evaluate("document.activeElement.classList.contains('map')")


def test_a_reading_shows_large_numbers_whole(visit: Any, folder: Path) -> None:
    write_array(folder / "ids.tif", np.full((1, 64, 64), 123_456, np.int32))
    page = visit()
    page.click('[data-key="scan"]')
    choose(page, "ids.tif")
    page.focus(".map")
    page.keyboard.press("Enter")
    page.wait_for_selector(".readout:not([hidden])")
    assert "123456" in page.inner_text(".readout").split()


def test_scene_without_georeference(visit: Any, folder: Path) -> None:
    page = visit()
    choose(page, "plain.png")
    box = page.locator(".map").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.6)
    page.wait_for_selector(".readout:not([hidden])")
    text = page.inner_text(".readout")
    column, row = map(int, re.search(r"column (\d+), row (\d+)", text).groups())  # type: ignore[union-attr]
    with Scene.open(folder / "plain.png") as scene:
        assert f"{scene.read()[0][0, row, column]:.0f}" in text.splitlines()[-1]
    assert page.inner_text(".scalebar").endswith("px")
    assert f"column {column}" in page.inner_text(".coordinates")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_phone_and_chinese(visit: Any, folder: Path, scheme: str) -> None:
    long = "place_with_a_long_name_S1A_IW_GRDH_1SDV_20210119T031653_20210119T031718.tif"
    write_array(folder / long, np.ones((1, 32, 32), np.uint8), band_names=["VH"])
    phone = {"width": 390, "height": 844}
    page = visit(viewport=phone, locale="zh-CN", color_scheme=scheme, has_touch=True)
    page.click('[data-key="scan"]')
    page.wait_for_selector(f'.scene[title="{long}"]')
    choose(page, "here.tif")
    assert page.inner_text("#tab-translate") == "转换"
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    for tab in ("scenes", "layers", "translate", "jobs", "reports"):
        page.click(f"#tab-{tab}")
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        assert page.evaluate("document.querySelector('header').clientWidth") == 390
        assert page.evaluate(f"document.getElementById('panel-{tab}').scrollWidth") <= 390
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    light = sum(map(int, re.findall(r"\d+", background)[:3])) > 380
    assert light == (scheme == "light")
    page.click('[data-key="theme"]')
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != background
    page.click('[data-key="language"]')
    assert page.inner_text("#tab-translate") == "Translate"
    page.reload()
    page.wait_for_selector(".scene")
    assert page.inner_text("#tab-translate") == "Translate"


def test_report_in_its_sandbox(visit: Any, folder: Path) -> None:
    (folder / "quality").mkdir()
    (folder / "quality" / "report.html").write_text("<h1>Scores</h1>")
    (folder / "quality" / "report.json").write_text('{"data": {"name": "s1"}, "split": "test", "n": 96}')
    page = visit()
    page.click('[data-key="scan"]')
    page.click("#tab-reports")
    page.click("#panel-reports button")
    assert page.frame_locator("dialog iframe").locator("h1").inner_text() == "Scores"
    assert page.get_attribute("dialog iframe", "sandbox") == ""
    page.keyboard.press("Escape")
    sync_api.expect(page.locator("dialog")).to_have_count(0)


def test_token_from_the_address_or_by_hand(browser: Any, folder: Path) -> None:
    with serving(folder, "--port", 0, "--host", "0.0.0.0") as (_, line):
        printed = line.split()[0].replace("0.0.0.0", "127.0.0.1")
        address, _, token = printed.partition("#token=")
        page = browser.new_context().new_page()
        page.goto(printed)
        page.wait_for_selector(".scene")
        assert token not in page.url
        page.reload()
        page.wait_for_selector(".scene")
        other = browser.new_context().new_page()
        other.goto(address)
        other.fill("dialog input", "wrong")
        other.keyboard.press("Enter")
        other.wait_for_selector(".messages p")
        other.fill("dialog input", token)
        other.keyboard.press("Enter")
        other.wait_for_selector(".scene")
        for one in (page, other):
            one.context.close()


def test_messages_of_the_server_in_chinese(visit: Any) -> None:
    """Alone, behind a name, behind one another, with values that are messages; what is not known keeps its language."""
    told = {
        "there is not enough memory": "内存不足",
        "a b.tif: cannot be read: no such file": "a b.tif：无法读取：没有该文件",
        "the translating process was killed by signal 9 (out of memory?)": "转换进程被信号 9 终止（内存不足？）",
        "units are declared as uint8 but 0.5 % to 99.5 % of the pixels lie in 1..9: 8 bits hold 0..255": (
            "声明的单位为 uint8，但 0.5 % 至 99.5 % 的像元位于 1..9：8 位数值为 0..255"
        ),
        "no earlier SAR image was given: change is judged by the new one alone; old.tif covers 50.0% of the scene: "
        "the rest is made without it": (
            "未提供早期 SAR 影像：仅凭新影像判断变化；old.tif 覆盖场景的 50.0%：其余部分转换时不使用它"
        ),
        "a.tif: VH is missing or not chosen: it is estimated from VV": "a.tif：VH 缺失或未选择：估计自 VV",
        "the scene is unlike the training data: its month is 5, the nearest there 9 (4 months away); its latitude is "
        "45.1, the nearest there 38 (7.1 degrees away)": (
            "场景与训练数据不相似：其月份为 5，训练数据中最接近的为 9（相差 4 个月）；"
            "其纬度为 45.1，训练数据中最接近的为 38（相差 7.1 度）"
        ),
        "no such scene; something else": "没有该场景；something else",
        "one unknown; another unknown": "one unknown; another unknown",
    }
    job = {"state": "failed", "scene": "s", "layer": "l", "source": "x.tif", "translator": "t", "seam": None}
    job |= {"done": 0, "total": 0, "created": 0, "result": None}
    jobs = [{**job, "id": f"{place:016x}", "message": message} for place, message in enumerate(told)]
    page = visit(locale="zh-CN")
    page.route("**/api/jobs", lambda route: route.fulfill(json=jobs))
    page.click("#tab-jobs")
    page.wait_for_selector(".job .warning")
    assert page.locator(".job .warning").all_inner_texts() == list(told.values())
    assert page.locator('.job [lang="en"]').all_inner_texts() == ["something else", "one unknown; another unknown"]
    page.click('[data-key="language"]')
    assert page.locator(".job .warning").all_inner_texts() == list(told)


def test_a_scene_without_a_valid_pixel_says_so(visit: Any, folder: Path) -> None:
    values = np.full((2, 64, 64), np.nan, np.float32)
    write_array(folder / "empty.tif", values, band_names=["VV", "VH"], georeference=PLACE, nodata=float("nan"))
    page = visit()
    page.click('[data-key="scan"]')
    choose(page, "empty.tif")
    page.click("#tab-layers")
    assert "No valid pixel was found in this layer" in page.inner_text("#panel-layers")
    page.click("#tab-translate")
    page.wait_for_selector("#panel-translate .warning")
    told = page.inner_text("#panel-translate")
    assert "No valid pixel was found in this layer" in told
    assert "otherwise" not in told
    assert "cannot be" not in told


def test_an_absent_server_is_told_until_it_answers(browser: Any, address: str) -> None:
    page = browser.new_context(locale="en-GB").new_page()
    page.goto(address)
    page.wait_for_selector(".sidebar:not([inert])")
    page.route("**/api/jobs", lambda route: route.abort())
    page.wait_for_selector("text=The server does not answer")
    page.unroute("**/api/jobs")
    page.wait_for_selector("text=The server does not answer", state="detached")
    page.context.close()


def test_no_name_lies_over_the_buttons_of_a_narrow_map(visit: Any, folder: Path) -> None:
    write_array(folder / "now.tif", np.ones((1, 64, 64), np.uint8), band_names=["VH"], georeference=PLACE)
    guess = np.ones((3, 64, 64), np.uint8)
    tags = {"SAROPT_SOURCE": "now.tif", "SAROPT_TRANSLATOR": "t", "SAROPT_DIRECTION": "sar2opt"}
    write_array(folder / "guess.tif", guess, georeference=PLACE, tags=tags)
    page = visit(viewport={"width": 360, "height": 640})
    page.click('[data-key="scan"]')
    choose(page, "now.tif")
    boxes = [one.bounding_box() for one in page.locator(".side:has(.notice)").all()]
    assert boxes
    assert max(box["y"] + box["height"] for box in boxes) <= page.locator(".tools").bounding_box()["y"]
