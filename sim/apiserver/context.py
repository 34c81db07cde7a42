"""One request on its way through the API server, and what every stage may ask of the server."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from seatrial.sim.apiserver.options import Query
from seatrial.sim.apiserver.request import Object, Request, User
from seatrial.sim.apiserver.routing import RequestInfo
from seatrial.sim.machinery.kinds import Resource

if TYPE_CHECKING:
    from seatrial.sim.apiserver.molds import Cast
    from seatrial.sim.apiserver.server import Apiserver

T = TypeVar("T")


class ExternalCall(NamedTuple):
    """A call that leaves the simulation (a webhook, an aggregated API); the edge performs it.

    What comes back is ``Answered``: status and body, or why there is none.
    """

    url: str
    body: bytes
    timeout_us: int
    ca_bundle: bytes = b""
    """PEM; empty for the authorities that the host trusts."""
    method: str = "POST"
    headers: tuple[tuple[str, str], ...] = ()
    """Beyond Content-Type and Accept, which are JSON."""
    server_name: str = ""
    """Whom the certificate has to name, where that is not the URL's host."""
    addresses: tuple[str, ...] = ()
    """Where to connect to, as ``host:port``, one after the other; empty for the URL's own host and port."""
    insecure: bool = False
    """Whether any certificate will do."""


Answered = tuple[int, bytes] | OSError
"""The answer to an ExternalCall."""


Steps = Generator[ExternalCall, Any, T]
"""A stage of the pipeline: yields the calls that leave the simulation, returns its result."""


@dataclass(slots=True)
class Context:
    server: Apiserver
    request: Request
    info: RequestInfo
    resource: Resource
    user: User
    query: Query
    stamp: str
    """The simulated time of the request, RFC 3339."""
    dry_run: bool = False
    warnings: list[str] = field(default_factory=list)
    cast: Cast | None = None
    """Of a new pod that says what others said before it."""
    namespace: str = field(init=False)
    """Where the object is stored; empty for a kind without namespaces, whatever the URL's parts look like."""

    def __post_init__(self) -> None:
        self.namespace = self.info.namespace if self.resource.namespaced else ""

    def for_info(self, info: RequestInfo) -> Context:
        """The same request about another object, as a collection's deletion takes them one by one."""
        return replace(self, info=info)

    @property
    def manager(self) -> str:
        """The field manager of a write that names none (managerOrUserAgent)."""
        agent = self.request.user_agent.split("/", 1)[0]
        if not agent.isprintable():
            agent = "".join(character for character in agent if character.isprintable())
        return agent[:128]


@dataclass(slots=True)
class Attributes:
    """What admission looks at (k8s.io/apiserver/pkg/admission.Attributes). Not changed, but replaced.

    Not frozen, because that makes it three times as dear, and every write makes two.
    """

    operation: str
    """CREATE, UPDATE, DELETE or CONNECT."""
    resource: Resource
    subresource: str
    namespace: str
    name: str
    object: Object | None
    old: Object | None
    user: User
    dry_run: bool = False

    def about(self, obj: Object | None) -> Attributes:
        """The same about another object. By hand, because ``dataclasses.replace`` takes longer than a plug-in."""
        return Attributes(
            self.operation,
            self.resource,
            self.subresource,
            self.namespace,
            self.name,
            obj,
            self.old,
            self.user,
            self.dry_run,
        )

    @property
    def own_body(self) -> bool:
        """Whether the object is not one of the resource's kind but of its subresource's, e.g. an Eviction."""
        return bool(self.subresource) and self.object is not None and self.object.get("kind") != self.resource.kind
