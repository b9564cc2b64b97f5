"""The description of the API, OpenAPI 3.1, made from what the endpoints declare; and the page about it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any

import msgspec

import firmware_host
from firmware_host.review.endpoints import Binary, Endpoint, Stored, find_endpoints

FILES = (Binary, Stored)
"""Answers that are no JSON."""
_PREFACE = """\
# API of the review server

What the pages ask of the server can be asked by any program on the same computer. This page is made from the
code: `python -m firmware_host.review > docs/api.md`. A running server has the same, with all types, at
`/api/openapi.json` (OpenAPI 3.1).

Writes need the header `Content-Type: application/json` and an `Origin` that is the server's own address;
bodies hold at most 1 MB. What goes wrong is answered with 4xx or 5xx and `{"error": "a sentence"}`. Numbers
that are not known are null. Where a token is asked for, the address with `?token=` gives a cookie.

Counts that the folder's settings keep back are null, or refused with 403; `show=true` asks for those that are
shown on request only."""


class Failure(msgspec.Struct, frozen=True):
    """What went wrong."""

    error: str
    """One plain sentence."""


def description(endpoints: Sequence[Endpoint] | None = None) -> dict[str, Any]:
    """Return the OpenAPI document of the endpoints, by default of all that there are."""
    found = find_endpoints() if endpoints is None else endpoints
    told = [kind for one in found for kind in (one.query, one.body, one.result)]
    kinds = list(
        dict.fromkeys([*(kind for kind in told if kind not in {None, NoneType, Binary, Stored}), Failure])
    )
    schemas, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    types = _Types(dict(zip(kinds, schemas, strict=True)), components)
    paths: dict[str, Any] = {}
    for one in found:
        paths.setdefault(f"/api{one.path}", {})[one.method.lower()] = _operation(one, types)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "twitchmap review",
            "version": firmware_host.__version__,
            "description": "Nights, counts and labels of one folder. Counts are counts, not a diagnosis.",
        },
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": dict(sorted(components.items()))},
    }


def page_text(document: dict[str, Any]) -> str:
    """Return the description as a page of documentation (`docs/api.md`)."""
    lines = [_PREFACE]
    for path, methods in document["paths"].items():
        for method, one in methods.items():
            lines += ["", f"## {method.upper()} {path}", "", f"{one['summary']}. {one['description']}"]
            lines += _parameters_text(one)
            for what, content in (
                ("Takes", one.get("requestBody")),
                ("Answers", one["responses"].get("200")),
            ):
                if content:
                    lines += ["", f"{what} {_content_text(content['content'])}."]
    lines += ["", "## Types"]
    for name, schema in document["components"]["schemas"].items():
        lines += ["", f"### {name}", "", *_schema_text(schema)]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class _Types:
    """The schema of each type that comes in or goes out, and what those refer to by name."""

    of: dict[Any, dict[str, Any]]
    components: dict[str, Any]

    def as_json(self, kind: Any) -> dict[str, Any]:  # noqa: ANN401
        return {"application/json": {"schema": self.of[kind]}}


def _operation(one: Endpoint, types: _Types) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{one.function.__module__.rpartition('.')[2]}_{one.function.__name__}",
        "summary": one.summary,
        "description": " ".join((inspect.getdoc(one.function) or "").split()),
        "parameters": [*_in_path(one), *_in_query(one, types)],
        "responses": {
            **_answer(one.result, types),
            "4XX": {
                "description": "It was not possible; the sentence says why.",
                "content": types.as_json(Failure),
            },
        },
    }
    if one.body is not None:
        operation["requestBody"] = {"required": True, "content": types.as_json(one.body)}
    return operation


def _in_path(one: Endpoint) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": msgspec.json.schema(kind)}
        for name, kind in one.parameters.items()
    ]


def _in_query(one: Endpoint, types: _Types) -> list[dict[str, Any]]:
    if one.query is None:
        return []
    schema = types.components[_name(types.of[one.query])]
    required = set(schema.get("required", ()))
    return [
        {"name": name, "in": "query", "required": name in required, "schema": kind}
        for name, kind in schema["properties"].items()
    ]


def _answer(result: Any, types: _Types) -> dict[str, Any]:  # noqa: ANN401
    if result in {None, NoneType}:
        return {"204": {"description": "Done."}}
    content = {"*/*": {}} if result in FILES else types.as_json(result)
    return {"200": {"description": "The answer.", "content": content}}


def _name(schema: dict[str, Any]) -> str:
    """Return the name that a schema refers to."""
    return str(schema["$ref"]).rpartition("/")[2]


def _parameters_text(one: dict[str, Any]) -> list[str]:
    rows = [
        f"| `{parameter['name']}` | {parameter['in']} | {_type_text(parameter['schema'])} |"
        for parameter in one["parameters"]
    ]
    return ["", "| parameter | in | type |", "| --- | --- | --- |", *rows] if rows else []


def _content_text(content: dict[str, Any]) -> str:
    (media_type, what), *_ = content.items()
    return _type_text(what["schema"]) if "schema" in what else f"bytes (`{media_type}`)"


def _schema_text(schema: dict[str, Any]) -> list[str]:
    text = " ".join(schema.get("description", "").split())
    rows = [f"| `{name}` | {_type_text(kind)} |" for name, kind in schema.get("properties", {}).items()]
    table = ["", "| field | type |", "| --- | --- |", *rows] if rows else []
    return [*([text] if text else []), *table] or [_type_text(schema)]


def _type_text(schema: dict[str, Any]) -> str:
    """Return a type in words: "number, 0 to 60", "list of ListedSite"."""
    if "$ref" in schema:
        name = _name(schema)
        return f"[{name}](#{re.sub(r'[^a-z0-9_-]', '', name.lower())})"
    if "anyOf" in schema:
        return " or ".join(_type_text(kind) for kind in schema["anyOf"])
    if "enum" in schema:
        return ", ".join("null" if value is None else f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        inner = schema.get("items") or {}
        return f"list of {_type_text(inner)}" if inner else "list"
    words = [str(schema.get("type", "anything"))]
    for key, word in (("minimum", "from"), ("maximum", "to"), ("maxLength", "at most")):
        if key in schema:
            words.append(f"{word} {schema[key]}" + (" characters" if key == "maxLength" else ""))
    if "default" in schema and schema["default"] not in (None, [], ""):
        words.append(f"else {schema['default']}")
    return ", ".join(words)
