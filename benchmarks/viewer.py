"""Start-up, tile latency and memory of `saropt serve`, over HTTP, with the server in a process of its own.

    python benchmarks/viewer.py [--side 10240] [--requests 400] [--parallel 8] [--no-job]

The scene is a simulated uint8 VH amplitude COG in UTM, tiled from one 2048x2048 scene. Needs `saropt[serve]`.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from rasterio.crs import CRS

from saropt.scenes import Georeference, SceneWriter
from saropt.simulate import amplitude_q99, simulate_scene

BLOCK = 2048
PLACE = Georeference(CRS.from_epsg(32611), Affine(10.0, 0.0, 380_000.0, 0.0, -10.0, 3_780_000.0))
SERVE = [sys.executable, "-c", "import sys; from saropt.cli import main; sys.exit(main())", "serve"]
IMPORTS = "import saropt.cli, saropt.viewer.server, saropt.viewer.app"


def make_scene(path: Path, side: int) -> None:
    block = amplitude_q99(simulate_scene(BLOCK, 0, looks=8).sigma0[1])[None]
    with SceneWriter(path, width=side, height=side, band_names=["VH"], dtype="uint8", georeference=PLACE) as writer:
        for row in range(0, side, BLOCK):
            for col in range(0, side, BLOCK):
                writer.write(row, col, block[:, : side - row, : side - col])
        writer.finish()


def get(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=60) as answer:
        content: bytes = answer.read()
    return content


def start_up(folder: Path) -> tuple[subprocess.Popen[str], str, dict[str, Any]]:
    """A server, its address and the scene's layer; prints the time until the first tile of a first start."""
    for _ in range(2):  # the first one reads the files into the cache
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", IMPORTS], check=True)
        imports = time.perf_counter() - begun
    begun = time.perf_counter()
    server = subprocess.Popen([*SERVE, str(folder), "--port", "0"], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    address = server.stdout.readline().split()[0]
    listening = time.perf_counter() - begun
    get(address)
    (scene,) = json.loads(get(f"{address}api/catalogue"))["scenes"]
    layer = json.loads(get(f"{address}api/layers/{scene['id']}"))
    zoom = layer["minzoom"] + 1
    get(tile_address(address, layer, zoom, *inside(layer, zoom, 0.5, 0.5)))
    first = time.perf_counter() - begun
    print(f"start: imports alone {imports:.2f} s, listening after {listening:.2f} s, first tile after {first:.2f} s")
    print(f"       = {first - imports:.2f} s beyond the imports")
    return server, address, layer


def inside(layer: dict[str, Any], zoom: int, across: float, down: float) -> tuple[int, int]:
    """Column and row of the tile at a relative place of the layer."""
    left, bottom, right, top = layer["extent"]
    world = 2 * math.pi * 6378137
    x, y = left + (right - left) * across, top - (top - bottom) * down
    return int((x / world + 0.5) * 2**zoom), int((0.5 - y / world) * 2**zoom)


def tile_address(address: str, layer: dict[str, Any], zoom: int, x: int, y: int) -> str:
    return f"{address}api/layers/{layer['id']}/tiles/{zoom}/{x}/{y}?band=1&low=30&high=230"


def tiles(address: str, layer: dict[str, Any], count: int, parallel: int) -> None:
    """Random places at random zooms."""
    generator = random.Random(0)
    wanted = []
    for _ in range(count):
        zoom = generator.randint(layer["minzoom"], layer["maxzoom"])
        wanted.append(tile_address(address, layer, zoom, *inside(layer, zoom, generator.random(), generator.random())))

    def timed(one: str) -> float:
        begun = time.perf_counter()
        get(one)
        return (time.perf_counter() - begun) * 1e3

    with ThreadPoolExecutor(parallel) as pool:
        begun = time.perf_counter()
        took = list(pool.map(timed, wanted))
        whole = time.perf_counter() - begun
    p50, p95 = np.percentile(took, [50, 95])
    print(
        f"tiles: {count} of 256 px, {parallel} in parallel: p50 {p50:.0f} ms, p95 {p95:.0f} ms, {count / whole:.0f}/s"
    )


def resident(process: int) -> dict[int, float]:
    """Resident megabytes of a process and its children."""
    found = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        except OSError:
            continue
        if process in (int(fields["Pid"]), int(fields["PPid"])) and "VmRSS" in fields:
            found[int(fields["Pid"])] = int(fields["VmRSS"].split()[0]) / 1024
    return found


def job(address: str, layer: dict[str, Any], server: int) -> None:
    peaks = {"server": 0.0, "worker": 0.0, "together": 0.0}
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.2):
            now = resident(server)
            worker = sum(size for process, size in now.items() if process != server)
            peaks["server"] = max(peaks["server"], now.get(server, 0.0))
            peaks["worker"] = max(peaks["worker"], worker)
            peaks["together"] = max(peaks["together"], sum(now.values()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    begun = time.perf_counter()
    order = json.dumps({"layer": layer["id"], "translator": "s1-losangeles"}).encode()
    request = urllib.request.Request(f"{address}api/jobs", order, {"Content-Type": "application/json", "X-Saropt": "1"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        key = json.load(answer)["id"]
    waits = []
    while (state := json.loads(get(f"{address}api/jobs/{key}")))["state"] in ("queued", "running"):
        time.sleep(1.0)
        asked = time.perf_counter()
        get(tile_address(address, layer, layer["maxzoom"], *inside(layer, layer["maxzoom"], 0.4, 0.6)))
        waits.append(time.perf_counter() - asked)
    over.set()
    watcher.join()
    megapixels = layer["width"] * layer["height"] / 1e6
    print(f"job: {state['state']} after {time.perf_counter() - begun:.0f} s ({megapixels:.0f} Mpx)")
    print(f"     peak memory {', '.join(f'{name} {size:.0f} MB' for name, size in peaks.items())}")
    p50, p95 = np.percentile(waits, [50, 95]) * 1e3
    print(f"     one tile a second meanwhile: p50 {p50:.0f} ms, p95 {p95:.0f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=10_240)
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--parallel", type=int, default=8)
    parser.add_argument("--no-job", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_scene(folder / "scene.tif", arguments.side)
        server, address, layer = start_up(folder)
        try:
            tiles(address, layer, arguments.requests, arguments.parallel)
            if not arguments.no_job:
                job(address, layer, server.pid)
        finally:
            server.terminate()
            server.wait(timeout=30)


if __name__ == "__main__":
    main()
