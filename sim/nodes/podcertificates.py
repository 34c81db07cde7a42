"""Certificates of pods: a kubelet makes a key for each projection that wants one, asks for its certificate in the pod's
name, and asks anew before it ends. Keys and certificates are the kubelet's memory: after a restart it begins again.

Source: k8s.io/kubernetes/pkg/kubelet/podcertificate/podcertificatemanager.go.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from seatrial.sim.apiserver.client import Unreachable
from seatrial.sim.apiserver.informer import Informer
from seatrial.sim.config import S
from seatrial.sim.kernel.clock import Process, Signal, parse_stamp
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.machinery.fields import quoted
from seatrial.sim.nodes import trustbundles
from seatrial.sim.nodes.keys import key_and_proof

if TYPE_CHECKING:
    from seatrial.sim.nodes.kubelet import Kubelet
    from seatrial.sim.nodes.worker import PodWorker

Object = Mapping[str, Any]
Key = tuple[str, str, int]
"""The pod's uid, its volume, the place among the volume's sources."""
ABANDONED_US = 600 * S
"""A request that is nowhere to be seen after so long was deleted."""
OVERDUE_US = 600 * S
JITTER_US = 300 * S
RETRY_US, RETRY_MAX_US = 5_000, 1000 * S
"""workqueue's exponential limiter."""
NOT_YET = "credential bundle is not issued yet"


class NoCredentials(Exception):
    """``args``: why there are none."""


class Bundle(NamedTuple):
    """A key and the certificates that were issued to it, PEM."""

    key: bytes
    chain: bytes
    refresh_us: int
    ends_us: int


