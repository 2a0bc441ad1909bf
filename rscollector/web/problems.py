"""What the API answers when it cannot give what was asked for (RFC 9457): one shape for all. Pure."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

MOST_NAMED = 20


def problem(
    status: int, detail: str, *, there_is: Sequence[str] = (), headers: Mapping[str, str] | None = None
) -> Response:
    """Return an answer that says in a sentence what is wrong, and in `there_is` the paths that there are."""
    told: dict[str, Any] = {
        "type": "about:blank",  # the status says what kind of problem it is
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if there_is:
        told["there_is"] = list(there_is[:MOST_NAMED])
    headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"} | dict(headers or {})
    body = json.dumps(told, ensure_ascii=False).encode("utf-8", "replace")
    return Response(body + b"\n", status, headers, "application/problem+json")
