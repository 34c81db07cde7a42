"""Every default once, on its field, with unit, reason and upstream's flag.

These values are what people write: the ``Seatrial.yaml`` of a cluster, the ``cluster:`` of a scenario and the argument
of ``Cluster(...)`` are all a ``ClusterSpec``.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

US = 1
MS = 1_000
S = 1_000_000
"""Microseconds: the unit of simulated time."""

EPOCH_US = 1_767_225_600 * S
"""2026-01-01T00:00:00Z: where the simulated calendar of a cluster without a wall clock begins."""


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NetworkSpec(_Spec):
    """Addresses of the cluster."""

    service_cidr: str = "10.96.0.0/12"
    """--service-cluster-ip-range, kubeadm's default."""
    pod_cidr: str = "172.16.0.0/16"
    """--cluster-cidr; the range the book's clusters use."""
    node_port_range: tuple[int, int] = (30000, 32767)
    """--service-node-port-range."""
    node_subnet: str = "192.168.1"
    """First three bytes of the nodes' addresses: the control plane is .10, workers begin at .101."""
    load_balancer_pool: tuple[str, str] = ("192.168.1.11", "192.168.1.19")
    """First and last address that the load-balancer provider hands out."""
    dns_domain: str = "cluster.local"
    """--cluster-domain."""


class NodeSpec(_Spec):
    """The size of every worker."""

    cpus: int = 2
    memory: str = "4Gi"
    pods: int = 110
    """--max-pods."""
    ephemeral_storage: str = "50Gi"


class LatencySpec(_Spec):
    """One-way delays of the cluster's links."""

    control_plane_us: int = 500
    """Between a control plane component and the API server on the same machine."""
    node_us: int = 1_000
    """Between a node and the API server."""


class ApiserverSpec(_Spec):
    """The API server's limits."""

    watch_cache_changes: int = Field(default=100_000, ge=1000)
    """Changes that the log keeps for watches; older positions get 410 Gone."""
    quota_bytes: int = 2 * 1024**3
    """etcd --quota-backend-bytes."""
    event_ttl_s: int = 3600
    """--event-ttl."""
    max_requests_inflight: int = Field(default=400, ge=0)
    """--max-requests-inflight: requests that read and wait; 0 for no limit."""
    max_mutating_requests_inflight: int = Field(default=200, ge=0)
    """--max-mutating-requests-inflight."""
    compaction_period_us: int = Field(default=300 * S, gt=0)
    """--etcd-compaction-interval: what was listed in pages before the last period but one has to be listed anew."""
    bookmark_period_us: int = 60 * S
    """How often a watch that asked for bookmarks gets one (cacher's bookmarkFrequency)."""
    watch_timeout_min_s: int = 1800
    """--min-request-timeout: a watch without timeoutSeconds lasts this long, up to twice as long."""


class ClientSpec(_Spec):
    """Client-side limits of the built-in components."""

    controller_manager_qps: float = 20.0
    """--kube-api-qps of kube-controller-manager."""
    controller_manager_burst: int = 30
    """--kube-api-burst of kube-controller-manager."""
    scheduler_qps: float = 50.0
    """clientConnection.qps of kube-scheduler."""
    scheduler_burst: int = 100
    """clientConnection.burst of kube-scheduler."""
    kubelet_qps: float = 50.0
    """kubeAPIQPS of the kubelet."""
    kubelet_burst: int = 100
    """kubeAPIBurst of the kubelet."""


class AutoscalingSpec(_Spec):
    """The horizontal pod autoscaler's flags."""

    tolerance: float = Field(default=0.1, ge=0)
    """--horizontal-pod-autoscaler-tolerance."""
    cpu_initialization_us: int = 300 * S
    """--horizontal-pod-autoscaler-cpu-initialization-period."""
    initial_readiness_us: int = 30 * S
    """--horizontal-pod-autoscaler-initial-readiness-delay."""
    downscale_window_us: int = 300 * S
    """--horizontal-pod-autoscaler-downscale-stabilization."""
    sync_period_us: int = Field(default=15 * S, gt=0)
    """--horizontal-pod-autoscaler-sync-period."""


class AttachDetachSpec(_Spec):
    """The attach-detach controller's flags."""

    disable_force_detach_on_timeout: bool = False
    """--disable-force-detach-on-timeout: a volume in use stays attached to a node that is not ready for as long as the
    node is not out of service."""


class ProvisionStep(_Spec):
    """One thing to do with a cluster that has just been made: manifests to apply, or lines for a shell on machines. The
    command line does it; the simulation knows nothing of it."""

    apply: str = ""
    """A file or folder of manifests, beside the specification's file."""
    shell: str = ""
    """Lines for a shell on machines, run as root."""
    nodes: tuple[str, ...] = ()
    """The machines for ``shell``; all of them if none is named."""

    @model_validator(mode="after")
    def _one(self) -> ProvisionStep:
        if bool(self.apply) == bool(self.shell):
            raise ValueError("a step has either apply: or shell:")
        if self.nodes and not self.shell:
            raise ValueError("nodes: is for steps with shell:")
        return self


class ClusterSpec(_Spec):
    """A whole cluster."""

    name: str = Field(default="seatrial", pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=40)
    nodes: int = Field(default=3, ge=0, le=5000)
    """Workers; the control plane node comes on top unless there are none."""
    node_names: str = Field(default="w{n}-k8s", pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?\{n\}([-.a-z0-9]*[a-z0-9])?$")
    """The workers' names; ``{n}`` counts from 1."""
    controllers: Literal["all", "none"] = "all"
    """``none``: a bare API server, what users of envtest want."""
    control_plane_only: bool = False
    """Controllers and scheduler, but no node, no kubelet and no add-on, so that outside kubelets can register."""
    addons: bool = True
    """kube-proxy, CoreDNS and the control plane's static pods, as kubeadm puts them; only where there are machines."""
    metrics_server: bool = True
    """Among the add-ons, though kubeadm leaves it to others: what kubectl top and the autoscaler ask."""
    api_profile: Literal["", "book"] = ""
    """``book``: also the versions that Kubernetes 1.18 served and later ones do not, e.g. extensions/v1beta1."""
    kubernetes_version: str = "v1.37.2"
    epoch_us: int = EPOCH_US
    """Where the simulated calendar begins, in µs since the Unix epoch; a live cluster begins at the wall clock."""
    network: NetworkSpec = NetworkSpec()
    node: NodeSpec = NodeSpec()
    latency: LatencySpec = LatencySpec()
    apiserver: ApiserverSpec = ApiserverSpec()
    client: ClientSpec = ClientSpec()
    autoscaling: AutoscalingSpec = AutoscalingSpec()
    attach_detach: AttachDetachSpec = AttachDetachSpec()
    scheduler_config: str = ""
    """The text of the scheduler's KubeSchedulerConfiguration file (--config); empty for its defaults."""
    provision: tuple[ProvisionStep, ...] = ()
    """What is done after the first start."""
