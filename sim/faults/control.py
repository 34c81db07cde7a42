"""Faults of the control plane: its processes, etcd, what its API answers, and webhooks."""

from __future__ import annotations

from functools import partial
from typing import Literal

from pydantic import Field

from seatrial.sim.apiserver.client import Verdict
from seatrial.sim.apiserver.request import Request, Response
from seatrial.sim.apiserver.routing import parse
from seatrial.sim.config import MS
from seatrial.sim.faults.fault import Fault
from seatrial.sim.faults.seams import Heal, Judge, Seams, nothing
from seatrial.sim.machinery import errors

READS = ("GET", "HEAD", "OPTIONS")
HEALTH = ("/healthz", "/livez", "/readyz")
ETCD_FAILED = b"[+]ping ok\n[+]log ok\n[-]etcd failed: reason withheld\nhealthz check failed\n"
REQUEST_TIMEOUT_US = 60_000 * MS
"""--request-timeout."""
ETCD_TIMEOUT_US = 7_000 * MS
"""How long the API server waits for etcd before it gives up."""


class ComponentStop(Fault):
    """A process of the control plane or of the network stands still; nothing takes its place."""

    kind = "component-stop"
    opposite = "The process starts, lists anew and takes its lease."
    subject = "component"
    symptom = "What it does is not done: pods stay Pending without a scheduler, replicas missing without controllers."
    component: str = Field(
        min_length=1,
        description="kube-scheduler, kube-controller-manager, csi-attacher, kube-proxy/NODE, network-policies, speaker",
    )

    def start(self, seams: Seams) -> Heal:
        return seams.stop(self.component)


class ComponentRestart(Fault):
    """A process ends and is started again at once, with nothing in its memory."""

    kind = "component-restart"
    subject = "component"
    symptom = "A short pause: views are listed anew, a lease has to be taken again."
    once = True
    component: str = Field(min_length=1, description="As of component-stop.")

    def start(self, seams: Seams) -> Heal:
        seams.stop(self.component)()
        return nothing


class ApiserverDown(Fault):
    """The API server's process is gone: connections are refused, and what is held open through it breaks off: watches,
    followed logs, exec, attach and port-forward."""

    kind = "apiserver-down"
    opposite = "The API server answers; components list and watch anew."
    symptom = "Nothing changes any more, and what runs goes on; the components list anew afterwards."

    def start(self, seams: Seams) -> Heal:
        endpoint = seams.wiring.endpoint
        return seams.hold("apiserver", partial(setattr, endpoint, "up", False), partial(setattr, endpoint, "up", True))


def refusal(code: int, reason: str, message: str) -> Response:
    return Response(code, errors.ApiError(code, reason, message, {}).status())


def needs_etcd(request: Request) -> bool:
    """Whether a request goes to etcd: what the watch cache may answer does not."""
    if not request.path.startswith(("/api/", "/apis/")) or len(request.path.strip("/").split("/")) < 3:
        return False
    versions = request.query.get("resourceVersion", ())
    cached = request.query.get("watch") or (request.method == "GET" and versions and versions[0] == "0")
    return not cached


class EtcdNoQuorum(Fault):
    """etcd has no leader: it takes no write and answers no consistent read."""

    kind = "etcd-no-quorum"
    opposite = "etcd has a leader again."
    symptom = "Requests end after seven seconds with `etcdserver: request timed out`; watches stay silent."

    def start(self, seams: Seams) -> Heal:
        answer = refusal(500, "", "etcdserver: request timed out")

        def judge(request: Request) -> Verdict | None:
            return Verdict(ETCD_TIMEOUT_US, answer) if needs_etcd(request) else None

        return seams.judge(judge)


class EtcdDown(Fault):
    """etcd's process is gone."""

    kind = "etcd-down"
    opposite = "etcd runs again, with all that it had written."
    symptom = (
        "Requests end after a minute with a time-out; /readyz and /livez fail at etcd; leases run out, so that nodes "
        "are of unknown state afterwards for a moment, and leaders are elected anew."
    )

    def start(self, seams: Seams) -> Heal:
        answer = refusal(504, "Timeout", "Timeout: request did not complete within requested timeout")
        ill = Response(500, ETCD_FAILED, "text/plain; charset=utf-8")

        def judge(request: Request) -> Verdict | None:
            if request.path in HEALTH:
                return Verdict(0, ill)
            return Verdict(REQUEST_TIMEOUT_US, answer) if needs_etcd(request) else None

        return seams.judge(judge)


class EtcdSlow(Fault):
    """etcd's disk is slow: everything that goes there takes longer."""

    kind = "etcd-slow"
    opposite = "The disk is as fast as before."
    symptom = "Every write and consistent read is slower by that much; leases may not be renewed in time."
    delay_ms: int = Field(default=500, ge=1, description="How much longer, in milliseconds.")

    def start(self, seams: Seams) -> Heal:
        verdict = Verdict(self.delay_ms * MS)
        return seams.judge(lambda request: verdict if needs_etcd(request) else None)


