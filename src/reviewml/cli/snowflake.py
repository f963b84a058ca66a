"""``reviewml snowflake``: what an account needs, and whether a connection has it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from reviewml import plugins
from reviewml.cli import options
from reviewml.cli.output import print_answer

if TYPE_CHECKING:
    from reviewml.backends.snowflake.connection.doctor import Finding
    from reviewml.backends.snowflake.connection.setup import Setup

Verb = Callable[..., Any]

NAMES = {
    "role": "REVIEWML",
    "warehouse": "REVIEWML",
    "database": "REVIEWML",
    "schema": "REVIEWS",
    "compute-pool": None,
}

connection = click.option(
    "--connection", metavar="NAME", help="In connections.toml; the default one unless given."
)


@click.group()
def snowflake() -> None:
    """Prepare Snowflake for reviewml, and find out what is missing."""


def _add_names(defaults: Mapping[str, str | None], otherwise: str = "") -> Callable[[Verb], Verb]:
    """Add the options that name what is there; the verb gets those that are, as `named`."""

    def with_options(verb: Verb) -> Verb:
        @functools.wraps(verb)
        def with_names(**given: Any) -> Any:
            named = {key: given.pop(key) for key in (name.replace("-", "_") for name in NAMES)}
            return verb(named={k: v for k, v in named.items() if v is not None}, **given)

        command: Verb = with_names
        for name in reversed(NAMES):
            what = f"Name of the {name.replace('-', ' ')}, as it stands in the catalogue"
            command = click.option(
                f"--{name}",
                metavar="NAME",
                default=defaults.get(name),
                show_default=True,
                help=f"{what}{otherwise if NAMES[name] else ''}.",
            )(command)
        return command

    return with_options


@snowflake.command()
@_add_names(NAMES)
@click.option(
    "--stage",
    metavar="NAME",
    multiple=True,
    default=("REVIEWS", "JOBS"),
    show_default=True,
    help="A stage to make; may be repeated.",
)
@click.option(
    "--instance-family",
    metavar="NAME",
    default="CPU_X64_S",
    show_default=True,
    help="Machines of the compute pool.",
)
@click.option("--user", metavar="NAME", help="Who is given the role.")
@click.option("--apply", is_flag=True, help="Run the statements, rather than print them.")
@connection
@options.as_json
def setup(
    named: dict[str, Any],
    stage: tuple[str, ...],
    instance_family: str,
    user: str | None,
    apply: bool,
    connection: str | None,
    as_json: bool,
) -> None:
    """Print the SQL that makes what reviewml needs, with as few privileges as that takes."""
    account_setup = _import_setup(**named, stages=stage, instance_family=instance_family, user=user)
    if apply:
        session = plugins.optional(
            "reviewml.backends.snowflake.connection.session", "reviewml snowflake"
        )
        account_setup.apply(session.ConnectionConfig(connection).database())
    statements = [dataclasses.asdict(statement) for statement in account_setup.statements()]
    print_answer(as_json, {"applied": apply, "statements": statements}, account_setup.script())


@snowflake.command()
@_add_names({}, "; that of the connection unless given")
@click.option("--stage", metavar="NAME", multiple=True, help="A stage to look at; may be repeated.")
@connection
@options.as_json
@click.pass_context
def doctor(
    context: click.Context,
    named: dict[str, Any],
    stage: tuple[str, ...],
    connection: str | None,
    as_json: bool,
) -> None:
    """List what a connection lacks, with the statement that grants it.

    It looks at the role, the warehouse, the database and the schema of the connection, or at
    those that are named.
    """
    examining = plugins.optional(
        "reviewml.backends.snowflake.connection.doctor", "reviewml snowflake"
    )
    findings = examining.inspect_account(connection, {**named, "stages": stage})
    print_answer(
        as_json, [dataclasses.asdict(finding) for finding in findings], _write_text(findings)
    )
    if any(finding.missing for finding in findings):
        context.exit(1)


def _import_setup(**named: Any) -> Setup:
    module = plugins.optional("reviewml.backends.snowflake.connection.setup", "reviewml snowflake")
    account_setup: Setup = module.Setup(**named)
    return account_setup


def _write_text(findings: Sequence[Finding]) -> str:
    lines = []
    for finding in findings:
        if finding.missing is None:
            lines.append(f"ok       {finding.what}")
        else:
            lines.append(f"missing  {finding.what}")
            lines.append(f"         {finding.missing.role}: {finding.missing.sql};")
    return "\n".join(lines)
