"""A job's process: what it is given, how it is ended, and that it never outlives its starter."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import pytest

from ganlab.errors import GanlabError
from ganlab.jobs import describe_end, is_lost, lock_patience_s, note, start
from ganlab.track.folder import RunFolder

from .work import HOLDS, is_alive, job, log, wait_until

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes through /proc")


def test_a_job_has_its_threads_and_variables_and_adds_to_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("INHERITED", "yes")
    program = "import os; print(*(os.environ[name] for name in ('OMP_NUM_THREADS', 'INHERITED', 'OURS')))"
    for threads in (1, 3):
        made = job(tmp_path / "deep", "it", program, threads=threads, environment={"OURS": "set"})
        with start(made) as process:
            assert process.wait() == 0
    note(made, "a line")
    assert log(made) == "1 yes set\n3 yes set\nganlab: a line\n"


def test_a_job_has_a_session_of_its_own_and_works_where_it_is_told(tmp_path: Path) -> None:
    made = job(tmp_path, "it", "import os; print(os.getsid(0) == os.getpid(), os.getcwd())")
    with start(made, folder=tmp_path) as process:
        assert process.wait() == 0
    assert log(made) == f"True {tmp_path}\n"


def test_modules_are_looked_for_in_the_working_folder_only_if_the_starter_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path not in ("", str(tmp_path))])
    Path("decoy.py").touch()
    made = job(tmp_path, "it", "import decoy")
    for path, code in (([], 1), ([""], 0)):
        monkeypatch.setattr(sys, "path", path + sys.path)
        assert start(made).wait() == code, log(made)


def test_what_cannot_be_started_or_written_is_said_in_a_line(tmp_path: Path) -> None:
    made = job(tmp_path, "it", "")
    with pytest.raises(GanlabError, match="job it: cannot start /no/such/program: No such file"):
        start(type(made)("it", ("/no/such/program",), made.log))
    (tmp_path / "file").touch()
    with pytest.raises(GanlabError, match=r"job it: cannot write .*file/it.log: "):
        start(job(tmp_path / "file", "it", ""))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stop_lets_a_job_end_in_its_own_way(tmp_path: Path, number: signal.Signals, code: int) -> None:
    handlers = "import signal, sys; [signal.signal(n, lambda n, _: sys.exit(128 + n)) for n in (2, 15)]; "
    made = job(tmp_path, "it", handlers + HOLDS + "time.sleep(60)")
    with start(made) as process:
        wait_until(lambda: "up" in log(made))
        process.stop(number, grace_s=20)
        assert process.wait() == code


def test_a_job_that_does_not_end_when_asked_is_killed_after_the_grace(tmp_path: Path) -> None:
    made = job(tmp_path, "it", "import signal; signal.signal(15, signal.SIG_IGN); " + HOLDS + "time.sleep(60)")
    with start(made) as process:
        wait_until(lambda: "up" in log(made))
        process.stop(signal.SIGTERM, grace_s=0.5)
        assert process.wait(0.2) is None
        assert process.wait(10) == -signal.SIGKILL


@pytest.mark.parametrize("end", ["pass", "os.kill(os.getpid(), 9)"])
def test_what_a_job_leaves_behind_is_ended_with_it(tmp_path: Path, end: str) -> None:
    program = f"import os, subprocess; print(subprocess.Popen(['sleep', '60']).pid, flush=True); {end}"
    made = job(tmp_path, "it", program)
    process = start(made)
    process.wait()
    wait_until(lambda: not is_alive(int(log(made))), 5)


def test_an_exception_in_the_starter_leaves_nothing_running(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), start(job(tmp_path, "it", "import time; time.sleep(60)")) as process:
        raise KeyboardInterrupt
    assert process.poll() == -signal.SIGKILL


def test_ctrl_c_is_heard_by_a_job_whose_starter_blocks_and_ignores_it(tmp_path: Path) -> None:
    made = job(tmp_path, "it", HOLDS + "time.sleep(60)")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process = start(made)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        signal.signal(signal.SIGINT, before)
    with process:
        wait_until(lambda: "up" in log(made))
        process.stop(signal.SIGINT)
        assert process.wait(10) == -signal.SIGINT
    assert "KeyboardInterrupt" in log(made)


@pytest.mark.parametrize(
    ("code", "lost"),
    [(0, False), (1, False), (2, False), (3, True), (130, False), (143, False), (137, True), (-signal.SIGKILL, True),
     (-signal.SIGSEGV, True), (-signal.SIGTERM, False), (-signal.SIGINT, False)],
)  # fmt: skip
def test_lost_is_what_a_signal_killed_unless_it_asked_for_the_end(code: int, lost: bool) -> None:
    assert is_lost(code) == lost


def test_ends_are_described() -> None:
    assert describe_end(2) == "ended with exit code 2"
    assert describe_end(-9) == "was ended by SIGKILL"
    assert describe_end(-200) == "was ended by signal 200"


def test_patience_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RunFolder.create(tmp_path).lock():
        monkeypatch.setenv("GANLAB_LOCK_PATIENCE_S", "0.1")
        began = time.monotonic()
        with pytest.raises(GanlabError, match="in use by another process"):
            RunFolder(tmp_path).lock()
        assert time.monotonic() - began < 4
    for wrong in ("soon", "-1", "nan", "inf"):
        monkeypatch.setenv("GANLAB_LOCK_PATIENCE_S", wrong)
        with pytest.raises(GanlabError, match=f"GANLAB_LOCK_PATIENCE_S: expected a number of seconds.*{wrong}"):
            lock_patience_s(5)
