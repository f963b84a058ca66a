"""Answers: from scored batches to the JSON of each request."""

from __future__ import annotations

import itertools
import json
import logging
import math
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from reviewml.rows.bookkeeping import ResultErrors
from reviewml.rows.roles import visible
from reviewml.serve.loaded_model import LoadedModel

log = logging.getLogger("reviewml.serve")


def answer_requests(
    served: LoadedModel, requests: Sequence[pa.RecordBatch]
) -> list[bytes | Exception]:
    """Predict the rows of several requests at once, and return the answer to each.

    Where that fails, each is predicted alone: one that cannot be must not take others with it.
    """
    try:
        scored = served.predict(pa.concat_batches(requests))
        ends = itertools.accumulate(map(len, requests))
        return [
            _write_answer(served, scored.slice(end - len(request), len(request)))
            for request, end in zip(requests, ends, strict=True)
        ]
    except Exception as error:
        if len(requests) > 1:
            return [answer for alone in requests for answer in answer_requests(served, [alone])]
        # The message may quote a text, and so may a traceback.
        log.error("%s could not predict: %s", served.name, type(error).__name__)
        return [error]


def _write_answer(served: LoadedModel, scored: pa.RecordBatch) -> bytes:
    errors = ResultErrors(scored.schema)
    errors.add(scored)
    answer = {
        "model": served.name,
        "predictions": _to_plain(scored.select(visible(scored.schema.names)).to_pylist()),
        "errors": _to_plain(errors.table().to_pylist()),
    }
    return json.dumps(answer, ensure_ascii=False, allow_nan=False, default=str).encode()


def _to_plain(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    # JSON has no NaN and no infinity.
    return [
        {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in row.items()
        }
        for row in rows
    ]
