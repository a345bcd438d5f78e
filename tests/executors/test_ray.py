"""The `ray` executor on clusters of real processes: lost machines and workers, stopping, and what it leaves alone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ganlab.errors import GanlabError
from ganlab.interfaces import Job
from ganlab.track.folder import RunFolder
from ganlab_executors.components import Local, Ray

from ..clusters import machine_of, raylet
from ..train.tiny import TINY, assert_equal_runs, write_recipe
from .test_ending import lines, training
from .work import HOLDS, Told, is_alive, job, log, wait_until

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks through /proc")]


def executor(cluster: Any, **settings: Any) -> Any:
    return Ray(address=cluster.address, **settings).build()


def trainings(recipe: Path, home: Path) -> list[Job]:
    """Four trainings of different seeds."""
    return [
        Job(
            f"seed-{seed}",
            (*training(recipe, home / f"seed-{seed}"), "--set", f"run.seed={seed}"),
            str(home / "logs" / f"seed-{seed}.log"),
        )
        for seed in range(4)
    ]


@pytest.mark.parametrize("how", ["removed", "killed"])
def test_a_machine_lost_in_the_middle_changes_nothing_but_time(tmp_path: Path, cluster: Any, how: str) -> None:
    recipe = write_recipe(tmp_path, TINY.replace("images = 400", "images = 1600"))
    lost: list[str] = []

    def lose_a_machine() -> int:
        for made in jobs if not lost else ():
            folder = tmp_path / "ray" / made.name
            if made.name in told.running and lines(folder) >= 3 and (machine := machine_of(cluster, str(folder))):
                lost.append(made.name)
                if how == "removed":
                    cluster.remove_node(machine, allow_graceful=False)
                else:
                    os.kill(raylet(machine), signal.SIGKILL)
                cluster.add_node(num_cpus=1, **cluster.small)
                break
        return 0

    jobs = trainings(recipe, tmp_path / "ray")
    told = Told(signal_when=lose_a_machine)
    told.run(executor(cluster), *jobs)
    logs = "\n".join(map(log, jobs))
    assert told.ended == {made.name: 0 for made in jobs}, logs
    assert lost, "the trainings were over too soon"
    assert told.started.count(lost[0]) >= 2, "it was on the machine that was lost"
    assert "the worker or its machine was lost" in logs
    Told().run(Local().build(), *trainings(recipe, tmp_path / "local"))
    for made in jobs:
        assert_equal_runs(RunFolder.open(tmp_path / "local" / made.name), RunFolder.open(tmp_path / "ray" / made.name))


def test_a_killed_worker_or_process_is_tried_again_and_a_failure_is_not(tmp_path: Path, cluster: Any) -> None:
    worker = (
        "import os, time; first = not os.path.exists('{0}'); open('{0}', 'w').close(); "
        "first and os.kill(os.getppid() if {1} else os.getpid(), 9); time.sleep(1)"
    )
    jobs = [
        job(tmp_path, "worker", worker.format(tmp_path / "one", True)),
        job(tmp_path, "process", worker.format(tmp_path / "two", False)),
        job(tmp_path, "failure", "import sys; sys.exit(2)"),
    ]
    told = Told().run(executor(cluster), *jobs)
    assert told.ended == {"worker": 0, "process": 0, "failure": 2}
    assert sorted(told.started) == ["failure", "process", "process", "worker", "worker"]
    assert log(jobs[0]).startswith("ganlab: the worker or its machine was lost (")
    assert log(jobs[1]) == "ganlab: the process was ended by SIGKILL; retry 1 of 3\n"


def test_a_job_lost_too_often_has_ended(tmp_path: Path, cluster: Any) -> None:
    told = Told().run(executor(cluster, retries=1), job(tmp_path, "it", "import os; os.kill(os.getpid(), 9)"))
    assert (told.started, told.ended) == (["it", "it"], {"it": -9})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stop_ends_what_runs_in_an_orderly_way_and_calls_the_rest_off(
    tmp_path: Path, cluster: Any, number: signal.Signals
) -> None:
    handlers = "import signal; [signal.signal(n, lambda n, _: sys.exit(128 + n)) for n in (2, 15)]; "
    program = HOLDS.replace("print", handlers + "print") + "time.sleep(60)"
    jobs = [job(tmp_path, f"job-{n}", program) for n in range(4)]
    before = [signal.signal(signal.SIGTERM, signal.default_int_handler), signal.getsignal(signal.SIGINT)]
    told = Told(signal_when=lambda: number if sum("up" in log(made) for made in jobs) >= 2 else 0)
    try:
        told.run(executor(cluster), *jobs)
        assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler, "Ray's own is gone"
        assert signal.getsignal(signal.SIGINT) is before[1]
    finally:
        signal.signal(signal.SIGTERM, before[0])
    assert len(told.ended) == 2, "there are two CPUs"
    assert set(told.ended) == set(told.started)
    assert set(told.ended.values()) == {128 + number}


def test_a_job_gets_what_it_asks_for_and_works_where_the_executor_does(
    tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///of-the-driver.db")
    monkeypatch.chdir(tmp_path)
    cluster.add_node(num_cpus=3, num_gpus=2, **cluster.small)
    names = ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "MLFLOW_TRACKING_URI", "OURS")
    program = f"import os; print(os.getcwd(), *(os.environ[name] for name in {names}), sep='|')"
    made = job(tmp_path, "it", program, threads=3, gpus=2, environment={"OURS": "set"})
    assert Told().run(executor(cluster), made).ended == {"it": 0}
    assert log(made) == f"{tmp_path}|3|0,1|sqlite:///of-the-driver.db|set\n"
    with pytest.raises(GanlabError, match="no machine there has 1 CPUs and 3 GPUs for big"):
        Told().run(executor(cluster), job(tmp_path, "big", "", gpus=3))


def test_a_cluster_of_others_is_left_running(tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    assert Told().run(Ray().build(), job(tmp_path, "it", "")).ended == {"it": 0}
    assert not ray.is_initialized()
    assert is_alive(raylet(cluster.nodes[0]))
    ray.init(cluster.address, log_to_driver=False)
    Told().run(Ray().build(), job(tmp_path, "again", ""))
    assert ray.is_initialized(), "a connection that was there stays"


STARTER = """
import sys
from ganlab.interfaces import Job
from ganlab_executors.components import Ray

