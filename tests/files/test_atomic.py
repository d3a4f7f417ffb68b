"""Files and folders appear whole or not at all; locks are freed by the death of their holder."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from functools import partial

import pytest

from saropt.errors import BusyError, InputError
from saropt.files import Lock, atomic_file, atomic_folder, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


class TestFile:
    @pytest.mark.parametrize("unique", [False, True])
    @pytest.mark.parametrize("sync", [False, True])
    def test_appears_at_the_end(self, tmp_path, unique, sync):
        path = tmp_path / "a.png"
        path.write_text("old")
        with atomic_file(path, suffix=".png", unique=unique, sync=sync) as part:
            assert part.parent == tmp_path
            assert part.name.startswith(".a.png")
            assert part.suffix == ".png"
            part.write_text("new")
            assert path.read_text() == "old"
        assert path.read_text() == "new"
        assert names(tmp_path) == ["a.png"]

    @pytest.mark.parametrize("error", [RuntimeError("x"), KeyboardInterrupt()])
    def test_an_error_leaves_the_older_file(self, tmp_path, error):
        path = tmp_path / "a.txt"
        path.write_text("old")

        def fail():
            with atomic_file(path) as part:
                part.write_text("half")
                raise error

        with pytest.raises(type(error)):
            fail()
        assert path.read_text() == "old"
        assert names(tmp_path) == ["a.txt"]

    def test_failures_of_the_system_are_one_line(self, tmp_path):
        with pytest.raises(InputError, match=r"a\.txt: cannot be written: No such file"):
            write_text(tmp_path / "absent" / "a.txt", "x")
        (tmp_path / "folder").mkdir()
        with pytest.raises(InputError, match="folder: cannot be written"):
            write_text(tmp_path / "folder", "x")
        assert names(tmp_path) == ["folder"]

    def test_a_failure_inside_names_the_file_that_was_asked_for(self, tmp_path):
        path = tmp_path / "a.png"
        with (
            pytest.raises(InputError, match=r"/a\.png: cannot be written: No space left"),
            atomic_file(path) as outer,
            atomic_file(outer),
        ):
            raise OSError(28, "No space left on device")
        assert names(tmp_path) == []

    def test_unique_names_do_not_meet(self, tmp_path):
        with (
            atomic_file(tmp_path / "a", unique=True) as one,
            atomic_file(tmp_path / "a", unique=True) as other,
        ):
            assert one != other
            one.write_text("1")
            other.write_text("2")
        assert (tmp_path / "a").read_text() == "1"


class TestFolder:
    @pytest.mark.parametrize("there", [False, True])
    def test_appears_at_the_end(self, tmp_path, there):
        path = tmp_path / "out"
        if there:
            path.mkdir()
        with atomic_folder(path) as part:
            (part / "a").write_text("x")
            assert not (path / "a").exists()
        assert names(path) == ["a"]
        assert names(tmp_path) == ["out"]

    def test_an_error_leaves_nothing(self, tmp_path):
        def fail():
            with atomic_folder(tmp_path / "out") as part:
                (part / "a").write_text("x")
                raise OSError(28, "No space left on device")

        with pytest.raises(InputError, match="out: cannot be written: No space left"):
            fail()
        assert names(tmp_path) == []

    def test_what_is_there_stays(self, tmp_path):
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "mine").write_text("x")
        with pytest.raises(InputError, match="exists and is not an empty folder"), atomic_folder(tmp_path / "out"):
            pass
        assert names(tmp_path / "out") == ["mine"]

    @pytest.mark.parametrize("there", [False, True])
    def test_files_of_the_same_names_are_replaced(self, tmp_path, there):
        path = tmp_path / "out"
        if there:
            path.mkdir()
            (path / "sub").mkdir()
            for name in ("a", "mine", "sub/b", "sub/mine"):
                (path / name).write_text("old")
        with atomic_folder(path, replace=True) as part:
            (part / "sub").mkdir()
            (part / "a").write_text("new")
            (part / "sub" / "b").write_text("new")
            assert not there or (path / "a").read_text() == "old"
        assert (path / "a").read_text() == (path / "sub" / "b").read_text() == "new"
        assert names(path) == (["a", "mine", "sub"] if there else ["a", "sub"])
        assert names(path / "sub") == (["b", "mine"] if there else ["b"])
        assert names(tmp_path) == ["out"]

    @pytest.mark.parametrize("replace", [False, True])
    def test_what_a_killed_process_has_left_goes(self, tmp_path, replace):
        path = tmp_path / "out"
        if replace:
            path.mkdir()
        code = f"""
import os
from saropt.files import atomic_folder
with atomic_folder({str(path)!r}, replace={replace}) as part:
    (part / "half").write_text("x")
    os._exit(9)
