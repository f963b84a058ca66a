"""The app: the routes of a served model, and the tasks behind them."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from reviewml import plugins
from reviewml.errors import EnvironmentFailure, ParameterError, RequestRefused
from reviewml.registries.base import Registry, parse_reference
from reviewml.serve.batcher import Batcher
from reviewml.serve.champion import Champion
from reviewml.serve.intake import Intake
from reviewml.serve.limits import Limits
from reviewml.serve.loaded_model import LoadedModel
from reviewml.serve.openapi import write_openapi
from reviewml.serve.page import render_page
from reviewml.serve.request_body import parse_rows

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response

    from reviewml.data.store import EnrichmentStore

LARGE = 2**14
"""Bytes of a body from which it is parsed in a thread: others must not wait for it."""


def create_app(
    registry: Registry,
    reference: str,
    *,
    reviews: Any = None,
    store: Literal["auto"] | str | os.PathLike[str] | EnrichmentStore | None = "auto",
    refresh: float = 30.0,
    reread: float | None = None,
    limits: Limits = Limits(),
) -> FastAPI:
    """Return an ASGI app that serves a model of a registry.

    ``POST /predict`` answers ``{"rows": [{"column": value, …}, …]}``, ``GET /health`` and
    ``GET /model`` say what serves, and ``/docs`` shows it all. The model is loaded in the
    background once the app starts; until then requests are told to come again.

    Parameters
    ----------
    registry
        Where the model is.
    reference
        ``"name@alias"``, ``"name@version"``, or ``"name"`` for the newest. Where it comes to
        stand for another version, that one is loaded, and then takes over; no request is lost.
    reviews
        What steps that look at reviews look at, as in `Pipeline.predict`.
    store
        Where enrichers keep their values, as in `LocalBackend`.
    refresh
        Seconds between two looks at the registry.
    reread
        Seconds after which reviews are read anew; None for once for each version.
    limits
        How much the service takes at once.

    Raises
    ------
    MissingExtra
        When FastAPI is not installed.
    ParameterError
        When a limit, or a time, cannot be one.
    RegistryError
        When no model could have that reference.
    """
    fastapi = plugins.optional("fastapi", "reviewml.serve")
    from reviewml.serve.responses import make_page, make_refusal

    limits.check()
    parse_reference(reference)
    for name, seconds in {"refresh": refresh, "reread": reread}.items():
        if seconds is not None and seconds <= 0:
            raise ParameterError(f"{name}={seconds}: expected some seconds.")
    champion = Champion(registry, reference, reviews=reviews, store=store, reread=reread)
    service = Service(champion, refresh, limits)
    title = f"reviewml: {reference}"
    app: FastAPI = fastapi.FastAPI(
        title=title,
        lifespan=service.lifespan,
        redirect_slashes=False,
        # That of FastAPI loads scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
    )
    # Its columns are those of the model that serves now.
    app.openapi = lambda: write_openapi(title, champion.served, limits)  # type: ignore[method-assign]
    app.state.champion = champion
    app.state.limits = limits
    app.add_route("/predict", service.predict, methods=["POST"])
    app.add_route("/health", service.health, methods=["GET"])
    app.add_route("/model", service.model, methods=["GET"])
    app.add_route("/docs", lambda _: make_page(render_page(app.openapi())), methods=["GET"])
    app.add_exception_handler(RequestRefused, make_refusal)
    return app


class Service:
    """What the routes do.

    Parameters
    ----------
    champion
        The model, as it changes.
    refresh
        Seconds between two looks at the registry.
    limits
        How much is taken at once.
    """

    def __init__(self, champion: Champion, refresh: float, limits: Limits) -> None:
        self.champion = champion
        self.refresh = refresh
        self.limits = limits

    @contextlib.asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        """Follow the champion and predict, as long as the app runs."""
        # Not before: they belong to the loop that the app runs in.
        self.batcher = Batcher(self.limits)
        self.intake = Intake(self.limits)
        # One: what is made of a large body for a moment is many times as large.
        self.parser = ThreadPoolExecutor(1, thread_name_prefix="parse")
        tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self.batcher.run())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.parser.shutdown(wait=False, cancel_futures=True)

    async def _follow(self) -> None:
        while True:
            await asyncio.to_thread(self.champion.look)
            await asyncio.sleep(self.refresh)

    async def predict(self, request: Request) -> Response:
        """Answer ``POST /predict``."""
        from reviewml.serve.responses import Answer

        _check_headers(request)
        served = self._require_served()
        holding = self.intake.open()
        try:
            answer = await self._predict(await holding.read(request), served)
            holding.add(len(answer))
        except BaseException:
            holding.release()
            raise
        return Answer(answer, holding)

    async def _predict(self, body: bytes | bytearray, served: LoadedModel) -> bytes:
        batch = await self._parse(body, served)
        try:
            return await self.batcher.answer(served, batch)
        except RequestRefused:
            raise
        except Exception as error:
            why = f"{served.name} cannot predict these rows ({type(error).__name__})."
            # Asked again later, it may answer.
            status = 503 if isinstance(error, EnvironmentFailure) else 500
            raise RequestRefused(why, status) from None

    async def health(self, request: Request) -> Response:
        """Answer ``GET /health``."""
        from starlette.responses import JSONResponse

        health = {**self.champion.health(), "waiting": self.batcher.waiting}
        return JSONResponse(health, 200 if self.champion.served else 503)

    async def model(self, request: Request) -> Response:
        """Answer ``GET /model``."""
        from starlette.responses import JSONResponse

        return JSONResponse(self._require_served().describe_model())

    def _require_served(self) -> LoadedModel:
        if self.champion.served is None:
            raise RequestRefused(self.champion.problem or "the model is being loaded.", 503)
        return self.champion.served

    async def _parse(self, body: bytes | bytearray, served: LoadedModel) -> pa.RecordBatch:
        if len(body) <= LARGE:
            return parse_rows(body, served.columns, self.limits)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self.parser, parse_rows, body, served.columns, self.limits
        )


def _check_headers(request: Request) -> None:
    transfers = request.headers.getlist("transfer-encoding")
    if [transfer.strip().lower() for transfer in transfers] not in ([], ["chunked"]):
        raise RequestRefused("expected no header 'Transfer-Encoding' but 'chunked', once.", 400)
    # Two headers of one name may mean either: a proxy before this server may take the other one.
    [kind, *more_kinds] = request.headers.getlist("content-type") or [""]
    kind, _, parameters = kind.partition(";")
    charset = parameters.strip().lower().replace('"', "")
    encodings = request.headers.getlist("content-encoding")
    if (
        more_kinds
        or kind.strip().lower() != "application/json"
        or charset not in ("", "charset=utf-8", "charset=utf8")
        or any(encoding.strip().lower() != "identity" for encoding in encodings)
    ):
        raise RequestRefused(
            "expected one header 'Content-Type: application/json', UTF-8 and not compressed.", 415
        )
