"""The executor that the page shows runs jobs."""

from __future__ import annotations

import signal
from pathlib import Path

from ..docs.examples import catalog_of, write_page
from ..docs.pages import PAGES
from .work import HOLDS, Told, job, log


def test_the_example_runs_jobs_and_stops(tmp_path: Path) -> None:
    page = PAGES["executors.md"]
    write_page(page, tmp_path)
    executor = catalog_of(page, tmp_path).create("executor", "one-by-one").build()
    told = Told().run(executor, job(tmp_path, "a", ""), job(tmp_path, "b", "import sys; sys.exit(2)"))
    assert (told.started, told.ended, told.most) == (["a", "b"], {"a": 0, "b": 2}, 1)
    long = job(tmp_path, "long", HOLDS + "time.sleep(60)")
    told = Told(signal_when=lambda: signal.SIGTERM if log(long) else 0).run(executor, long, job(tmp_path, "c", ""))
    assert told.ended == {"long": -signal.SIGTERM}
