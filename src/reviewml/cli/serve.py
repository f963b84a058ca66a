"""``reviewml serve``: a model that answers over HTTP."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import sys
from typing import TYPE_CHECKING, Any

import click

from reviewml.cli import options
from reviewml.cli.output import print_answer
from reviewml.errors import ParameterError, suggest_names

if TYPE_CHECKING:
    from reviewml.serve import Limits
    from reviewml.serve.champion import Champion

SWITCH_INTERVAL = 0.0005


@click.command()
@click.argument("model", metavar="MODEL")
@options.registry
@options.verify
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
    help="Seconds between checks of the registry for a new version.",
)
@click.option("--reread", type=float, help="Seconds after which reviews are read again.")
@click.option(
    "--limit",
    "limits",
    metavar="NAME=NUMBER",
    multiple=True,
    help="Set a limit of the service, such as connections=100; may be repeated.",
)
@click.option("--check", is_flag=True, help="Load the model, print its input columns, and exit.")
@options.as_json
def serve(
    model: str,
    registry: str,
    verify: list[str] | None,
    reviews: str | None,
    host: str,
    port: int,
    refresh: float,
    reread: float | None,
    limits: tuple[str, ...],
    check: bool,
    as_json: bool,
) -> None:
    """Serve a model of a registry over HTTP; see /docs there.

    MODEL is a reference such as name@champion: where the alias moves, its new version takes over,
    and no request is lost.
    """
    from reviewml import plugins
    from reviewml.registries.resolve import open_registry
    from reviewml.serve import configure_server, create_app

    opened = open_registry(registry, verify=verify)
    opened.find(model)
    bounds = _parse_limits(limits)
    app = create_app(opened, model, reviews=reviews, refresh=refresh, reread=reread, limits=bounds)
    if check:
        _print_champion(app.state.champion, as_json)
        return
    uvicorn = plugins.optional("uvicorn", "reviewml serve")
    print_answer(
        as_json, {"url": f"http://{host}:{port}", "model": model}, f"http://{host}:{port}/docs"
    )
    config = configure_server(app, host=host, port=port, log_config=_configure_logging(uvicorn))
    # Threads that predict and parse take turns with the one that answers. With the 5 ms of Python
    # a busy one makes the others, which give up their turn at each call of a library, very slow.
    sys.setswitchinterval(SWITCH_INTERVAL)
    # Ctrl+C is a way to stop, not a failure.
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run()


def _parse_limits(values: tuple[str, ...]) -> Limits:
    from reviewml.serve import Limits

    types = {field.name: field.type for field in dataclasses.fields(Limits)}
    limits: dict[str, Any] = {}
    for limit in values:
        name, _, number = limit.partition("=")
        if name not in types:
            raise ParameterError(
                f"--limit {limit}: unknown limit {name!r}. {suggest_names(name, types)}"
            )
        try:
            limits[name] = float(number) if types[name] == "float" else int(number)
        except ValueError:
            kind = "a number of seconds" if types[name] == "float" else "a whole number"
            raise ParameterError(f"--limit {limit}: {name} must be {kind}.") from None
    return Limits(**limits)


def _configure_logging(uvicorn: Any) -> dict[str, Any]:
    """Return uvicorn's settings with our lines among its own, all on standard error."""
    settings = copy.deepcopy(uvicorn.config.LOGGING_CONFIG)
    settings["handlers"]["access"]["stream"] = "ext://sys.stderr"
    settings["loggers"]["reviewml.serve"] = {"handlers": ["default"], "level": "INFO"}
    return dict(settings)


def _print_champion(champion: Champion, as_json: bool) -> None:
    """Load the model and say what its rows are."""
    served = champion.load()
    described: dict[str, Any] = dict(served.describe_model())
    columns = "\n".join(f"  {name}: {kind}" for name, kind in described["columns"].items())
    print_answer(as_json, described, f"{served.name}, {described['task']}\n{columns}")
