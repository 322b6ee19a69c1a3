"""What is written is there as a whole or not at all: interrupted, killed, on a full disk, without permission."""

import errno
import os
import subprocess
import sys

import pytest

from cmir_ref import files
from cmir_ref.errors import InputError
from cmir_ref.files import remove_leftovers, whole_file, whole_folder, write_whole

KILLED = """
import os, signal
from cmir_ref.files import whole_file, whole_folder
with {call} as target:
    {half}
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def path(tmp_path):
    """A file that holds b"old"."""
    (tmp_path / "page.html").write_bytes(b"old")
    return tmp_path / "page.html"


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def run_killed(call, half, path):
    code = KILLED.format(call=call.format(path=str(path)), half=half)
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9


def test_bytes_and_text(path):
    assert write_whole(path, b"\x00new") == path and path.read_bytes() == b"\x00new"
    assert write_whole(str(path), "α\n") == path and path.read_bytes() == "α\n".encode()
    assert names(path.parent) == ["page.html"]


def test_a_file_has_the_permissions_of_any_new_file(tmp_path):
    write_whole(tmp_path / "ours", "x")
    (tmp_path / "theirs").write_text("x")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "theirs").stat().st_mode


def test_a_file_keeps_the_permissions_of_the_one_before(path):
    path.chmod(0o600)
    write_whole(path, "new")
    assert path.stat().st_mode & 0o777 == 0o600 and path.read_text() == "new"


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_one(path, there):
    link = path.with_name("link.html")
    target = path if there else path.with_name("later.html")
    link.symlink_to(target.name)
    write_whole(link, "new")
    assert link.is_symlink() and target.read_text() == "new" and len(names(path.parent)) == 2 + (not there)


@pytest.mark.parametrize("through_a_link", [True, False])
def test_a_pipe_is_no_file_to_replace(path, through_a_link):
    pipe = path.with_name("pipe")
    os.mkfifo(pipe)
    if through_a_link:
        (path.parent / "link").symlink_to("pipe")
    before = names(path.parent)
    with pytest.raises(InputError, match=r"a device or a pipe, not a file"):
        write_whole(path.parent / ("link" if through_a_link else "pipe"), "new")
    assert names(path.parent) == before and pipe.is_fifo()


def test_nobody_sees_a_part(path):
    with whole_file(path) as file:
        file.write(b"half")
        file.flush()
        assert path.read_bytes() == b"old"
        file.write(b" and half")
    assert path.read_bytes() == b"half and half"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError("a bug"), MemoryError])
def test_an_interruption_leaves_the_old_content_and_nothing_else(path, error):
    with pytest.raises(error if isinstance(error, type) else ValueError), whole_file(path) as file:
        file.write(b"half")
        raise error
    assert path.read_bytes() == b"old" and names(path.parent) == ["page.html"]


def test_a_killed_process_leaves_the_old_content(path):
    run_killed("whole_file({path!r})", "target.write(b'half'), target.flush()", path)
    assert path.read_bytes() == b"old"
    leftover, page = names(path.parent)
    assert page == "page.html" and leftover.startswith(".page.html.") and leftover.endswith(".tmp")
    write_whole(path, "new")  # what was left is no obstacle
    remove_leftovers(path.parent)
    assert path.read_bytes() == b"new" and names(path.parent) == ["page.html"]


def test_other_files_are_no_leftovers(tmp_path):
    for name in ("mine.tmp", ".mine.tmp", ".hidden", "page.html"):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert names(tmp_path) == [".hidden", ".mine.tmp", "mine.tmp", "page.html"]


def test_a_full_disk(path, monkeypatch):
    class Full:
        """A file that takes three bytes."""

        def __init__(self, name, mode):
            self.file = open(name, mode)  # noqa: SIM115 - closed below

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def write(self, content):
            self.file.write(content[:3])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "open", Full, raising=False)
    with pytest.raises(InputError) as caught:
        write_whole(path, "too long")
    assert str(caught.value) == f"{path}: cannot be written (No space left on device)"
    assert path.read_bytes() == b"old" and names(path.parent) == ["page.html"]


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
def test_a_real_write_that_fails(path):
    """The system itself refuses to let a file grow beyond 1 000 bytes."""
    code = (
        "import resource, sys; from cmir_ref.files import write_whole\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "write_whole(sys.argv[1], bytes(100_000))"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1].endswith(f"InputError: {path}: cannot be written (File too large)")
    assert path.read_bytes() == b"old" and names(path.parent) == ["page.html"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_what_fails_at_the_end(path, monkeypatch, step):
    def fail(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(InputError, match=r"page\.html: cannot be written \(Input/output error\)"):
        write_whole(path, "new")
    assert path.read_bytes() == b"old" and names(path.parent) == ["page.html"]


def test_no_permission(path, monkeypatch):
    path.parent.chmod(0o500)
    if os.access(path.parent, os.W_OK):  # the superuser may write all the same

        def refuse(name, mode):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)

        monkeypatch.setattr(files, "open", refuse, raising=False)
    try:
        with pytest.raises(InputError, match=r"page\.html: cannot be written \(Permission denied\)"):
            write_whole(path, "new")
        assert path.read_bytes() == b"old" and names(path.parent) == ["page.html"]
    finally:
        path.parent.chmod(0o700)


def test_places_that_cannot_be_written(path):
    for place, cause in (
        (path.parent / "nowhere" / "x", "No such file or directory"),
        (path / "x", "Not a directory"),
        (path.parent, "Is a directory"),
    ):
        with pytest.raises(InputError) as caught:
            write_whole(place, "new")
        assert str(caught.value) == f"{place}: cannot be written ({cause})"
    assert path.read_bytes() == b"old" and names(path.parent) == ["page.html"]


# ---- folders --------------------------------------------------------------------------------------------------------


def test_a_folder_appears_when_it_is_complete(tmp_path):
    with whole_folder(tmp_path / "deep" / "new") as folder:
        (folder / "x").write_text("1")
        assert not (tmp_path / "deep" / "new").exists()
    assert (tmp_path / "deep" / "new" / "x").read_text() == "1" and names(tmp_path / "deep") == ["new"]
    assert (tmp_path / "deep" / "new").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    ("raised", "seen"),
    [(KeyboardInterrupt(), KeyboardInterrupt), (OSError(errno.ENOSPC, "No space left on device"), InputError)],
)
def test_an_unfinished_folder_is_removed(tmp_path, raised, seen):
    with pytest.raises(seen), whole_folder(tmp_path / "new") as folder:
        (folder / "x").write_text("1")
        raise raised
    assert names(tmp_path) == []


def test_a_killed_process_leaves_no_folder_of_that_name(tmp_path):
    run_killed("whole_folder({path!r})", "(target / 'x').write_text('1')", tmp_path / "new")
    assert not (tmp_path / "new").exists()
    with whole_folder(tmp_path / "new"):
        pass
    assert (tmp_path / "new").is_dir()


def test_an_existing_folder_is_left_alone(path):
    for place in (path, path.parent):
        with pytest.raises(InputError, match="exists already"), whole_folder(place):
            raise AssertionError("never entered")
    with pytest.raises(InputError, match=r"new: cannot be written \(File exists\)"), whole_folder(path / "new"):
        raise AssertionError("never entered")
    assert path.read_bytes() == b"old" and names(path.parent) == ["page.html"]
