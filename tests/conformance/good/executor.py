"""An executor without faults."""

import attrs

import ganlab
from ganlab.jobs import start


@attrs.frozen
class OneByOne:
    """Runs each job as a process, one after the other."""

    def build(self):
        return OneByOneExecutor()


class OneByOneExecutor:
    def run(self, jobs, *, started, ended, stop):
        for job in jobs:
            if stop():
                return
            with start(job) as process:
                started(job)
                while (code := process.wait(0.05)) is None:
                    if number := stop():
                        process.stop(number)
                ended(job, code)


@ganlab.hookimpl
def register_executors(register):
    register("one-by-one", OneByOne, summary="one job after the other")