"""
        assert subprocess.run([sys.executable, "-c", code]).returncode == 9
        assert list(tmp_path.rglob("half"))
        with atomic_folder(path, replace=replace) as part:
            (part / "a").write_text("x")
        assert names(path) == ["a"]
        assert names(tmp_path) == ["out"]

    @pytest.mark.parametrize("replace", [False, True])
    def test_one_writer_at_a_time(self, tmp_path, replace):
        path = tmp_path / "out"
        if replace:
            path.mkdir()
        with atomic_folder(path, replace=replace) as part:
            with (
                pytest.raises(BusyError, match="out: is being written by another process"),
                atomic_folder(path, replace=replace),
            ):
                pass
            (part / "a").write_text("x")
        assert names(path) == ["a"]

    def test_the_last_file_says_that_all_are_there(self, tmp_path, monkeypatch):
        path = tmp_path / "out"
        path.mkdir()
        (path / "a").write_text("old")
        looks, real = [], os.replace

        def replace(source, to):
            real(source, to)
            looks.append([(name, (path / name).read_text()) for name in names(path) if not name.startswith(".")])

        monkeypatch.setattr(os, "replace", replace)
        with atomic_folder(path, replace=True, last="a") as part:
            for name in "ab":
                (part / name).write_text("new")
        assert looks == [[], [("b", "new")], [("a", "new"), ("b", "new")]]

    @pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(errno.ENOSPC, "No space left on device")])
    @pytest.mark.parametrize("last", [None, "a"])
    @pytest.mark.parametrize("calls", range(1, 8))
    def test_an_error_while_files_are_replaced_leaves_the_earlier_ones(self, tmp_path, monkeypatch, calls, last, error):
        path = tmp_path / "out"
        path.mkdir()
        for name in ("a", "b", "mine"):
            (path / name).write_text("old")
        left = [calls]

        def broken(real, source, *rest, **how):
            left[0] -= 1
            if not left[0]:
                raise error
            return real(source, *rest, **how)

        def write():
            with atomic_folder(path, replace=True, last=last) as part:
                (part / "new").mkdir()
                for name in ("a", "b", "c", "new/d"):
                    (part / name).write_text("new")
                monkeypatch.setattr(os, "replace", partial(broken, os.replace))
                monkeypatch.setattr(os, "mkdir", partial(broken, os.mkdir))

        with pytest.raises((KeyboardInterrupt, InputError)):
            write()
        assert {name: (path / name).read_text() for name in names(path)} == dict.fromkeys(["a", "b", "mine"], "old")

    def test_a_file_in_it_that_cannot_be_written_is_called_by_its_name(self, tmp_path):
        with pytest.raises(InputError, match=r"/out/no/a: cannot be written"), atomic_folder(tmp_path / "out") as part:
            write_text(part / "no" / "a", "x")

    def test_links_come_back_after_an_error(self, tmp_path, monkeypatch):
        (tmp_path / "target").write_text("old")
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "a").symlink_to("../target")
        moves = os.replace

        def fail(source, place):
            if os.path.basename(place) == "b":
                raise OSError(28, "No space left on device")
            moves(source, place)

        def write():
            with atomic_folder(tmp_path / "out", replace=True) as part:
                (part / "a").write_text("new")
                (part / "b").write_text("new")

        monkeypatch.setattr(os, "replace", fail)
        with pytest.raises(InputError):
            write()
        assert (tmp_path / "out" / "a").is_symlink()
        assert (tmp_path / "out" / "a").read_text() == "old"

    def test_nothing_is_replaced_after_an_error(self, tmp_path):
        path = tmp_path / "out"
        path.mkdir()
        (path / "a").write_text("old")

        def fail():
            with atomic_folder(path, replace=True) as part:
                (part / "a").write_text("half")
                raise RuntimeError

        with pytest.raises(RuntimeError):
            fail()
        assert (path / "a").read_text() == "old"
        assert names(tmp_path) == ["out"]

    def test_a_file_is_no_folder(self, tmp_path):
        (tmp_path / "out").write_text("x")
        with (
            pytest.raises(InputError, match="exists and is not an empty folder"),
            atomic_folder(tmp_path / "out", replace=True),
        ):
            pass
        assert (tmp_path / "out").read_text() == "x"


class TestLock:
    def test_one_holder_at_a_time(self, tmp_path):
        path = tmp_path / ".lock"
        with Lock(path, "out", "is busy"):
            with pytest.raises(BusyError, match="out: is busy"):
                Lock(path, "out", "is busy").acquire()
            assert path.exists()
        assert names(tmp_path) == []
        Lock(path, "out", "is busy").acquire().release()

    def test_waits(self, tmp_path):
        held = Lock(tmp_path / ".lock", "out", "is busy").acquire()
        order = []

        def other():
            with Lock(tmp_path / ".lock", "out", "is busy").acquire(wait=True):
                order.append("second")

        thread = threading.Thread(target=other)
        thread.start()
        thread.join(0.3)
        order.append("first")
        held.release()
        thread.join(10)
        assert order == ["first", "second"]

    def test_many_that_come_and_go_never_hold_it_together(self, tmp_path):
        """The file is removed at each release: nobody may hold a removed one while another makes it anew."""
        inside, worst, rounds = [0], [0], [0]
        guard = threading.Lock()

        def work():
            for _ in range(60):
                try:
                    lock = Lock(tmp_path / ".lock", "out", "is busy").acquire()
                except BusyError:
                    continue
                with guard:
                    inside[0] += 1
                    rounds[0] += 1
                    worst[0] = max(worst[0], inside[0])
                with guard:
                    inside[0] -= 1
                lock.release()

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert worst[0] == 1
        assert rounds[0] > 5

    def test_a_killed_holder_frees_it(self, tmp_path):
        script = (
            "import sys, time; from saropt.files import Lock;"
            "lock = Lock(sys.argv[1], 'out', 'is busy').acquire(); print('held', flush=True); time.sleep(60)"
        )
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        path = tmp_path / ".lock"
        with subprocess.Popen(
            [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, env=environment, text=True
        ) as child:
            assert child.stdout.readline().strip() == "held"
            with pytest.raises(BusyError):
                Lock(path, "out", "is busy").acquire()
            child.send_signal(signal.SIGKILL)
            child.wait()
        with Lock(path, "out", "is busy"):
            pass
        assert names(tmp_path) == []
