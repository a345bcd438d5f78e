"""An executor."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from ganlab.interfaces import Job
from ganlab.jobs import is_lost, start


@attrs.frozen
class Backwards:
    """One job at a time, the last first; one that was lost is started once more."""

    def build(self) -> Backwards:
        """It has no state."""
        return self

    def run(
        self,
        jobs: Sequence[Job],
        *,
        started: Callable[[Job], None],
        ended: Callable[[Job, int], None],
        stop: Callable[[], int],
    ) -> None:
        """See `ganlab.interfaces.BuiltExecutor`."""
        waiting = [(job, 1) for job in jobs]
        while waiting and not stop():
            job, retries = waiting.pop()
            asked = 0
            with start(job) as process:
                started(job)
                while (code := process.wait(0.1)) is None:
                    if (number := stop()) and number != asked:
                        asked = number
                        process.stop(number)
            if is_lost(code) and retries and not asked:
                waiting.append((job, retries - 1))
            else:
                ended(job, code)