class EtcdFull(Fault):
    """etcd's database has reached its quota: it takes deletions only."""

    kind = "etcd-full"
    opposite = "There is space again (compacted, defragmented, alarm disarmed)."
    symptom = "Writes are refused with `etcdserver: mvcc: database space exceeded`; nodes go NotReady for their leases."

    def start(self, seams: Seams) -> Heal:
        answer = refusal(500, "", "etcdserver: mvcc: database space exceeded")

        def judge(request: Request) -> Verdict | None:
            writes = request.method not in (*READS, "DELETE") and needs_etcd(request)
            return Verdict(0, answer) if writes else None

        return seams.judge(judge)


class EtcdCompact(Fault):
    """etcd forgets its history at this moment."""

    kind = "etcd-compact"
    symptom = "Lists and watches from an older resourceVersion get 410 Gone; components list anew."
    once = True

    def start(self, seams: Seams) -> Heal:
        seams.store.compact(seams.store.revision)
        return nothing


class ApiFault(Fault):
    """The API server answers some requests late or with an error."""

    kind = "api-fault"
    opposite = "Requests are answered as ever."
    subject = "resource"
    symptom = "Those requests take longer or fail; what retries goes on when it is over."
    verb: Literal["", "get", "list", "watch", "create", "update", "patch", "delete"] = Field(
        default="", description="The verb; empty for all."
    )
    resource: str = Field(default="", description="The plural, as in pods or deployments; empty for all.")
    namespace: str = Field(default="", description="The namespace; empty for all.")
    user: str = Field(default="", description="The beginning of the user's name; empty for all.")
    code: int = Field(default=0, description="The status of the answer; 0: the server's own answer, only later.")
    delay_ms: int = Field(default=0, ge=0, description="How much later, in milliseconds.")
    share: float = Field(default=1.0, gt=0, le=1, description="The share of requests that it hits.")

    def start(self, seams: Seams) -> Heal:
        return seams.judge(self._judge(seams))

    def _judge(self, seams: Seams) -> Judge:
        rng = seams.wiring.streams("faults/api")
        row = ANSWERS.get(self.code, ("InternalError", "an injected fault"))
        answer = refusal(self.code, *row) if self.code else None
        verdict = Verdict(self.delay_ms * MS, answer)

        def judge(request: Request) -> Verdict | None:
            if not self._hits(request) or (self.share < 1 and rng.random() >= self.share):
                return None
            return verdict

        return judge

    def _hits(self, request: Request) -> bool:
        info = parse(request.method, request.path, bool(request.query.get("watch")))
        user = request.user.name if request.user is not None else ""
        return (
            (not self.verb or info.verb == self.verb)
            and (not self.resource or info.resource == self.resource)
            and (not self.namespace or info.namespace == self.namespace)
            and user.startswith(self.user)
        )


ANSWERS = {
    403: ("Forbidden", "forbidden by an injected fault"),
    409: ("Conflict", "the object has been modified; please apply your changes to the latest version and try again"),
    429: ("TooManyRequests", "Too many requests, please try again later."),
    500: ("InternalError", "Internal error occurred: an injected fault"),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: ("Timeout", "Timeout: request did not complete within the allotted timeout"),
}
"""Reason and message by status."""


class CertificateExpiry(Fault):
    """A client's certificate has expired: the API server does not know it any more. What is connected stays so."""

    kind = "certificate-expiry"
    opposite = "The certificate is renewed."
    subject = "user"
    symptom = "Its requests get 401 Unauthorized; a node's lease runs out, and it is NotReady after 40 to 60 s."
    user: str = Field(
        min_length=1, description="The beginning of the user's name, as system:node:w1-k8s or system:kube-scheduler."
    )

    def start(self, seams: Seams) -> Heal:
        verdict = Verdict(0, refusal(401, "Unauthorized", "Unauthorized"))

        def judge(request: Request) -> Verdict | None:
            user = request.user.name if request.user is not None else ""
            return verdict if user.startswith(self.user) else None

        return seams.judge(judge)


class WebhookDown(Fault):
    """Calls of the API server to webhooks, conversions and aggregated APIs find nobody."""

    kind = "webhook-down"
    opposite = "Calls reach whoever serves there."
    subject = "url"
    symptom = "With failurePolicy Fail the requests that it judges are refused, with Ignore they pass unseen."
    url: str = Field(default="", description="A part of the URL; empty for all.")

    def start(self, seams: Seams) -> Heal:
        return seams.refuse_calls(self.url)


CONTROL = (
    ComponentStop, ComponentRestart, ApiserverDown, EtcdDown, EtcdNoQuorum, EtcdSlow, EtcdFull, EtcdCompact, ApiFault,
    CertificateExpiry, WebhookDown,
)  # fmt: skip
