"""Batcher: puts requests that arrive together into one prediction."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa

from reviewml.errors import RequestRefused
from reviewml.serve.limits import Limits
from reviewml.serve.loaded_model import LoadedModel
from reviewml.serve.output_columns import answer_requests


@dataclasses.dataclass(frozen=True)
class Waiting:
    """A request that waits for its answer."""

    served: LoadedModel
    batch: pa.RecordBatch
    answer: asyncio.Future[bytes]


class Batcher:
    """Predicts in one thread, and meanwhile gathers the requests of the next batch.

    Requests keep the version of the model that they were checked against: a batch is of one
    version, so where a new one takes over, those that came before finish on the old.

    Parameters
    ----------
    limits
        Of batches, and of what waits.

    Attributes
    ----------
    waiting
        Rows that wait for the batch that is being predicted.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._queue: deque[Waiting] = deque()
        self.waiting = 0
        self._arrived = asyncio.Event()

    async def answer(self, served: LoadedModel, batch: pa.RecordBatch) -> bytes:
        """Return the answer to one request, as JSON.

        Raises
        ------
        RequestRefused
            When too many rows wait already, or it has waited for too long.
        """
        if self.waiting and self.waiting + len(batch) > self._limits.waiting_rows:
            raise RequestRefused("too many rows wait already: retry later.", 503)
        request = Waiting(served, batch, asyncio.get_running_loop().create_future())
        self._queue.append(request)
        self.waiting += len(batch)
        self._arrived.set()
        try:
            async with asyncio.timeout(self._limits.timeout):
                return await request.answer
        except TimeoutError:
            seconds = f"{self._limits.timeout:g} seconds"
            raise RequestRefused(f"no answer within {seconds}: retry later.", 503) from None

    async def run(self) -> None:
        """Predict what arrives, until cancelled; what waits then is refused."""
        loop = asyncio.get_running_loop()
        thread = ThreadPoolExecutor(1, thread_name_prefix="predict")
        try:
            while True:
                await self._gather_requests()
                requests = self._take_batch()
                if requests:
                    batches = [request.batch for request in requests]
                    served = requests[0].served
                    answers = await loop.run_in_executor(thread, answer_requests, served, batches)
                    for request, answer in zip(requests, answers, strict=True):
                        _set_answer(request, answer)
        finally:
            thread.shutdown(wait=False)
            for request in self._queue:
                _set_answer(request, RequestRefused("the service is stopping.", 503))

    async def _gather_requests(self) -> None:
        """Wait for a request, and then a little for others."""
        while not self._queue:
            await self._wait_for_next()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.batch_wait):
                while self._limits.batch_wait > 0 and self.waiting < self._limits.batch_rows:
                    await self._wait_for_next()

    async def _wait_for_next(self) -> None:
        self._arrived.clear()
        await self._arrived.wait()

    def _take_batch(self) -> list[Waiting]:
        """Take requests of one version off the queue, as many as one batch holds."""
        batch: list[Waiting] = []
        rows = 0
        while self._queue and self._has_room(batch, rows):
            request = self._queue.popleft()
            self.waiting -= len(request.batch)
            # Nobody waits any more for one that was given up.
            if not request.answer.done():
                batch.append(request)
                rows += len(request.batch)
        return batch

    def _has_room(self, batch: list[Waiting], rows: int) -> bool:
        following = self._queue[0]
        return not batch or (
            following.served is batch[0].served
            and rows + len(following.batch) <= self._limits.batch_rows
        )


def _set_answer(request: Waiting, answer: bytes | Exception) -> None:
    if request.answer.done():
        return
    if isinstance(answer, bytes):
        request.answer.set_result(answer)
    else:
        request.answer.set_exception(answer)
