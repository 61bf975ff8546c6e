"""What keeps a page of strangers' pictures and names harmless."""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tashihiki.errors import InvalidArgumentError
from tashihiki_server.web.failures import failure_response

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class SecurityHeaders:
    """Adds the headers to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-cache")
            await send(message)

        await self._app(scope, receive, send_with_headers)


class OwnOrigin:
    """Refuses what other sites have a browser ask for.

    A site can give its own name this machine's address; only the Host header tells. It can also
    have its visitors' browsers send requests here, which `Sec-Fetch-Site` tells.
    """

    def __init__(self, app: ASGIApp, *, names: Collection[str] | None) -> None:
        """Serves under these host names only, or under any where None."""
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if self._names is not None and _host(headers.get("host", "")) not in self._names:
            await _refused("the host name is not one of this page")(scope, receive, send)
        elif _from_elsewhere(headers, scope):
            await _refused("the request comes from another site")(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _from_elsewhere(headers: Headers, scope: Scope) -> bool:
    # A link from another site may open the page itself.
    opens = headers.get("sec-fetch-mode") == "navigate" and scope["path"] == "/"
    return headers.get("sec-fetch-site") in ("cross-site", "same-site") and not opens


def _host(header: str) -> str:
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0].lower()


def _refused(why: str) -> ASGIApp:
    return failure_response(
        InvalidArgumentError(
            why,
            reason="ORIGIN_REFUSED",
            remedy="Open the page under the address that `tashihiki serve` printed.",
        ),
        status=403,
    )
