"""Responses: answers and refusals as HTTP; needs Starlette."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from reviewml.serve.intake import Holding
from reviewml.serve.page import POLICY

PIECE = 2**16
"""Bytes of an answer that are sent at once; the next ones are sent when a client has read these."""

REFUSAL_HEADERS = {
    # The rest of such a body is not read.
    408: {"Connection": "close"},
    413: {"Connection": "close"},
    503: {"Retry-After": "1"},
}


def make_refusal(_: Request, error: Any) -> Response:
    """Make the response to a request that is refused."""
    headers = REFUSAL_HEADERS.get(error.status)
    return JSONResponse({"detail": error.reason}, error.status, headers)


def make_page(html: str) -> Response:
    """Make the response that is a page without scripts."""
    return HTMLResponse(html, headers={"Content-Security-Policy": POLICY})


class Answer(Response):
    """An answer that is sent no faster than the client reads it, and that counts until then.

    Parameters
    ----------
    content
        The JSON.
    holding
        What its request holds in memory; it is released when all is sent.
    """

    media_type = "application/json"

    def __init__(self, content: bytes, holding: Holding) -> None:
        super().__init__(content)
        self._holding = holding

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it piece by piece."""
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        content = bytes(self.body)
        try:
            await send(start)
            for place in range(0, len(content), PIECE):
                piece = content[place : place + PIECE]
                more = place + PIECE < len(content)
                await send({"type": "http.response.body", "body": piece, "more_body": more})
        finally:
            self._holding.release()
