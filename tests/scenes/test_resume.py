"""SceneWriter after an interrupt, a killed process and on a full disk."""

import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import rasterio
from rio_cogeo.cogeo import cog_validate

from saropt.errors import InputError
from saropt.scenes import SceneWriter


def smooth(count=2, height=700, width=1100):
    rows, cols = np.mgrid[:height, :width]
    return np.stack([(rows // 4 + cols // 8 + 3 * band) % 120 for band in range(count)]).astype(np.uint16)


def read_all(path):
    with rasterio.open(path) as dataset:
        return dataset.read()


def leftovers(folder):
    return sorted(entry.name for entry in folder.iterdir())


def open_writer(folder, array, **extra):
    count, height, width = array.shape
    names = [f"b{band}" for band in range(count)]
    form = {"width": width, "height": height, "band_names": names, "dtype": array.dtype}
    return SceneWriter(folder / "out.tif", **(form | extra))


def interrupt(folder, array, key):
    with open_writer(folder, array, resume_key=key) as writer:
        writer.write(0, 0, array[:, :300], key=0)
        writer.write(300, 0, array[:, 300:400], key=1)
        raise KeyboardInterrupt


def test_interrupt_then_resume(tmp_path):
    array = smooth()
    with pytest.raises(KeyboardInterrupt):
        interrupt(tmp_path, array, "k1")
    assert leftovers(tmp_path) == [".out.tif.part", ".out.tif.part.json"]
    kept = (tmp_path / ".out.tif.part").read_bytes()
    for other in ({"resume_key": "k2"}, {"resume_key": "k1", "dtype": "float32"}, {"resume_key": "k1", "height": 701}):
        with pytest.raises(InputError, match=r"other settings; start over without resume"):
            open_writer(tmp_path, array, resume=True, **other)
    assert (tmp_path / ".out.tif.part").read_bytes() == kept
    with open_writer(tmp_path, array, resume=True, resume_key="k1") as writer:
        assert writer.completed == {0, 1}
        writer.write(400, 0, array[:, 400:], key=2)
        writer.finish()
    np.testing.assert_array_equal(read_all(tmp_path / "out.tif"), array)
    assert leftovers(tmp_path) == ["out.tif"]


def test_interrupt_without_a_key_keeps_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        interrupt(tmp_path, smooth(), None)
    assert leftovers(tmp_path) == []


def test_without_resume_stale_parts_go(tmp_path):
    array = smooth()
    with pytest.raises(KeyboardInterrupt):
        interrupt(tmp_path, array, "k1")
    (tmp_path / ".out.tif.part.tif.ovr.tmp").write_bytes(b"half")
    with open_writer(tmp_path, array, resume_key="k1") as writer:
        assert writer.completed == set()
        writer.finish()
    assert not read_all(tmp_path / "out.tif").any()
    assert leftovers(tmp_path) == ["out.tif"]


@pytest.mark.parametrize("damage", [b"", b'{"resume_key"', None])
def test_a_half_written_journal(tmp_path, damage):
    array = smooth()
    with pytest.raises(KeyboardInterrupt):
        interrupt(tmp_path, array, "k1")
    journal = tmp_path / ".out.tif.part.json"
    journal.write_bytes(journal.read_bytes() + b"17" if damage is None else damage)
    known = {0, 1} if damage is None else set()
    for added in (2, 3):
        writer = open_writer(tmp_path, array, resume=True, resume_key="k1")
        assert writer.completed == known
        writer.write(0, 0, array, key=added)
        writer.suspend()
        known.add(added)


def test_damaged_pixels_and_lines_are_made_again(tmp_path):
    array = smooth()
    for damage, known in ((("", 350 * 1100 * 4 + 7), {0}), ((".json", -9), {0}), ((".json", 3), set())):
        (tmp_path / "out.tif").unlink(missing_ok=True)
        with pytest.raises(KeyboardInterrupt):
            interrupt(tmp_path, array, "k1")
        path = tmp_path / f".out.tif.part{damage[0]}"
        content = bytearray(path.read_bytes())
        content[damage[1]] ^= 1
        path.write_bytes(content)
        with open_writer(tmp_path, array, resume=True, resume_key="k1") as writer:
            assert writer.completed == known
            for key, rows in enumerate((slice(0, 300), slice(300, 400), slice(400, None))):
                if key not in known:
                    writer.write(rows.start, 0, array[:, rows], key=key)
            writer.finish()
        np.testing.assert_array_equal(read_all(tmp_path / "out.tif"), array)


def test_a_key_of_several_parts_falls_with_any_of_them(tmp_path):
    array = smooth()
    writer = open_writer(tmp_path, array, resume_key="k")
    writer.write(0, 0, array[:, :350, :700])
    writer.write(0, 700, array[:, :350, 700:], key=0)
    writer.write(350, 0, array[:, 350:], key=1)
    writer.suspend()
    path = tmp_path / ".out.tif.part"
    content = bytearray(path.read_bytes())
    content[(20 * 1100 + 30) * 4] ^= 8
    path.write_bytes(content)
    writer = open_writer(tmp_path, array, resume=True, resume_key="k")
    assert writer.completed == {1}
    writer.abandon()


SCRIPT = """
import sys, numpy as np
from saropt.scenes import SceneWriter
folder, resume, limit = sys.argv[1], sys.argv[2] == "resume", int(sys.argv[3])
array = np.random.default_rng(1).normal(size=(2, 900, 600)).astype(np.float32)
with SceneWriter(folder + "/out.tif", width=600, height=900, band_names=["VV", "VH"], dtype="float32",
                 resume=resume, resume_key="same", sync_seconds=0) as writer:
    print("completed", len(writer.completed), flush=True)
    for number in range(9):
        if number in writer.completed:
            continue
        writer.write(100 * number, 0, array[:, 100 * number : 100 * number + 100], key=number)
        if number == limit:
            print("written", flush=True)
            sys.stdin.read()
    writer.finish()
"""


def test_killed_and_resumed_equals_uninterrupted(tmp_path):
    for name in ("killed", "whole"):
        (tmp_path / name).mkdir()

    def start(name, resume, limit):
        arguments = [sys.executable, "-c", SCRIPT, str(tmp_path / name), resume, str(limit)]
        return subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    with start("killed", "new", 4) as process:
        assert process.stdout.readline() == "completed 0\n"
        assert process.stdout.readline() == "written\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "out.tif").exists()
    for name, completed in (("killed", 5), ("whole", 0)):
        with start(name, "resume", -1) as process:
            assert process.stdout.readline() == f"completed {completed}\n"
        assert process.returncode == 0
        assert leftovers(tmp_path / name) == ["out.tif"]
    assert (tmp_path / "killed" / "out.tif").read_bytes() == (tmp_path / "whole" / "out.tif").read_bytes()


FULL_DISK = """
import resource, signal, sys
import numpy as np
from saropt.errors import InputError
from saropt.scenes import SceneWriter
folder, share, early = sys.argv[1], float(sys.argv[2]), sys.argv[3] == "early"
array = np.random.default_rng(1).integers(0, 255, (3, 1500, 1500), dtype=np.uint8)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
def fill_disk():
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(share * array.nbytes),) * 2)
if early:
    fill_disk()
try:
    with SceneWriter(folder + "/out.tif", width=1500, height=1500, band_names=["r", "g", "b"], dtype="uint8",
                     overwrite=True, resume_key="k") as writer:
        print("open")
        fill_disk()
        writer.write(0, 0, array)
        print("written")
        writer.finish()
        print("finished")
except InputError as error:
    print("refused", error)
"""


@pytest.mark.parametrize("early", ["early", "late"])
@pytest.mark.parametrize("share", [0.5, 1.0, 1.05, 1.1, 1.2, 1.3])
def test_full_disk_at_every_stage(tmp_path, share, early):
    (tmp_path / "out.tif").write_bytes(b"old")
    arguments = [sys.executable, "-c", textwrap.dedent(FULL_DISK), str(tmp_path), str(share), early]
    lines = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.splitlines()
    stages = ["open"] * (share >= 1 or early == "late") + ["written"] * (share >= 1)
    assert leftovers(tmp_path) == ["out.tif"]
    if share > 1.25:
        assert lines == [*stages, "finished"]
        assert cog_validate(tmp_path / "out.tif")[0]
    else:
        assert lines[:-1] == stages
        assert lines[-1].startswith(f"refused {tmp_path / 'out.tif'}: cannot be written: ")
        assert (tmp_path / "out.tif").read_bytes() == b"old"