class PodCertificates:
    """Of the pods of one kubelet."""

    def __init__(self, kubelet: Kubelet) -> None:
        self._kubelet, self._clock = kubelet, kubelet.clock
        self._resource = kubelet.wiring.kinds.resource("podcertificaterequests.certificates.k8s.io")
        self._rng = kubelet.wiring.streams(f"kubelet/{kubelet.node_name}/certificates")
        self._bundles: dict[Key, Bundle] = {}
        self._refused: dict[Key, str] = {}
        self._processes: dict[Key, Process] = {}
        self._requests: Informer | None = None
        self._watching: Process | None = None
        self._news = Signal(self._clock)

    def track(self, worker: PodWorker) -> None:
        """Sees to the certificates of a pod that is new here."""
        for volume in worker.pod["spec"].get("volumes") or ():
            for index, source in enumerate((volume.get("projected") or {}).get("sources") or ()):
                if "podCertificate" in source:
                    key = (worker.uid, volume["name"], index)
                    steps = self._keep(key, worker, source["podCertificate"])
                    self._processes[key] = self._kubelet.spawn(steps, f"certificate/{worker.key}/{volume['name']}")

    def forget(self, uid: str) -> None:
        """The pod is gone."""
        for key in [key for key in self._processes if key[0] == uid]:
            self._processes.pop(key).kill()
            self._bundles.pop(key, None)
            self._refused.pop(key, None)

    def stop(self) -> None:
        for process in (*self._processes.values(), self._watching):
            if process is not None:
                process.kill()
        self._processes.clear()
        self._bundles.clear()
        self._refused.clear()
        self._requests = self._watching = None

    def bundle(self, uid: str, volume: str, index: int) -> Bundle:
        """What a projection holds. Raises NoCredentials."""
        found = self._bundles.get((uid, volume, index))
        if found is None:
            raise NoCredentials(self._refused.get((uid, volume, index), NOT_YET))
        return found

    def _follow(self) -> Informer:
        """The requests of this node, watched from the first pod on that needs one."""
        if self._requests is None:
            kubelet = self._kubelet
            selector = f"spec.nodeName={kubelet.node_name}"
            self._requests = Informer(
                kubelet.wiring, kubelet.client, self._resource, field_selector=selector, heedless=True
            )
            self._requests.on_change(self._changed)
            self._watching = kubelet.spawn(self._requests.run(), f"{kubelet.name}/podcertificaterequests")
        return self._requests

    def _changed(self, verb: str, new: Object | None, old: Object | None) -> None:
        self._news.fire()

    def _keep(self, key: Key, worker: PodWorker, source: Object) -> Generator[Any, Any, None]:
        """The life of one projection: asks, waits, holds what it got, and asks again in time."""
        while True:
            private, made = yield from self._ask(worker, source)
            answered = yield from self._answer(worker, made, self._bundles.get(key))
            if answered is None:
                continue
            condition, status = answered
            if condition["type"] != "Issued":
                self._refuse(key, worker, made, condition)
                return
            chain = b"".join(trustbundles.pem(der) for der in trustbundles.certificates(status["certificateChain"]))
            refresh_us = parse_stamp(status["beginRefreshAt"]) + self._rng.randrange(JITTER_US)
            self._bundles[key] = Bundle(private, chain, refresh_us, parse_stamp(status["notAfter"]))
            self._kubelet.reference_changed(worker.uid)
            yield self._clock.sleep(max(refresh_us - self._clock.now, 0), periodic=True)

    def _refuse(self, key: Key, worker: PodWorker, request: Object, condition: Object) -> None:
        about, kind = request["metadata"], condition["type"]
        reason, said = condition.get("reason", ""), condition.get("message", "")
        told = f"reason={quoted(reason)} message={quoted(said)}"
        self._bundles.pop(key, None)
        self._refused[key] = f"PodCertificateRequest was permanently {kind.lower()}: {told}"
        verb = "was denied" if kind == "Denied" else "failed"
        name = f"{about['namespace']}/{about['name']}"
        text = f"PodCertificateRequest {name} {verb}, reason={quoted(reason)}, message={quoted(said)}"
        # The message is an argument too many of a format that is the reason.
        worker.event(None, "Warning", kind, f"{reason}%!(EXTRA string={text})")

    def _ask(self, worker: PodWorker, source: Object) -> Generator[Any, Any, tuple[bytes, Object]]:
        """A new key, and the request for its certificate as it was stored."""
        kubelet, delay = self._kubelet, RETRY_US
        pod = worker.pod
        namespace, account = pod["metadata"]["namespace"], pod["spec"].get("serviceAccountName", "default")
        requests = self._follow()
        while not requests.synced:
            yield requests.changed.wait(RETRY_MAX_US, periodic=True)
        while True:
            assert kubelet.node is not None
            private, proof = yield from key_and_proof(source["keyType"], self._rng, self._clock)
            try:
                found = yield from kubelet.client.get(kubelet.accounts, namespace, account)
                body = self._request(pod, found, proof, source)
                return private, (yield from kubelet.client.create(self._resource, body))
            except (ApiError, Unreachable):
                yield self._clock.sleep(delay, periodic=True)
                delay = min(delay * 2, RETRY_MAX_US)

    def _request(self, pod: Object, account: Object, proof: bytes, source: Object) -> Object:
        about, node = pod["metadata"], self._kubelet.node
        assert node is not None
        spec = {
            "signerName": source["signerName"],
            "podName": about["name"],
            "podUID": about["uid"],
            "serviceAccountName": account["metadata"]["name"],
            "serviceAccountUID": account["metadata"]["uid"],
            "nodeName": self._kubelet.node_name,
            "nodeUID": node["metadata"]["uid"],
            "stubPKCS10Request": b64encode(proof).decode(),
        }
        if "maxExpirationSeconds" in source:
            spec["maxExpirationSeconds"] = source["maxExpirationSeconds"]
        if source.get("userAnnotations"):
            spec["unverifiedUserAnnotations"] = source["userAnnotations"]
        owner = {"apiVersion": "v1", "kind": "Pod", "name": about["name"], "uid": about["uid"]}
        return {
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "PodCertificateRequest",
            "metadata": {"namespace": about["namespace"], "generateName": "req-", "ownerReferences": [owner]},
            "spec": spec,
        }

    def _answer(
        self, worker: PodWorker, request: Object, held: Bundle | None
    ) -> Generator[Any, Any, tuple[Object, Object] | None]:
        """(condition, status) that decides a request; None when the request is gone. Meanwhile, tells of a certificate
        that should have been replaced."""
        about, requests = request["metadata"], self._follow()
        gone_us = parse_stamp(about["creationTimestamp"]) + ABANDONED_US + self._rng.randrange(JITTER_US)
        reminders = []
        if held is not None:
            reminders = [
                (held.refresh_us + OVERDUE_US, "CertificateOverdueForRefresh", "PodCertificate refresh overdue"),
                (held.ends_us, "CertificateExpired", "PodCertificate expired"),
            ]
        while True:
            found = requests.view.get(about["namespace"], about["name"])
            status = (found or {}).get("status") or {}
            for condition in status.get("conditions") or ():
                if condition["type"] in ("Issued", "Denied", "Failed"):
                    return condition, status
            now = self._clock.now
            if found is None and now > gone_us:
                return None
            for _, reason, text in [each for each in reminders if each[0] < now]:
                worker.event(None, "Warning", reason, text)
            reminders = [each for each in reminders if each[0] >= now]
            times = [at for at, _, _ in reminders] + ([gone_us] if found is None else [])
            yield self._news.wait(min(times) + 1 - now if times else None, periodic=True)