logs = sys.argv[1:3]
jobs = [Job(log, (sys.executable, "-c", sys.argv[3]), log) for log in logs]
Ray(at_once=2).build().run(jobs, started=lambda job: None, ended=lambda job, code: None, stop=lambda: 0)
"""


def processes_of_ray() -> set[int]:
    listed = subprocess.run(["pgrep", "-f", "raylet|gcs_server|ray::"], capture_output=True, text=True, check=False)
    return set(map(int, listed.stdout.split()))


def test_without_a_cluster_one_is_started_for_this_machine_alone_and_ends_with_us_even_killed(tmp_path: Path) -> None:
    before = processes_of_ray()
    program = HOLDS.replace("'up'", "__import__('os').getpid()") + "time.sleep(300)"
    logs = [tmp_path / "one.log", tmp_path / "two.log"]
    words = [sys.executable, "-c", STARTER]
    with subprocess.Popen([*words, *map(str, logs), program]) as process:
        try:
            wait_until(lambda: all(path.exists() and path.read_text().endswith("\n") for path in logs), 100)
            pids = [int(path.read_text()) for path in logs]
            started = {process.pid, *processes_of_ray()} - before
            assert len(started) > 4
            assert not listening_beyond_loopback(started)
            others = [str(tmp_path / f"other-{number}") for number in range(2)]
            subprocess.run([*words, *others, ""], check=True, timeout=200)  # a second one has a cluster of its own
            assert all(map(is_alive, pids)), "and leaves the first alone"
        finally:
            process.kill()
    wait_until(lambda: not any(map(is_alive, pids)), 20)
    wait_until(lambda: not any(map(is_alive, started)), 150)  # Ray's agents look for its other processes now and then


def listening_beyond_loopback(pids: set[int]) -> list[str]:
    """Listening TCP sockets of the processes that are bound to other addresses, as /proc has them."""
    inodes = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                inodes.add(os.readlink(link).removeprefix("socket:[").removesuffix("]"))
            except OSError:
                continue
    found = []
    loopback = ("0100007F", "0" * 16 + "FFFF00000100007F", "0" * 24 + "01000000")
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes and fields[1].split(":")[0] not in loopback:
                found.append(fields[1])
    return found


def test_auto_finds_what_is_named_or_was_started_and_answers(tmp_path: Path) -> None:
    from ganlab_executors.cluster import find_cluster

    environment = {"RAY_TMPDIR": str(tmp_path)}
    assert find_cluster(environment) == "local"
    (tmp_path / "ray").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        (tmp_path / "ray/ray_current_cluster").write_text(f"{address}\n")
        assert find_cluster(environment) == address
    assert find_cluster(environment) == "local", "nobody is there any more"
    assert find_cluster({**environment, "RAY_ADDRESS": "there:1"}) == "there:1"


def test_a_cluster_that_is_not_there_is_said_in_a_line(tmp_path: Path) -> None:
    for address in ("127.0.0.1:1", "127.0.0.1:99999", "ray://127.0.0.1:1", "somewhere"):
        with pytest.raises(GanlabError, match=f"executor ray: cannot join the cluster at {address}: ") as caught:
            Told().run(Ray(address=address).build(), job(tmp_path, "it", ""))
        assert "\n" not in str(caught.value)
