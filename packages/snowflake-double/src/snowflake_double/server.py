"""The server: Snowflake's protocol over HTTP, on loopback, in a thread."""

from __future__ import annotations

import gzip
import json
import secrets
import socket
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

import uvicorn
from fakesnow.transforms import SERVER_VERSION
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from snowflake_double.answering import answer
from snowflake_double.sessions import Identity, Session
from snowflake_double.statements import LIMITS, Refused

if TYPE_CHECKING:
    from snowflake_double.double import Double

DONE = {"data": None, "code": None, "message": None, "success": True}
PARAMETERS = {
    "CLIENT_SESSION_KEEP_ALIVE_HEARTBEAT_FREQUENCY": 3600,
    # Arrays are sent with the statement, not by way of a stage.
    "CLIENT_STAGE_ARRAY_BINDING_THRESHOLD": 0,
    "TIMEZONE": "Etc/UTC",
}


async def body(request: Request) -> dict[str, Any]:
    raw = await request.body()
    if request.headers.get("Content-Encoding") == "gzip":
        raw = gzip.decompress(raw)
    return dict(json.loads(raw or b"{}"))


def named(text: str | None) -> str | None:
    """Return a name as the catalogue has it."""
    if not text:
        return None
    return text[1:-1].replace('""', '"') if text.startswith('"') else text.upper()


def failure(refused: Refused, status: int = 200) -> JSONResponse:
    code = f"{refused.code:06d}"
    return JSONResponse(
        {
            "data": {
                "errorCode": code,
                "sqlState": refused.state,
                "queryId": str(uuid.uuid4()),
                "internalError": False,
            },
            "code": code,
            "message": refused.message,
            "success": False,
        },
        status,
    )


class Server:
    """Answers clients of Snowflake on a port of this machine.

    Parameters
    ----------
    double
        What it answers for.
    """

    def __init__(self, double: Double) -> None:
        self.double = double
        self.port = 0

    @property
    def address(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen, and return once it does."""
        listening = socket.create_server(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        config = uvicorn.Config(self.app(), log_level="critical", lifespan="off")
        self.uvicorn = uvicorn.Server(config)
        self.thread = threading.Thread(
            target=self.uvicorn.run, args=([listening],), daemon=True, name="snowflake-double"
        )
        self.thread.start()
        while not self.uvicorn.started:
            time.sleep(0.01)

    def stop(self) -> None:
        """Listen no longer."""
        self.uvicorn.should_exit = True
        self.thread.join(10)

    def app(self) -> Starlette:
        """Return what answers each path."""
        return Starlette(
            routes=[
                Route("/session/v1/login-request", self.login, methods=["POST"]),
                Route("/session", self.end_session, methods=["POST"]),
                Route("/session/heartbeat", self.nothing, methods=["POST"]),
                Route("/telemetry/send", self.nothing, methods=["POST"]),
                Route("/queries/v1/query-request", self.query, methods=["POST"]),
                Route("/queries/v1/abort-request", self.nothing, methods=["POST"]),
                Route("/chunks/{query}/{number:int}", self.chunk, methods=["GET"]),
                Route("/monitoring/queries/{query}", self.monitoring, methods=["GET"]),
                Route("/{path:path}", self.unknown, methods=["GET", "POST", "PUT", "DELETE"]),
            ]
        )

    async def login(self, request: Request) -> JSONResponse:
        """Begin a session."""
        data = (await body(request))["data"]
        asked = request.query_params
        token = secrets.token_urlsafe(32)
        parameters = data.get("SESSION_PARAMETERS") or {}
        session = Session(
            self.double,
            named(asked.get("databaseName")),
            named(asked.get("schemaName")),
            Identity(
                named(asked.get("warehouse")) or Identity.warehouse,
                named(asked.get("roleName")) or Identity.role,
                named(data.get("LOGIN_NAME")) or Identity.user,
            ),
            autocommit=parameters.get("AUTOCOMMIT", True),
        )
        session.tag = parameters.get("QUERY_TAG") or ""
        self.double.sessions[token] = session
        told = {**PARAMETERS, "AUTOCOMMIT": parameters.get("AUTOCOMMIT", True)}
        return JSONResponse(
            {
                "data": {
                    "token": token,
                    "masterToken": secrets.token_urlsafe(32),
                    "sessionId": uuid.uuid4().int % 10**12,
                    "serverVersion": SERVER_VERSION,
                    "parameters": [{"name": k, "value": v} for k, v in told.items()],
                    "sessionInfo": {
                        "databaseName": session.database,
                        "schemaName": session.schema,
                        "warehouseName": session.identity.warehouse,
                        "roleName": session.identity.role,
                    },
                },
                "success": True,
            }
        )

    def session_of(self, request: Request) -> Session:
        """Return whose a request is."""
        token = request.headers.get("Authorization", "").partition('"')[2].rstrip('"')
        if token not in self.double.sessions:
            raise Refused(390104, "User must login again to access the service.", "08001")
        return self.double.sessions[token]

    async def end_session(self, request: Request) -> JSONResponse:
        """End a session, and drop what was temporary in it."""
        token = request.headers.get("Authorization", "").partition('"')[2].rstrip('"')
        if ended := self.double.sessions.pop(token, None):
            ended.close()
        return JSONResponse(DONE)

    async def nothing(self, request: Request) -> JSONResponse:
        """Say that all is well."""
        return JSONResponse(DONE)

    async def query(self, request: Request) -> JSONResponse:
        """Answer a statement."""
        try:
            session = self.session_of(request)
            asked = await body(request)
            data = await run_in_threadpool(answer, self.double, session, asked)
        except Refused as refused:
            return failure(refused)
        return JSONResponse({"data": data, "code": None, "message": None, "success": True})

    async def chunk(self, request: Request) -> Response:
        """Give a part of the rows of a statement."""
        parts = self.double.chunks.get(request.path_params["query"], ())
        number = request.path_params["number"]
        if number >= len(parts):
            return Response("these rows are kept no longer", 404)
        return Response(parts[number])

    async def monitoring(self, request: Request) -> JSONResponse:
        """Tell how a statement fares: all have ended that can be asked about."""
        known = request.path_params["query"] in self.double.instance.results_cache
        return JSONResponse(
            {"data": {"queries": [{"status": "SUCCESS"}] if known else []}, "success": True}
        )

    async def unknown(self, request: Request) -> JSONResponse:
        """Refuse a path that the double does not know."""
        message = f"{request.method} /{request.path_params['path']} is not known. {LIMITS}"
        return failure(Refused(391900, message), 404)
