"""What an owner tells its worker: one line of JSON down the pipe that then stays as the pipe of life."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import msgspec

GRACE_S: Final = 5.0  # for requests in flight, when a worker is asked to stop


@dataclass(frozen=True, slots=True)
class Wanted:
    """One model: `follow` is a URI whose meaning may change, such as a stage; `resolved_uri` is what it meant."""

    resolved_uri: str
    follow: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """What to serve, and how.

    `share` is a duplicated socket (Windows), `fd` an inherited one (elsewhere).

    The token travels here and nowhere else: not in the command line, not in the environment.
    """

    server_id: str
    store_uri: str
    models: tuple[Wanted, ...]
    shadow: str = ""  # the URI of a model that is asked the same
    split: tuple[int, ...] = ()  # how many requests of all go to each of the first two models
    log_share: float = 0.0  # of the requests that are looked at and logged
    log_max_bytes: int = 0
    mask: tuple[str, ...] = ()  # columns that the log does not hold
    fd: int = -1
    share: str = ""
    tied: bool = True  # to the pipe of life
    token: str = field(default="", repr=False)
    allowed_hosts: tuple[str, ...] = ()
    trust: tuple[str, ...] = ()  # digests of strangers' models that may run their own code

    def trusted(self, digest: str) -> str | None:
        """Return the digest if it is a trusted one."""
        return digest if digest in self.trust else None

    def line(self) -> bytes:
        """Return it as it travels."""
        return msgspec.json.encode(self) + b"\n"


def read_order(line: bytes) -> Order:
    """Return what a line says."""
    return msgspec.json.decode(line, type=Order)
