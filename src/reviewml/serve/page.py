"""The API as a page for people, without scripts and without anything from elsewhere.

>>> page = render_page({"info": {"title": "<m>", "version": "1.0"}, "paths": {}})
>>> "<h1>&lt;m&gt;</h1>" in page
True
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from typing import Any

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Content security policy of the page: a browser loads nothing else for it."""

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }
table { border-collapse: collapse } td, th { border: 1px solid #ccc; padding: .25rem .6rem }
th { text-align: left } pre { background: #f4f4f4; overflow: auto; padding: 1rem }
"""


def render_page(document: Mapping[str, Any]) -> str:
    """Render an OpenAPI document as HTML."""
    title = html.escape(document["info"]["title"])
    operations = [
        _render_operation(method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head><body><h1>{title}</h1>"
        '<p>For programs: <a href="openapi.json">openapi.json</a></p>'
        f"{''.join(operations)}</body></html>"
    )


def _render_operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    parts = [f"<h2>{method.upper()} {html.escape(path)}</h2>"]
    parts.append(f"<p>{html.escape(operation['summary'])}.</p>")
    if "requestBody" in operation:
        body = operation["requestBody"]["content"]["application/json"]["schema"]
        parts.append(_render_row(body["properties"]["rows"]["items"]))
    answers = [
        [status, response["description"]] for status, response in operation["responses"].items()
    ]
    parts.append("<h3>Answers</h3>" + _render_table(["Status", "When"], answers))
    return "".join(parts)


def _render_row(row: Mapping[str, Any]) -> str:
    """Render the columns of a row, and a request of one row of nulls."""
    columns = row.get("properties", {})
    if not columns:
        return "<p>Columns are listed once a model is loaded.</p>"
    cells = [
        [name, _name_type(schema), schema["description"], _name_range(schema)]
        for name, schema in columns.items()
    ]
    example = json.dumps({"rows": [dict.fromkeys(columns)]}, indent=2)
    return (
        "<h3>Columns of a row</h3>"
        + _render_table(["Column", "JSON", "Type", "Range"], cells)
        + f"<h3>Request</h3><pre>{html.escape(example)}</pre>"
    )


def _name_type(schema: Mapping[str, Any]) -> str:
    form = schema.get("format")
    return " or ".join(schema["type"]) + (f" ({form})" if form else "")


def _name_range(schema: Mapping[str, Any]) -> str:
    return f"{schema['minimum']} to {schema['maximum']}" if "minimum" in schema else ""


def _render_table(head: list[str], rows: list[list[str]]) -> str:
    first = "".join(f"<th>{name}</th>" for name in head)
    others = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows]
    return "<table>" + "".join(f"<tr>{row}</tr>" for row in [first, *others]) + "</table>"
