"""What listens on machines beside containers: kubelets, the control plane's components, kube-proxy.

Each answers health and metrics, over TLS with a certificate of its own where upstream's does, and asks the API server
who is who as upstream's do (TokenReview, SubjectAccessReview). Source: k8s.io/kubernetes/pkg/kubelet/server (server.go,
auth.go), k8s.io/apiserver/pkg/server/options, k8s.io/kubernetes/cmd/kube-proxy/app/server.go. Not modelled: client
certificates; ``--bind-address``: all listen on every address, where kubeadm's controller manager, scheduler and proxy
take 127.0.0.1 unless told otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from seatrial.sim.apiserver.authentication import authenticate
from seatrial.sim.apiserver.authorization import Attributes, refusal
from seatrial.sim.apiserver.kubelets import Answer
from seatrial.sim.apiserver.request import Credentials, User
from seatrial.sim.apiserver.server import Apiserver
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.machinery.metrics import TEXT
from seatrial.sim.programs import PLAIN, Certificate, own_certificate
from seatrial.sim.workloads.http import HttpConnection
from seatrial.sim.workloads.net import HttpRequest, HttpResponse

KUBELET_PORT: Final = 10250
MANAGER_PORT, SCHEDULER_PORT = 10257, 10259
PROXY_METRICS_PORT, PROXY_HEALTH_PORT = 10249, 10256
HEALTH: Final = ("/healthz", "/livez", "/readyz")
NOT_FOUND: Final = HttpResponse(404, PLAIN, b"404 page not found\n")
SUBRESOURCES: Final = {"metrics": "metrics", "stats": "stats", "logs": "log", "spec": "spec"}
"""What of a node a path of the kubelet stands for (AuthZ of pkg/kubelet/server/auth.go); others are its proxy."""
FINE: Final = {"healthz": "healthz", "configz": "configz", "pods": "pods", "runningpods": "pods"}
"""Paths that a subresource of their own permits, too (KubeletFineGrainedAuthz)."""
Listening = Callable[[], bool]
Answering = Callable[[HttpRequest], HttpResponse]


class Port:
    """A port of a machine. ``listening`` says whether the process is there."""

    def __init__(
        self, name: str, answer: Answering, listening: Listening, certificate: Certificate | None = own_certificate
    ) -> None:
        self.name = name
        self.http = answer
        self.listening = listening
        self.certificate = certificate

    def open(self, on_data: Callable[[bytes], None], on_close: Callable[[], None], client: str) -> Any:
        return HttpConnection(self, on_data, on_close, client)


def path_of(request: HttpRequest) -> str:
    """Without the query and without a slash at the end."""
    return request.path.partition("?")[0].rstrip("/") or "/"


def user_of(server: Apiserver, request: HttpRequest) -> User | None:
    """Who shows a bearer token; None for nobody. Raises ApiError 401 for a token that is none."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        return None
    return authenticate(Credentials(bearer_token=token.strip()), server.tokens.review)


def of_component(server: Apiserver, metrics: Callable[[], bytes]) -> Answering:
    """Of the controller manager and the scheduler: health for everybody, metrics for those who may."""

    def answer(request: HttpRequest) -> HttpResponse:
        path = path_of(request)
        if path in HEALTH:
            return HttpResponse(200, PLAIN, b"ok")
        try:
            user = user_of(server, request) or User("system:anonymous", ("system:unauthenticated",))
            asked = Attributes(request.method.lower(), path=path)
            if not server.authorizer.allowed(user, asked):
                raise refusal(user, asked)
        except ApiError as error:
            return _json(error)
        return HttpResponse(200, {"Content-Type": TEXT}, metrics()) if path == "/metrics" else NOT_FOUND

    return answer


def _json(error: ApiError) -> HttpResponse:
    import orjson

    return HttpResponse(error.code, {"Content-Type": "application/json"}, orjson.dumps(error.status()) + b"\n")


def of_kubelet(server: Apiserver, node: str, get: Callable[[str, Any], Answer]) -> Answering:
    """Of a kubelet: its pages, for those who may read them of the node."""

    def answer(request: HttpRequest) -> HttpResponse:
        path = path_of(request)
        try:
            user = user_of(server, request)
        except ApiError:
            user = None
        if user is None:
            return HttpResponse(401, PLAIN, b"Unauthorized")
        first = path.split("/")[1]
        wanted = SUBRESOURCES.get(first, "proxy")
        tried = [FINE[first], wanted] if first in FINE else [wanted]
        if not any(server.authorizer.allowed(user, _of_node(node, each)) for each in tried):
            text = f"Forbidden (user={user.name}, verb=get, resource=nodes, subresource(s)=[{' '.join(tried)}])\n"
            return HttpResponse(403, PLAIN, text.encode())
        found = get(path, {})
        return HttpResponse(found.code, found.headers, found.body)

    return answer


def _of_node(node: str, subresource: str) -> Attributes:
    return Attributes("get", "", "v1", "nodes", subresource, "", node)


def of_proxy(metrics: Callable[[], bytes]) -> Answering:
    """Metrics of kube-proxy, for everybody."""

    def answer(request: HttpRequest) -> HttpResponse:
        path = path_of(request)
        if path == "/metrics":
            return HttpResponse(200, {"Content-Type": TEXT}, metrics())
        if path == "/proxyMode":
            return HttpResponse(200, PLAIN, b"iptables")
        return HttpResponse(200, PLAIN, b"ok") if path in HEALTH else NOT_FOUND

    return answer


def of_proxy_health(ready: Callable[[], bool]) -> Answering:
    """What cloud load balancers ask of kube-proxy."""

    def answer(request: HttpRequest) -> HttpResponse:
        if path_of(request) not in HEALTH:
            return NOT_FOUND
        return HttpResponse(200 if ready() else 503, {"Content-Type": "application/json"}, b"{}")

    return answer
