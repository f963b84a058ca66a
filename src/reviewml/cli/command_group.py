"""Verbs: the group of all commands, loaded one by one, and how its errors are said."""

from __future__ import annotations

import errno
import warnings
from collections.abc import Callable
from typing import Any, NoReturn

import click

import reviewml
from reviewml import plugins
from reviewml.display.text_tables import escape_controls
from reviewml.errors import PluginError, ReviewmlError, UnknownName, suggest_names
from reviewml.privacy.redaction import describe_error, redact


class Failed(click.ClickException):
    """When a verb could not be done, said in one line."""

    exit_code = 1

    def show(self, file: Any = None) -> None:
        """Print it on standard error."""
        message_line = escape_controls(" ".join(self.format_message().split()))
        click.echo(f"error: {message_line}", err=True, file=file)


class Verbs(click.Group):
    """All commands of the catalogue; one is imported when it is run, or its help is shown."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, context_settings={"help_option_names": ["-h", "--help"]})
        self.params.append(_make_version_option())

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all verbs, sorted."""
        return [entry.name for entry in plugins.get_catalogue().entries("commands")]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a verb, or None when there is none of that name."""
        try:
            entry = plugins.get_catalogue().entry("commands", cmd_name)
        except UnknownName:
            return None
        return _load_command(entry)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb that was typed, or say which are near."""
        if not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            near = suggest_names(args[0], self.list_commands(ctx))
            ctx.fail(f"there is no command {args[0]!r}. {near}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb; what goes wrong on purpose is one line, not a traceback."""
        try:
            return super().invoke(ctx)
        except ReviewmlError as error:
            raise Failed(redact(str(error))) from error
        except OSError as error:
            # A pipe that was closed, as by `| head`, is for click to end quietly.
            if error.errno == errno.EPIPE:
                raise
            raise Failed(_describe(error)) from error

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command line, warnings in one line each."""
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            return super().main(*args, **options)


def _describe(error: OSError) -> str:
    """Describe an `OSError`, whose number and file may be unknown."""
    description = error.strerror or str(error) or type(error).__name__
    return redact(description if error.filename is None else f"{description}: {error.filename}")


def _load_command(entry: plugins.Entry) -> click.Command:
    try:
        command = entry.load()
        if not isinstance(command, click.Command):
            raise PluginError(f"{entry.target} is not a click command")
    except Exception as error:
        # One that cannot be imported must not take the others with it.
        return _make_broken_command(entry, describe_error(error))
    return command


def _make_broken_command(entry: plugins.Entry, why: str) -> click.Command:
    def fail(**_: Any) -> NoReturn:
        raise Failed(f"{entry.name!r} of {entry.package} cannot be loaded: {why}")

    settings = {"ignore_unknown_options": True, "allow_extra_args": True}
    callback: Callable[..., Any] = fail
    return click.Command(
        entry.name,
        callback=callback,
        short_help=f"(cannot be loaded: {why})",
        context_settings=settings,
    )


def _make_version_option() -> click.Option:
    def show(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
        if wanted:
            click.echo(f"reviewml {reviewml.__version__}")
            ctx.exit()

    return click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=show,
        help="Show the version and exit.",
    )


def _show_warning(message: Any, *_: Any, **__: Any) -> None:
    click.echo(f"warning: {escape_controls(' '.join(str(message).split()))}", err=True)
