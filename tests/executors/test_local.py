"""The `local` executor: how many at once, GPUs as slots, what is started again and what is not, and stopping."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

import ganlab
from ganlab.components import create_component
from ganlab.errors import GanlabError, RecipeError
from ganlab_executors.components import Local
from ganlab_executors.slots import usable_cores

from .work import HOLDS, Told, is_alive, job, log, wait_until

PROBE = """
import os, sys, time
folder, most = sys.argv[1], 0
mine = os.path.join(folder, str(os.getpid()))
open(mine, "w").close()
for _ in range(20):
    most = max(most, len(os.listdir(folder)))
    time.sleep(0.03)
os.remove(mine)
print(most)
"""
"""Says how many processes like itself it saw at the same time."""


@pytest.mark.parametrize("at_once", [1, 3])
def test_so_many_run_at_once_and_never_more(tmp_path: Path, at_once: int) -> None:
    (tmp_path / "here").mkdir()
    jobs = [job(tmp_path, f"job-{number}", PROBE) for number in range(5)]
    jobs = [type(made)(made.name, (*made.command, str(tmp_path / "here")), made.log) for made in jobs]
    told = Told().run(Local(at_once=at_once).build(), *jobs)
    assert told.ended == {made.name: 0 for made in jobs}
    assert told.started == [made.name for made in jobs]
    assert told.most == at_once
    seen = [int(log(made)) for made in jobs]
    assert max(seen) == at_once


def test_by_default_as_many_run_as_the_cores_allow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert usable_cores() >= 1
    cores = 2
    monkeypatch.setattr("ganlab_executors.local.usable_cores", lambda: cores)
    for threads, most in ((1, cores), (cores, 1), (cores + 1, 1), (0, 1)):
        jobs = [
            job(tmp_path, f"{threads}-{n}", "import time; time.sleep(.3)", threads=threads) for n in range(cores + 1)
        ]
        assert Told().run(Local().build(), *jobs).most == most


def test_gpus_are_given_out_and_back_and_no_two_jobs_have_the_same(tmp_path: Path) -> None:
    program = (
        "import os, time; t = time.time(); time.sleep(.3); print(os.environ['CUDA_VISIBLE_DEVICES'], t, time.time())"
    )
    jobs = [job(tmp_path, f"job-{n}", program, gpus=count) for n, count in enumerate((1, 1, 2, 1, 2, 0))]
    told = Told().run(Local(gpus=(4, 7, 5), at_once=3).build(), *jobs)
    assert set(told.ended.values()) == {0}
    spans: list[tuple[str, float, float]] = []
    for made in jobs:
        *names, came, went = log(made).split()
        gpus = names[0].split(",") if names else []
        assert len(gpus) == made.gpus, "a job that needs none sees none"
        spans += [(gpu, float(came), float(went)) for gpu in gpus]
    assert {gpu for gpu, *_ in spans} == {"4", "7", "5"}
    for gpu, begin, end in spans:
        assert not [s for s in spans if s[0] == gpu and s[1:] != (begin, end) and s[1] < end and begin < s[2]]


def test_by_default_one_job_runs_on_each_visible_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,GPU-1,2,3,4")
    jobs = [job(tmp_path, f"job-{n}", "import os, time; time.sleep(.5); print(os.environ['CUDA_VISIBLE_DEVICES'])",
                gpus=1) for n in range(6)]  # fmt: skip
    told = Told().run(Local().build(), *jobs)
    assert told.most == 5
    assert {log(made).strip() for made in jobs[:5]} == {"0", "GPU-1", "2", "3", "4"}


def test_jobs_without_gpus_keep_what_the_environment_says_where_none_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    made = job(tmp_path, "it", "import os; print('CUDA_VISIBLE_DEVICES' in os.environ)")
    Told().run(Local(gpus=()).build(), made)
    assert log(made) == "False\n"


def test_more_gpus_than_there_are_is_refused_before_anything_starts(tmp_path: Path) -> None:
    told = Told()
    with pytest.raises(GanlabError, match="a job needs 2 GPUs, and there are 1 to give out"):
        told.run(Local(gpus=(0,)).build(), job(tmp_path, "a", ""), job(tmp_path, "b", "", gpus=2))
    assert told.started == []


COUNT = "import os; n = int(os.environ['ENDS_AT']); print('start', flush=True); " \
        "os.kill(os.getpid(), 9) if open(os.environ['LOG']).read().count('start') < n else None"  # fmt: skip
"""Is killed each time it is started, but for the n-th."""


@pytest.mark.parametrize(("ends_at", "retries", "starts", "code"), [(3, 2, 3, 0), (9, 2, 3, -9), (9, 0, 1, -9)])
def test_a_killed_job_is_started_again_so_many_times(
    tmp_path: Path, ends_at: int, retries: int, starts: int, code: int
) -> None:
    environment = {"ENDS_AT": str(ends_at), "LOG": str(tmp_path / "it.log")}
    made = job(tmp_path, "it", COUNT, environment=environment)
    told = Told().run(Local(retries=retries).build(), made)
    assert told.started == ["it"] * starts
    assert told.ended == {"it": code}
    notes = [line for line in log(made).splitlines() if line != "start"]
    again = range(1, starts)
    assert notes == [f"ganlab: the process was ended by SIGKILL; retry {n} of {retries}" for n in again]


def test_failures_of_its_own_are_not_retried_and_stop_no_other(tmp_path: Path) -> None:
    codes = {"first": 2, "second": 1, "third": 143, "fourth": 0, "last": 0}
    jobs = [job(tmp_path, name, f"import sys; sys.exit({code})") for name, code in codes.items()]
    told = Told().run(Local(at_once=2).build(), *jobs)
    assert told.ended == codes
    assert sorted(told.started) == sorted(codes)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stop_ends_all_that_run_in_an_orderly_way_and_starts_no_more(tmp_path: Path, number: signal.Signals) -> None:
    handlers = "import signal; [signal.signal(n, lambda n, _: sys.exit(128 + n)) for n in (2, 15)]; "
    program = HOLDS.replace("print", handlers + "print") + "time.sleep(60)"
    jobs = [job(tmp_path, f"job-{n}", program) for n in range(4)]
    told = Told(signal_when=lambda: number if all("up" in log(made) for made in jobs[:2]) else 0)
    began = time.monotonic()
    told.run(Local(at_once=2).build(), *jobs)
    assert told.ended == {"job-0": 128 + number, "job-1": 128 + number}
    assert told.started == ["job-0", "job-1"]
    assert time.monotonic() - began < 20


def test_stop_kills_what_does_not_end_and_starts_it_no_more(tmp_path: Path) -> None:
    made = job(tmp_path, "it", "import signal; signal.signal(15, signal.SIG_IGN); " + HOLDS + "time.sleep(60)")
    told = Told(signal_when=lambda: signal.SIGTERM if "up" in log(made) else 0)
    told.run(Local(grace_s=0.3).build(), made)
    assert (told.started, told.ended) == (["it"], {"it": -signal.SIGKILL})


def test_a_stop_before_the_first_starts_nothing(tmp_path: Path) -> None:
    told = Told(signal_when=lambda: signal.SIGINT).run(Local().build(), job(tmp_path, "it", ""))
    assert (told.started, told.ended) == ([], {})


def test_one_that_cannot_be_started_lets_the_others_save_and_end_and_is_named(tmp_path: Path) -> None:
    program = "import signal; signal.signal(15, lambda n, _: (print('saved'), sys.exit())); "
    first = job(tmp_path, "first", HOLDS.replace("print", program + "print") + "time.sleep(60)")
    wait = job(tmp_path, "wait", "import os, time\nwhile 'up' not in open(os.environ['LOG']).read(): time.sleep(0.02)",
               environment={"LOG": first.log})  # fmt: skip
    missing = type(first)("missing", ("/no/such/program",), first.log)
    with pytest.raises(GanlabError, match="job missing: cannot start /no/such/program"):
        Told().run(Local(at_once=2).build(), first, wait, missing)
    assert log(first) == "up\nsaved\n"


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes through /proc")
def test_an_interrupted_executor_leaves_nothing_running(tmp_path: Path) -> None:
    made = job(tmp_path, "it", "import os, time; print(os.getpid(), flush=True); time.sleep(60)")

    def stop() -> int:
        if log(made):
            raise KeyboardInterrupt
        return 0

    with pytest.raises(KeyboardInterrupt):
        Told(signal_when=stop).run(Local().build(), made)
    wait_until(lambda: not is_alive(int(log(made))), 5)


@pytest.mark.parametrize("gpus", [[-1], [0, 0]])
def test_wrong_lists_of_gpus_are_refused(gpus: list[int]) -> None:
    registries = ganlab.load_plugins((), {**os.environ, "GANLAB_PLUGINS": ""}).registries
    assert create_component(registries, "executor", {"name": "local", "gpus": [3, 1]}) == Local(gpus=(3, 1))
    with pytest.raises(RecipeError, match=r"executor\.gpus: expected"):
        create_component(registries, "executor", {"name": "local", "gpus": gpus})
