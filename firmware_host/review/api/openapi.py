"""What can be asked of the server, in a form that programs read."""

from __future__ import annotations

import msgspec

from firmware_host.review.endpoints import Binary, Context, endpoint
from firmware_host.review.openapi import description


@endpoint("GET", "/openapi.json", summary="This description")
def openapi(context: Context) -> Binary:  # noqa: ARG001 - every endpoint is handed one
    """Describe the API in OpenAPI 3.1."""
    return Binary(msgspec.json.encode(description()), "application/json")
