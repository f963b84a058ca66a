"""Serving on Ray: replicas of the app that also runs in one process."""

from __future__ import annotations

import dataclasses
import http.client
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from reviewml import plugins
from reviewml.errors import CapabilityError
from reviewml.registries.base import Registry
from reviewml.serve import Limits, create_app

if TYPE_CHECKING:
    from fastapi import FastAPI

    from reviewml.data.store import EnrichmentStore

ONGOING = 1_000
"""Requests that a replica works on or keeps waiting: far more than fit into one batch."""

BUSY = 32
"""Ongoing requests of a replica from which another is started."""


@dataclasses.dataclass(frozen=True)
class Deployed:
    """A model that a cluster serves.

    Parameters
    ----------
    name
        Of the application on Ray Serve.
    url
        Where it answers, from the machine that deployed it.
    """

    name: str
    url: str

    def stop(self) -> None:
        """Remove the model from the cluster after finishing the requests in progress."""
        _serve().delete(self.name)


def deploy(
    registry: Registry,
    reference: str,
    *,
    reviews: Any = None,
    store: Literal["auto"] | str | os.PathLike[str] | EnrichmentStore | None = "auto",
    refresh: float = 30.0,
    reread: float | None = None,
    limits: Limits = Limits(),
    replicas: int | tuple[int, int] = 1,
    name: str = "reviewml",
    route: str = "/",
    host: str = "127.0.0.1",
    port: int = 8000,
    ray_actor_options: Mapping[str, Any] = {"num_cpus": 1},
) -> Deployed:
    """Serve a model on the cluster that Ray is connected to.

    It is the app of `reviewml.serve.create_app`, once in each replica: the same answers, the
    same checks, the same putting together of requests, and each follows the champion.

    Parameters
    ----------
    registry
        Where the model is; all nodes must reach it.
    reference, reviews, store, refresh, reread, limits
        As in `create_app`; limits are those of one replica.
    replicas
        How many; or the fewest and the most, between which Ray adds and removes them by load.
    name
        Of the application: another one of that name is replaced without losing requests.
    route
        Prefix of the paths.
    host, port
        Where Ray Serve listens; settled by the first application of a cluster.
    ray_actor_options
        What one replica needs, in Ray's words.

    Raises
    ------
    MissingExtra
        When Ray is not installed.
    CapabilityError
        When Ray Serve listens somewhere else already.
    RuntimeError
        When no replica could load the model; its log says why.
    """
    serve = _serve()
    # What can be wrong here is said here, not in the log of a replica.
    create_app(registry, reference, refresh=refresh, reread=reread, limits=limits)
    registry.find(reference)

    def app() -> FastAPI:
        application = create_app(
            registry,
            reference,
            reviews=reviews,
            store=store,
            refresh=refresh,
            reread=reread,
            limits=limits,
        )
        # A replica without a model must not be sent requests.
        application.state.champion.load()
        return application

    served = serve.deployment(
        serve.ingress(app)(Replica),
        name=name,
        max_ongoing_requests=ONGOING,
        ray_actor_options=dict(ray_actor_options),
        **_describe_scale(replicas),
    )
    serve.start(http_options={"host": host, "port": port})
    serve.run(served.bind(), name=name, route_prefix=route)
    _check_answers(host, port, route)
    return Deployed(name, f"http://{host}:{port}{route}".rstrip("/"))


def _serve() -> Any:
    return plugins.optional("ray.serve", "serving on Ray")


class Replica:
    """One process that answers; what it does is the app's."""

    app: FastAPI

    def check_health(self) -> None:
        """Raise where no model is loaded, for Ray to replace the replica."""
        if self.app.state.champion.served is None:
            raise RuntimeError(self.app.state.champion.problem)


def _describe_scale(replicas: int | tuple[int, int]) -> dict[str, Any]:
    if isinstance(replicas, int):
        return {"num_replicas": replicas}
    fewest, most = replicas
    scaling = {"min_replicas": fewest, "max_replicas": most, "target_ongoing_requests": BUSY}
    return {"autoscaling_config": scaling}


def _check_answers(host: str, port: int, route: str) -> None:
    connection = http.client.HTTPConnection(host, port, timeout=30)
    try:
        connection.request("GET", f"{route.rstrip('/')}/health")
        answered = str(connection.getresponse().status)
    except OSError as error:
        answered = error.strerror or type(error).__name__
    finally:
        connection.close()
    if answered != "200":
        raise CapabilityError(
            f"the model is served, but not at {host}:{port}{route} ({answered}): Ray Serve listens "
            "elsewhere on this cluster already. Give its host and port, or another route."
        )
