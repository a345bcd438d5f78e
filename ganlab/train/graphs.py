"""Whole updates as CUDA graphs: one launch instead of a thousand.

Source: docs.pytorch.org/docs/stable/notes/cuda.html, "Whole-network capture".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch

from ganlab.train.capture import Found

WARM_UP = 3
"""Updates that are done as usual before one is recorded: libraries choose kernels and optimizers make their state."""


class Graphs(Protocol):
    """What makes graphs of work on a device."""

    def warm_up(self, work: Callable[[], Found]) -> Found:
        """Do the work now, as it will be done when it is recorded."""
        ...

    def record(self, work: Callable[[], Found]) -> Callable[[], Found]:
        """Record the work without doing it; what is returned does it, and gives the same tensors each time.

        Raises `RuntimeError` where something in it cannot be recorded.
        """
        ...


class GraphRecording:
    """A kind of update that becomes a graph after a few."""

    def __init__(self, graphs: Graphs) -> None:
        self.refused: str | None = None
        self._graphs = graphs
        self._done = 0
        self._replay: Callable[[], object] | None = None

    def do(self, work: Callable[[], Found]) -> Found:
        """As `ganlab.train.capture.Recording`; results are good until the next time."""
        if self._replay is None and self._done < WARM_UP:
            self._done += 1
            return self._graphs.warm_up(work)
        if self._replay is None:
            try:
                self._replay = self._graphs.record(work)
            except RuntimeError as error:
                self.refused = str(error).partition("\n")[0]
                return work()
        return self._replay()  # type: ignore[return-value]  # the same work each time


class CudaRecorder:
    """Records CUDA graphs, which share one pool of memory and are replayed on the current stream."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self._pool = torch.cuda.graph_pool_handle()

    def begin(self, *, read_only: bool) -> GraphRecording:
        """Of another kind of update."""
        return GraphRecording(self)

    def warm_up(self, work: Callable[[], Found]) -> Found:
        """On the stream of the recordings: libraries keep their workspaces by stream."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            found = work()
        current.wait_stream(self._stream)
        return found

    def record(self, work: Callable[[], Found]) -> Callable[[], Found]:
        """A graph of all that the work launches."""
        graph = torch.cuda.CUDAGraph()
        # Only this thread is held to what a recording allows: others decode images into pinned memory meanwhile.
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
            found = work()

        def replay() -> Found:
            graph.replay()
            return found

        return replay

    def forget(self) -> None:
        """Wait for the last replays, whose memory is given back, and begin another pool."""
        torch.cuda.synchronize(self._device)
        self._pool = torch.cuda.graph_pool_handle()
