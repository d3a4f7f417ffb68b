"""A Ray cluster of two nodes on this machine: a killed worker loses nothing, and the bytes are those of a plain run."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from saropt.batch.executors import InProcess
from saropt.batch.jobs import Job, Work
from saropt.batch.ray_actors import ActorCrew, RayActors, _work_from_here, connect
from saropt.errors import SaroptError
from saropt.inference import TranslateOptions, Translator
from saropt.scenes import open_scene

pytestmark = pytest.mark.slow
Factory = Callable[..., Path]


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """A driver of two nodes with one CPU each, of which one claims to have two GPUs."""
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'saropt[ray]'")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1, num_gpus=2)
    ray.init(address=cluster.address, log_to_driver=False)
    yield ray
    ray.shutdown()
    cluster.shutdown()


def writer_of(folder: Path) -> int | None:
    """A process other than this one that holds a file in `folder` open."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if Path(os.readlink(link)).parent == folder and int(link.parts[2]) != os.getpid():
                return int(link.parts[2])
        except OSError:
            continue
    return None


def jobs_in(folder: Path, scenes: list[Path]) -> list[Job]:
    folder.mkdir()
    return [Job(str(scene), folder / scene.name) for scene in scenes]


def test_a_killed_worker_loses_nothing(ray: Any, make_translator: Factory, make_scene: Factory, tmp_path: Path) -> None:
    scenes = [make_scene(1200, 600 + number, name=f"s{number}.tif") for number in range(4)]
    work = Work(str(make_translator()), translate=TranslateOptions(tile=32))
    list(InProcess(work).run(jobs_in(tmp_path / "plain", scenes)))
    killed: list[int] = []

    def kill() -> None:
        while not killed:
            found = writer_of(tmp_path / "out")
            if found is not None:
                os.kill(found, signal.SIGKILL)
                killed.append(found)
            time.sleep(0.02)

    jobs = jobs_in(tmp_path / "out", scenes)
    threading.Thread(target=kill, daemon=True).start()
    outcomes = list(RayActors(work).run(jobs))
    assert len(killed) == 1
    assert [outcome.error for outcome in outcomes] == [None] * 4
    for scene in scenes:
        assert (tmp_path / "out" / scene.name).read_bytes() == (tmp_path / "plain" / scene.name).read_bytes()
    assert len(list((tmp_path / "out").iterdir())) == 4
    assert ray.is_initialized(), "a Ray that the caller has started is left to it"


def test_actors_get_gpus(ray: Any, make_translator: Factory, make_scene: Factory, tmp_path: Path) -> None:
    """Ray shows an actor the GPUs that it asked for, and others none; torch sees that this machine has none."""
    work = Work(str(make_translator("naf_unet", ".safetensors")))
    crew = ActorCrew(work, 1, 0.5)
    worker = crew.hire()
    assert crew.events() == [(worker, ("ready", None))]
    seen = crew._team[worker].__ray_call__.remote(lambda actor: os.environ.get("CUDA_VISIBLE_DEVICES"))
    assert ray.get(seen) in ("0", "1")
    crew.dismiss()
    jobs = jobs_in(tmp_path / "out", [make_scene(64, 64)])
    assert [outcome.error for outcome in RayActors(work).run(jobs)] == [None]


def test_companions_travel_with_their_scenes(
    ray: Any, make_translator: Factory, make_scene: Factory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by relative paths, which workers with another working directory could not follow."""
    scenes = [make_scene(64, 60 + number, name=f"s{number}.tif") for number in range(2)]
    work = Work(str(make_translator()))
    made = [Translator.load(work.model).translate(scene, tmp_path / f"today-{scene.name}") for scene in scenes]
    monkeypatch.chdir(tmp_path)
    bytes_of = {}
    for kind, executor in (("plain", InProcess(work)), ("cluster", RayActors(work))):
        Path(kind).mkdir()
        jobs = [
            Job(scene.name, Path(kind) / scene.name, (("keep_clear", today.name),))
            for scene, today in zip(scenes, made, strict=True)
        ]
        assert [outcome.error for outcome in executor.run(jobs)] == [None] * 2
        bytes_of[kind] = [job.out.read_bytes() for job in jobs]
        with open_scene(jobs[0].out) as written:
            assert "today-s0.tif" in written.tags["SAROPT_KEEP_CLEAR"]
    assert bytes_of["cluster"] == bytes_of["plain"]


def test_errors_come_as_lines(ray: Any, make_translator: Factory, make_scene: Factory, tmp_path: Path) -> None:
    (tmp_path / "bad.tif").write_text("no raster")
    jobs = jobs_in(tmp_path / "out", [make_scene(64, 64), tmp_path / "bad.tif"])
    outcomes = {outcome.job.out.name: outcome.error for outcome in RayActors(Work(str(make_translator())), 2).run(jobs)}
    assert outcomes["scene.tif"] is None
    assert "bad.tif: is not a raster" in str(outcomes["bad.tif"])
    with pytest.raises(SaroptError, match="neither a file nor a bundled"):
        list(RayActors(Work("nothing")).run(jobs))


def test_where_no_cluster_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, and soon: Ray itself would wait for it."""
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'saropt[ray]'")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("Ray waits for what is not there"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for address in (f"127.0.0.1:{port}", f"ray://localhost:{port}", f"[::1]:{port}", f"nowhere.invalid:{port}"):
        with pytest.raises(SaroptError, match=f"{re.escape(address)}: no Ray cluster answers there"):
            connect(address, None)


def test_files_are_named_so_that_workers_find_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.tif", "dem.tif"):
        Path(name).touch()
    address = "https://example.org/b.tif?sig=1"
    given = TranslateOptions(dem="dem.tif", reference_sar=("a.tif", address), inputs={"other": Path("a.tif")})
    found = _work_from_here(Work("s1-world", translate=given))
    assert found.model == "s1-world"
    assert found.translate.dem == str(tmp_path / "dem.tif")
    assert found.translate.reference_sar == (str(tmp_path / "a.tif"), address)
    assert found.translate.inputs == {"other": tmp_path / "a.tif"}
