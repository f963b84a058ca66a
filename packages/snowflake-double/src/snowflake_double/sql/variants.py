"""Functions of VARIANT, ARRAY and OBJECT, written over what JSON becomes in Python."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import duckdb
from sqlglot import exp

from snowflake_double.sql import rewriting
from snowflake_double.sql.duck import add_function
from snowflake_double.statements import not_understood

if TYPE_CHECKING:
    from snowflake_double.sessions import Session


def kind(value: Any) -> str:
    """Return what TYPEOF says of a value."""
    kinds = {
        bool: "BOOLEAN",
        int: "INTEGER",
        float: "DECIMAL",
        str: "VARCHAR",
        list: "ARRAY",
        dict: "OBJECT",
    }
    return kinds.get(type(value), "NULL_VALUE")


def distinct(values: list[Any]) -> list[Any]:
    """Return each value once, where it first is."""
    seen = {json.dumps(value, sort_keys=True): value for value in reversed(values)}
    return [seen[key] for key in reversed(seen)]


def get(value: Any, key: Any) -> Any:
    """Return an element of an array or the value of a key, None where there is none."""
    if isinstance(value, list) and isinstance(key, int):
        return value[key] if 0 <= key < len(value) else None
    return value.get(key) if isinstance(value, dict) else None


def paired(values: list[Any], others: list[Any]) -> tuple[list[Any], list[Any]]:
    """Return the values of which another list has one for each, and those that are left."""
    rest, matched, left = list(others), [], []
    for value in values:
        if value in rest:
            rest.remove(value)
            matched.append(value)
        else:
            left.append(value)
    return matched, left


def slice_of(values: list[Any], start: int, end: int) -> list[Any]:
    return values[slice(start, end)]


def insert(value: dict[str, Any], key: str, new: Any, replace: bool = False) -> dict[str, Any]:
    if key in value and not replace:
        raise ValueError(f"duplicate field key {key!r}")
    return {**value, key: new}


def construct(*given: Any) -> dict[str, Any]:
    """Return an object of keys and values in turn, without those that are NULL."""
    pairs = zip(given[::2], given[1::2], strict=True)
    return {str(key): value for key, value in pairs if key is not None and value is not None}


def parse(text: Any) -> Any:
    """Return what a text of JSON says.

    Raises
    ------
    ValueError
        When it is none, or has a key twice.
    """
    if not isinstance(text, str):
        return text
    return json.loads(text, object_pairs_hook=unique) if text.strip() else None


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object, unless it has a key twice."""
    if len(dict(pairs)) < len(pairs):
        raise ValueError("Error parsing JSON: duplicate object attribute")
    return dict(pairs)


def try_parse(text: Any) -> Any:
    try:
        return parse(text)
    except ValueError:
        return None


def text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def base64(text: str) -> str:
    return codecs.encode(text.encode(), "base64").decode().replace("\n", "")


FUNCTIONS: dict[str, tuple[Callable[..., Any], str]] = {
    "ARRAY_APPEND": (lambda a, v: [*a, v], "JSON"),
    "ARRAY_CAT": (lambda a, b: a + b, "JSON"),
    "ARRAY_COMPACT": (lambda a: [v for v in a if v is not None], "JSON"),
    "ARRAY_CONSTRUCT_COMPACT": (lambda *a: [v for v in a if v is not None], "JSON"),
    "ARRAY_CONTAINS": (lambda v, a: v in a, "BOOLEAN"),
    "ARRAY_DISTINCT": (distinct, "JSON"),
    "ARRAY_EXCEPT": (lambda a, b: paired(a, b)[1], "JSON"),
    "ARRAY_INTERSECTION": (lambda a, b: paired(a, b)[0], "JSON"),
    "ARRAY_MAX": (lambda a: max((v for v in a if v is not None), default=None), "JSON"),
    "ARRAY_MIN": (lambda a: min((v for v in a if v is not None), default=None), "JSON"),
    "ARRAY_POSITION": (lambda v, a: a.index(v) if v in a else None, "BIGINT"),
    "ARRAY_PREPEND": (lambda a, v: [v, *a], "JSON"),
    "ARRAY_REMOVE": (lambda a, v: [x for x in a if x != v], "JSON"),
    "ARRAY_REVERSE": (lambda a: a[::-1], "JSON"),
    "ARRAY_SIZE": (lambda a: len(a) if isinstance(a, list) else None, "BIGINT"),
    "ARRAY_SLICE": (slice_of, "JSON"),
    "ARRAY_SORT": (sorted, "JSON"),
    "ARRAY_TO_STRING": (lambda a, by: by.join(map(text, a)), "VARCHAR"),
    "ARRAYS_OVERLAP": (lambda a, b: any(v in b for v in a), "BOOLEAN"),
    "BASE64_DECODE_STRING": (lambda t: codecs.decode(t.encode(), "base64").decode(), "VARCHAR"),
    "BASE64_ENCODE": (base64, "VARCHAR"),
    "GET": (get, "JSON"),
    "IS_ARRAY": (lambda v: isinstance(v, list), "BOOLEAN"),
    "IS_OBJECT": (lambda v: isinstance(v, dict), "BOOLEAN"),
    "OBJECT_CONSTRUCT": (construct, "JSON"),
    "OBJECT_DELETE": (lambda o, *k: {n: v for n, v in o.items() if n not in k}, "JSON"),
    "OBJECT_INSERT": (insert, "JSON"),
    "OBJECT_KEYS": (sorted, "JSON"),
    "OBJECT_PICK": (lambda o, *k: {n: v for n, v in o.items() if n in k}, "JSON"),
    "PARSE_JSON": (parse, "JSON"),
    "STRIP_NULL_VALUE": (lambda v: v, "JSON"),
    "TRY_PARSE_JSON": (try_parse, "JSON"),
    "TYPEOF": (kind, "VARCHAR"),
}
"""By name: what computes it, and the type of its answer in DuckDB."""

