"""Cortex: AI functions of SQL, answered by functions of Python that a test may replace."""

from __future__ import annotations

import inspect
import json
import threading
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb
from sqlglot import exp

from snowflake_double.cortex import lexicon
from snowflake_double.sql import rewriting
from snowflake_double.sql.duck import add_function
from snowflake_double.statements import Refused

if TYPE_CHECKING:
    from snowflake_double.sessions import Session


class Function(NamedTuple):
    """A function of Cortex.

    Parameters
    ----------
    answer
        Attribute of `Cortex` that answers it.
    kind
        Type of the answer in DuckDB.
    """

    answer: str
    kind: str = "JSON"


FUNCTIONS = {
    "AI_SENTIMENT": Function("sentiment"),
    "AI_CLASSIFY": Function("classify"),
    "AI_TRANSLATE": Function("translate", "VARCHAR"),
    "AI_COMPLETE": Function("complete", "VARCHAR"),
    "AI_COUNT_TOKENS": Function("count_tokens", "BIGINT"),
    "SNOWFLAKE.CORTEX.SENTIMENT": Function("score", "DOUBLE"),
    "SNOWFLAKE.CORTEX.ENTITY_SENTIMENT": Function("entity_sentiment"),
    "SNOWFLAKE.CORTEX.CLASSIFY_TEXT": Function("classify_text"),
    "SNOWFLAKE.CORTEX.TRANSLATE": Function("translate", "VARCHAR"),
    "SNOWFLAKE.CORTEX.COMPLETE": Function("complete", "VARCHAR"),
    "SNOWFLAKE.CORTEX.COUNT_TOKENS": Function("count_tokens", "BIGINT"),
}
DETAILS = "return_error_details"


class Cortex:
    """What answers AI functions, and how often each was asked.

    Each answer is a function of Python that takes what SQL passes: texts, numbers, lists and
    dicts, named ones by name. None is NULL; an exception is an error of the function, which gives
    NULL, or its text where ``return_error_details`` is asked for. Set an attribute to replace it.

    Attributes
    ----------
    sentiment
        AI_SENTIMENT: text and categories to ``{"categories": [{"name", "sentiment"}]}``.
    entity_sentiment
        ENTITY_SENTIMENT, likewise.
    score
        SENTIMENT: text to a number from −1 to 1.
    classify
        AI_CLASSIFY: text, labels and perhaps a dict of settings to ``{"labels": […]}``.
    classify_text
        CLASSIFY_TEXT: likewise, to ``{"label": …}``.
    translate
        AI_TRANSLATE and TRANSLATE: text and two languages to a text.
    complete
        AI_COMPLETE and COMPLETE: model and prompt to a text.
    count_tokens
        AI_COUNT_TOKENS: name of a function and its arguments to a number.
    calls
        Evaluations by name of function, of rows whose text is not NULL.
    unknown
        Names of functions that the account is not to know.
    """

    def __init__(self) -> None:
        self.sentiment: Callable[..., Any] = lexicon.sentiment
        self.entity_sentiment: Callable[..., Any] = lexicon.sentiment
        self.score: Callable[..., Any] = lexicon.score
        self.classify: Callable[..., Any] = lexicon.classify
        self.classify_text: Callable[..., Any] = lexicon.classify_text
        self.translate: Callable[..., Any] = lexicon.translate
        self.complete: Callable[..., Any] = lexicon.complete
        self.count_tokens: Callable[..., Any] = lexicon.count_tokens
        self.calls: Counter[str] = Counter()
        self.unknown: set[str] = set()
        self._counting = threading.Lock()

    def install(self, duck: duckdb.DuckDBPyConnection) -> None:
        """Have DuckDB ask this for the functions."""
        for name, function in FUNCTIONS.items():
            add_function(
                duck,
                in_duckdb(name),
                self.asked(name, function),
                ["VARCHAR"],
                function.kind,
                volatile=True,  # each row is asked for, also one that repeats
            )

    def asked(self, name: str, function: Function) -> Callable[[str], Any]:
        """Return what DuckDB calls with the arguments of a row, as JSON."""

        def ask(arguments: str) -> Any:
            given = json.loads(arguments)
            answer = self.evaluated(name, function.answer, given["by_place"], given["by_name"])
            if function.kind != "JSON" or answer is None:
                return answer
            return json.dumps(answer, ensure_ascii=False)

        return ask

    def evaluated(
        self, name: str, answer: str, by_place: list[Any], by_name: dict[str, Any]
    ) -> Any:
        """Return the answer to one row."""
        details = by_name.pop(DETAILS, None)
        if name == "AI_SENTIMENT" and len(by_place) == 3:
            details = by_place.pop()
        if any(v is None for v in [*by_place, *by_name.values()][:2]):
            return None
        with self._counting:
            self.calls[name] += 1
        function = getattr(self, answer)
        try:
            value, error = function(*fitting(function, by_place), **by_name), None
        except Exception as failed:
            value, error = None, f"{type(failed).__name__}: {failed}"
        return {"value": value, "error": error} if details else value


def fitting(function: Callable[..., Any], arguments: list[Any]) -> list[Any]:
    """Return as many arguments as a function takes, so that a test may leave some out."""
    takes = inspect.signature(function).parameters.values()
    if any(one.kind is one.VAR_POSITIONAL for one in takes):
        return arguments
    return arguments[: len(takes)]


def in_duckdb(name: str) -> str:
    """Return the name of a function in DuckDB."""
    return "cortex_" + name.lower().replace(".", "_")


def called(node: exp.Expr) -> tuple[str, list[exp.Expr]]:
    """Return the name and the arguments of a call, or ''."""
    if isinstance(node, exp.Dot) and isinstance(node.expression, exp.Func):
        name, arguments = called(node.expression)
        return f"{node.this.sql().upper()}.{name}".replace('"', ""), arguments
    if isinstance(node, exp.Anonymous):
        return str(node.this).upper(), node.expressions
    if isinstance(node, exp.AIClassify):
        given = [node.args.get(key) for key in node.arg_types]
        return "AI_CLASSIFY", [one for one in given if one is not None]
    if isinstance(node, exp.Func):
        return node.sql_name(), []
    return "", []


def packed(arguments: list[exp.Expr]) -> exp.Expr:
    """Return arguments as one text: JSON of those by place and of those by name."""
    by_place = [one for one in arguments if not isinstance(one, exp.Kwarg)]
    by_name = [one for one in arguments if isinstance(one, exp.Kwarg)]
    named = [x for one in by_name for x in (exp.Literal.string(one.name.lower()), one.expression)]
    return exp.Anonymous(
        this="JSON_OBJECT",
        expressions=[
            exp.Literal.string("by_place"),
            exp.Anonymous(this="JSON_ARRAY", expressions=by_place),
            exp.Literal.string("by_name"),
            exp.Anonymous(this="JSON_OBJECT", expressions=named),
        ],
    )


def with_cortex(tree: exp.Expr, session: Session) -> exp.Expr:
    """Have calls of AI functions mean those of this module."""

    def write(node: exp.Expr) -> exp.Expr:
        name, arguments = called(node)
        if name in session.double.cortex.unknown:
            raise Refused(2140, f"SQL compilation error:\nUnknown function {name}", "42601")
        if name not in FUNCTIONS or isinstance(node.parent, exp.Dot):
            return node
        return exp.Anonymous(
            this=in_duckdb(name), expressions=[exp.cast(packed(arguments), "VARCHAR")]
        )

    return rewriting.everywhere(tree, write)


rewriting.BEFORE.append(with_cortex)
