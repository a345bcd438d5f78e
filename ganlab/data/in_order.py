"""Work on many threads whose results come back one by one, in order, without piling up."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")


@contextmanager
def in_order(work: Callable[[int], T], total: int, workers: int | None) -> Iterator[Iterator[T]]:
    """The results of `work(0)`, `work(1)`, ... in this order, a few ahead of the reader on threads."""
    threads = (os.cpu_count() or 1) if workers is None else workers
    if threads <= 1:
        yield map(work, range(total))
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="ganlab-pack")

    def results() -> Iterator[T]:
        ahead: deque[Future[T]] = deque()
        for i in range(total):
            ahead.append(pool.submit(work, i))
            if len(ahead) > 4 * threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()

    try:
        yield results()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
