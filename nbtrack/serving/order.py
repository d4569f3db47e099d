"""What an owner tells its worker: one line of JSON down the pipe that then stays as the pipe of life."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Final

GRACE_S: Final = 5.0  # for requests in flight, when a worker is asked to stop


@dataclass(frozen=True, slots=True)
class Order:
    """What to serve. `follow` is a URI whose meaning may change, such as a stage; `resolved_uri` is what it meant.

    `share` is a duplicated socket (Windows), `fd` an inherited one (elsewhere).

    The token travels here and nowhere else: not in the command line, not in the environment.
    """

    server_id: str
    store_uri: str
    resolved_uri: str
    follow: str = ""
    shadow: str = ""  # the URI of a model that is asked the same
    fd: int = -1
    share: str = ""
    tied: bool = True  # to the pipe of life
    token: str = field(default="", repr=False)
    allowed_hosts: tuple[str, ...] = ()

    def line(self) -> bytes:
        """Return it as it travels."""
        return json.dumps(asdict(self)).encode() + b"\n"


def read_order(line: bytes) -> Order:
    """Return what a line says."""
    raw = json.loads(line)
    return Order(**(raw | {"allowed_hosts": tuple(raw["allowed_hosts"])}))