CONSTRUCTORS = frozenset(["ARRAY_CONSTRUCT"])
"""Those that DuckDB's own JSON computes."""

WITH_NULLS = {
    "ARRAY_APPEND",
    "ARRAY_CONSTRUCT_COMPACT",
    "ARRAY_PREPEND",
    "OBJECT_CONSTRUCT",
    "OBJECT_INSERT",
}
"""Those that answer something where an argument is NULL."""


def in_duckdb(name: str) -> str:
    """Return the name of a function in DuckDB."""
    return f"variant_{name.lower()}"


def over_json(name: str) -> Callable[[str], Any]:
    """Return a function of the JSON of all arguments."""
    compute, answer = FUNCTIONS[name]

    def computed(arguments: str) -> Any:
        given = json.loads(arguments)
        if None in given and name not in WITH_NULLS:
            return None
        value = compute(*given)
        if answer != "JSON":
            return value
        if value is None and not (name.endswith("PARSE_JSON") and given[0].strip() == "null"):
            return None
        return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    return computed


def install(duck: duckdb.DuckDBPyConnection) -> None:
    """Have DuckDB know the functions."""
    for name, (_, answer) in FUNCTIONS.items():
        add_function(duck, in_duckdb(name), over_json(name), ["VARCHAR"], answer)
    add_function(duck, "variant_flatten", flattened, ["VARCHAR"], "JSON[]")


def json_array(values: list[exp.Expr]) -> exp.Expr:
    """Return an array of values of any types, as JSON."""
    return exp.Anonymous(this="JSON_ARRAY", expressions=values)


def literal_object(node: exp.Struct) -> exp.Expr:
    """Return ``{'key': value}`` as a call of OBJECT_CONSTRUCT."""
    given = [x for one in node.expressions for x in (key_of(one.this), one.expression)]
    return exp.Anonymous(this="OBJECT_CONSTRUCT", expressions=given)


def key_of(key: exp.Expr) -> exp.Expr:
    return exp.Literal.string(key.name) if isinstance(key, exp.Identifier) else key


SEMI_STRUCTURED = ("VARIANT", "ARRAY", "OBJECT")


def element(node: exp.Bracket) -> exp.Expr:
    """Return ``v[0]`` or ``v['key']`` as a path, which counts from 0 as Snowflake does."""
    (key,) = node.expressions
    if not isinstance(key, exp.Literal):
        return written(exp.Anonymous(this="GET", expressions=[node.this, key]))
    step: exp.Expr = exp.JSONPathKey(this=key.this, quoted=True)
    if not key.is_string:
        step = exp.JSONPathSubscript(this=int(key.this))
    path = exp.JSONPath(expressions=[exp.JSONPathRoot(), step])
    return exp.JSONExtract(
        this=node.this, expression=path, variant_extract=True, requires_json=True
    )


