"""The server: uvicorn, within limits of headers, connections and time that it does not have."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from reviewml import plugins

if TYPE_CHECKING:
    from fastapi import FastAPI
    from uvicorn import Config

BACKLOG = 128
"""Connections that are accepted at once: not more than there are files to open."""


def configure_server(app: FastAPI, **options: Any) -> Config:
    """Configure uvicorn to serve an app within the limits of its server.

    ``uvicorn.Server(configure_server(app, port=8000)).run()`` is what ``reviewml serve`` does.
    Other servers keep only those limits of the app that are not about connections.

    Parameters
    ----------
    app
        As `create_app` made it.
    options
        Of `uvicorn.Config`. ``http`` is ``"auto"``, ``"h11"`` or ``"httptools"``.

    Raises
    ------
    MissingExtra
        When uvicorn is not installed.
    ParameterError
        When ``http`` is something else.
    """
    uvicorn = plugins.optional("uvicorn", "reviewml.serve")
    from reviewml.serve.connections import guard_protocol

    limits = app.state.limits
    defaults = {
        "backlog": BACKLOG,
        "h11_max_incomplete_event_size": limits.header_bytes,
        "server_header": False,
        "timeout_graceful_shutdown": math.ceil(limits.timeout),
        "timeout_keep_alive": limits.idle_timeout,
        # An upgraded connection would leave the limits behind.
        "ws": "none",
    }
    http = guard_protocol(options.pop("http", "auto"), limits)
    config: Config = uvicorn.Config(app, **defaults | options, http=http)
    return config
