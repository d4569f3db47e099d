"""Who may talk to a model server: nobody from a strange page, nobody under a strange name, nobody without the token.

A browser tells where a request comes from (``Host``, ``Origin``, ``Sec-Fetch-Site``). A page that some other site put
together, or reached us under a name it had pointed at this machine, is turned away before anything is read.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from typing import Final

from nbtrack.serving.refusal import Refusal

Headers = Sequence[tuple[bytes, bytes]]

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
_WATCHED: Final = frozenset({b"host", b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"authorization"})
_OPEN_PATHS: Final = frozenset({"/ping"})  # what a load balancer asks without a token


class Guard:
    """Decides on a request from its head alone.

    Parameters
    ----------
    allowed_hosts
        Names under which the server may be reached besides those of this machine, without port.
    token
        If set, every path but ``/ping`` needs ``Authorization: Bearer <token>``; the name then does not matter, for
        no strange page can know the token.
    """

    def __init__(self, allowed_hosts: Iterable[str] = (), token: str = "") -> None:
        self._hosts = _LOOPBACK | {host.lower() for host in allowed_hosts}
        self._token = token.encode()
        self._known: set[bytes] = set()  # Host headers seen and found good

    def check(self, method: str, path: str, headers: Headers) -> None:
        """Let a request pass.

        Raises
        ------
        Refusal
            With status 401 or 403.
        """
        host = origin = site = mode = authorization = None
        hosts = 0
        for name, value in headers:
            if name not in _WATCHED:
                continue
            if name == b"host":
                host = value
                hosts += 1
            elif name == b"origin":
                origin = value
            elif name == b"sec-fetch-site":
                site = value
            elif name == b"sec-fetch-mode":
                mode = value
            else:
                authorization = value
        if hosts != 1 or host is None:
            raise Refusal("the request must name exactly one Host.", status=403, expected="one Host header")
        if not self._token and host not in self._known:
            self._check_host(host)
        if origin is not None and origin not in (b"http://" + host, b"https://" + host):
            raise Refusal("requests from pages of another origin are not answered.", status=403)
        # A click on a link to one of our pages is fine: the other site reads nothing, and nothing is changed.
        clicked = method == "GET" and mode == b"navigate"
        if site is not None and site not in (b"same-origin", b"none") and not clicked:
            raise Refusal("requests from pages of another site are not answered.", status=403)
        if self._token and path not in _OPEN_PATHS and not self._knows_token(authorization):
            raise Refusal(
                "this server asks for its token.", status=401, expected="a header Authorization: Bearer <token>"
            )

    def _check_host(self, host: bytes) -> None:
        name = host.decode("latin-1").lower()
        if name.startswith("["):
            name, bracket, port = name.partition("]")
            name, port = name + bracket, port.removeprefix(":")
        else:
            name, _, port = name.partition(":")
        if name.removesuffix(".") not in self._hosts or (port and not port.isdecimal()):
            raise Refusal(
                "this server is not reached under that name; use 127.0.0.1 or localhost, or start it with the name"
                " among its allowed hosts.",
                status=403,
            )
        if len(self._known) < 100:
            self._known.add(host)

    def _knows_token(self, authorization: bytes | None) -> bool:
        scheme, _, given = (authorization or b"").partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(), self._token)