def written(node: exp.Expr) -> exp.Expr:
    """Return an expression as functions of this module and of DuckDB's JSON."""
    if isinstance(node, exp.Bracket) and len(node.expressions) == 1:
        return element(node)
    if isinstance(node, exp.Array):
        return json_array(node.expressions)
    if isinstance(node, exp.Struct):
        return written(literal_object(node))
    if isinstance(node, exp.Cast) and node.to.this.name in SEMI_STRUCTURED:
        return exp.Anonymous(this="TO_JSON", expressions=[node.this])
    if not isinstance(node, exp.Anonymous):
        return node
    name = str(node.this).upper()
    if name == "ARRAY_CONSTRUCT":
        return json_array(node.expressions)
    if name == "OBJECT_CONSTRUCT" and any(one.is_star for one in node.expressions):
        return exp.StarMap(this=node.expressions[0])
    if name in FUNCTIONS:
        packed = exp.cast(json_array(node.expressions), "VARCHAR")
        return exp.Anonymous(this=in_duckdb(name), expressions=[packed])
    return node


def with_variants(tree: exp.Expr, session: Session) -> exp.Expr:
    """Have the functions of VARIANT mean those of this module."""
    return rewriting.everywhere(tree, written)


# --- FLATTEN

FIELDS = {
    "SEQ": "BIGINT",
    "KEY": "VARCHAR",
    "PATH": "VARCHAR",
    "INDEX": "BIGINT",
    "VALUE": "JSON",
    "THIS": "JSON",
}


def parts(value: Any, mode: str) -> list[tuple[str | None, int | None, str, Any]]:
    """Return key, index, path and value of each element of an array or object."""
    if isinstance(value, list) and mode in ("BOTH", "ARRAY"):
        return [(None, n, f"[{n}]", v) for n, v in enumerate(value)]
    if isinstance(value, dict) and mode in ("BOTH", "OBJECT"):
        return [(k, None, k, v) for k, v in sorted(value.items())]
    return []


def flattened(arguments: str) -> list[str]:
    """Return the rows of FLATTEN, each as JSON."""
    given = json.loads(arguments)
    value, mode = given["input"], str(given.get("mode") or "BOTH").upper()
    rows = [
        {"KEY": key, "INDEX": index, "PATH": path, "VALUE": one, "THIS": value, "SEQ": 1}
        for key, index, path, one in parts(value, mode)
    ]
    if not rows and given.get("outer"):
        rows = [{}]
    return [json.dumps(row, ensure_ascii=False) for row in rows]


def flatten_query(node: exp.Explode) -> exp.Select:
    """Return FLATTEN as a query, in the order of the elements."""
    given = [node.this, *node.expressions]
    named = {one.name.lower(): one.expression for one in given if isinstance(one, exp.Kwarg)}
    if not isinstance(given[0], exp.Kwarg):
        named["input"] = given[0]
    if strange := sorted(named.keys() - {"input", "outer", "mode"}):
        raise not_understood(f"FLATTEN with {', '.join(strange)}.")
    pairs = [x for k, v in named.items() for x in (exp.Literal.string(k), v)]
    packed = exp.cast(exp.Anonymous(this="JSON_OBJECT", expressions=pairs), "VARCHAR")
    call = exp.Anonymous(this="variant_flatten", expressions=[packed])
    inner = exp.select(exp.alias_(exp.Anonymous(this="UNNEST", expressions=[call]), "e"))
    return exp.select(*map(field, FIELDS)).from_(inner.subquery("_elements"))


def field(name: str) -> exp.Expr:
    """Return a column of FLATTEN."""
    kind = FIELDS[name]
    path = exp.JSONPath(expressions=[exp.JSONPathRoot(), exp.JSONPathKey(this=name)])
    build = exp.JSONExtract if kind == "JSON" else exp.JSONExtractScalar
    taken: exp.Expr = build(this=exp.column("e"), expression=path)
    if kind == "BIGINT":
        taken = exp.cast(taken, "BIGINT")
    return exp.alias_(taken, exp.to_identifier(name, quoted=True))


def with_flatten(tree: exp.Expr, session: Session) -> exp.Expr:
    """Have FLATTEN mean that of this module."""
    for node in list(tree.find_all(exp.Explode)):
        holder = node.parent
        if not isinstance(holder, exp.Lateral | exp.TableFromRows):
            continue
        alias = holder.args.get("alias") or exp.TableAlias(this=exp.to_identifier("_flattened"))
        alias.set("columns", None)
        query = flatten_query(node).subquery()
        holder.replace(exp.Lateral(this=query, alias=alias))
    return tree


rewriting.BEFORE += [with_variants, with_flatten]
