"""The API as an OpenAPI document, with the columns of the model that serves now."""

from __future__ import annotations

from typing import Any

from reviewml.serve.limits import Limits
from reviewml.serve.loaded_model import LoadedModel

VERSION = "1.0"
"""Of the API: the columns, which are the model's, left out."""

OBJECT: dict[str, Any] = {"type": "object"}

REFUSED = {
    400: "The body is no JSON, or not UTF-8",
    408: "The body did not arrive in time",
    413: "The body, a row, or the number of rows, is too large",
    415: "The body is of another type than application/json",
    422: "A row does not fit; the answer names it, its column, and what was expected",
    500: "The model cannot predict these rows",
    503: "No model is loaded, or too much is asked at once: come again after `Retry-After` seconds",
}


def write_openapi(title: str, served: LoadedModel | None, limits: Limits) -> dict[str, Any]:
    """Return the document.

    Parameters
    ----------
    title
        Of the API.
    served
        The model whose columns a request has; None before one is loaded.
    limits
        Of requests.
    """
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": VERSION},
        "paths": {
            "/predict": {"post": _predict(served, limits)},
            "/health": {"get": _get("Which version serves, and since when", {503: "None does"})},
            "/model": {"get": _get("What the model is", {503: REFUSED[503]})},
        },
    }


def _predict(served: LoadedModel | None, limits: Limits) -> dict[str, Any]:
    rows = {
        "type": "array",
        "minItems": 1,
        "maxItems": limits.request_rows,
        "items": _describe_row(served) if served else OBJECT,
    }
    body = {**OBJECT, "properties": {"rows": rows}, "required": ["rows"]}
    return {
        "summary": "Predict rows",
        "operationId": "predict",
        "requestBody": {
            "required": True,
            **_describe_json({**body, "additionalProperties": False}),
        },
        "responses": {
            "200": {
                "description": "A prediction for each row, in order",
                **_describe_json(_describe_answer(served)),
            },
            **_describe_refusals(REFUSED),
        },
    }


def _describe_row(served: LoadedModel) -> dict[str, Any]:
    return {
        **OBJECT,
        "properties": {column.name: column.schema for column in served.columns},
        "required": [column.name for column in served.columns],
        "additionalProperties": False,
    }


def _describe_answer(served: LoadedModel | None) -> dict[str, Any]:
    names = served.outputs if served else []
    prediction = {**OBJECT, "properties": {name: {} for name in names}}
    errors = {"type": "array", "items": OBJECT, "description": "What went wrong with which rows"}
    return {
        **OBJECT,
        "properties": {
            "model": {"type": "string", "examples": ["purchase@3"]},
            "predictions": {"type": "array", "items": prediction},
            "errors": errors,
        },
    }


def _get(summary: str, refused: dict[int, str]) -> dict[str, Any]:
    return {
        "summary": summary,
        "responses": {
            "200": {"description": summary, **_describe_json(OBJECT)},
            **_describe_refusals(refused),
        },
    }


def _describe_refusals(refused: dict[int, str]) -> dict[str, Any]:
    detail = {**OBJECT, "properties": {"detail": {"type": "string"}}}
    return {
        str(code): {"description": why, **_describe_json(detail)} for code, why in refused.items()
    }


def _describe_json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}
