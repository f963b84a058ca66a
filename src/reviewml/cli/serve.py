"""``reviewml serve``: a model that answers over HTTP."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import click

from reviewml.cli import options
from reviewml.cli.answers import answer

if TYPE_CHECKING:
    from reviewml.serve.champion import Champion


@click.command()
@click.argument("model", metavar="MODEL")
@options.registry
@options.reviews
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=8000,
    show_default=True,
    help="Port to listen at.",
)
@click.option(
    "--refresh",
    default=30.0,
    show_default=True,
    help="Seconds between two looks at the registry, for a new version.",
)
@click.option("--reread", type=float, help="Seconds after which reviews are read anew.")
@click.option("--check", is_flag=True, help="Load the model, say what it takes, and end.")
@options.as_json
def serve(
    model: str,
    registry: str,
    reviews: str | None,
    host: str,
    port: int,
    refresh: float,
    reread: float | None,
    check: bool,
    as_json: bool,
) -> None:
    """Serve a model of a registry over HTTP; see /docs there.

    MODEL is a reference such as name@champion: where the alias moves, its new version takes over,
    and no request is lost.
    """
    from reviewml import plugins
    from reviewml.registries.choosing import registry_at
    from reviewml.serve import create_app

    kept = registry_at(registry)
    kept.find(model)
    app = create_app(kept, model, reviews=reviews, refresh=refresh, reread=reread)
    if check:
        _say(app.state.champion, as_json)
        return
    uvicorn = plugins.optional("uvicorn", "reviewml serve")
    answer(as_json, {"url": f"http://{host}:{port}", "model": model}, f"http://{host}:{port}/docs")
    uvicorn.run(app, host=host, port=port, server_header=False, log_config=_logging(uvicorn))


def _logging(uvicorn: Any) -> dict[str, Any]:
    """Return uvicorn's settings with our lines among its own, all on standard error."""
    settings = copy.deepcopy(uvicorn.config.LOGGING_CONFIG)
    settings["handlers"]["access"]["stream"] = "ext://sys.stderr"
    settings["loggers"]["reviewml.serve"] = {"handlers": ["default"], "level": "INFO"}
    return dict(settings)


def _say(champion: Champion, as_json: bool) -> None:
    """Load the model and say what its rows are."""
    served = champion.load()
    described: dict[str, Any] = dict(served.described())
    columns = "\n".join(f"  {name}: {kind}" for name, kind in described["columns"].items())
    answer(as_json, described, f"{served.name}, {described['task']}\n{columns}")
