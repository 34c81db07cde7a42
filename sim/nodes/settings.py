"""What a kubelet and its machine are set to: KubeletConfiguration's fields and the runtime's pace.

Source: k8s.io/kubelet/config/v1beta1 and k8s.io/kubernetes/pkg/kubelet/kubelet.go; the paces of the runtime are
between those of an idle and of a busy node with two cores and containerd 1.6.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from seatrial.sim.config import MS, S
from seatrial.sim.nodes.thresholds import DEFAULT_HARD


class KubeletSettings(BaseModel):
    """Times in µs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    port: int = 10250
    sync_frequency_us: int = 60 * S
    """syncFrequency: a pod is synced again after this time, plus up to half."""
    back_off_period_us: int = 10 * S
    """backOffPeriod: a failed sync is repeated after this time, plus up to half."""
    sync_loop_us: int = 1 * S
    """The sync loop looks for due pods this often."""
    housekeeping_us: int = 2 * S
    """housekeepingPeriod: how often the sync loop clears away what pods left behind that run no more."""
    relist_period_us: int = 1 * S
    """genericPlegRelistPeriod: how often the runtime is asked what its containers do."""
    sync_loop_delay_us: int = 400 * MS
    """From the first relist after a kubelet's start to the sync loop's first tick."""
    pods_after_us: int = 1200 * MS
    """From a kubelet's start until it looks after its pods."""
    container_back_off_us: int = 10 * S
    container_back_off_max_us: int = 300 * S
    """crashLoopBackOff.maxContainerRestartPeriod."""
    image_back_off_us: int = 10 * S
    image_back_off_max_us: int = 300 * S
    lease_duration_s: int = 40
    """nodeLeaseDurationSeconds; renewed after a quarter of it."""
    status_report_us: int = 300 * S
    """nodeStatusReportFrequency."""
    status_update_us: int = 10 * S
    """nodeStatusUpdateFrequency: how often the node's status is computed."""
    status_sync_us: int = 10 * S
    """syncPeriod of the status manager: what could not be sent, or was overwritten, is sent again."""
    max_pods: int = 110
    event_qps: float = 50.0
    event_burst: int = 100
    mount_retry_us: int = 500 * MS
    """First delay before a failed mount is tried again; doubles."""
    mount_retry_max_us: int = 122 * S
    mount_timeout_us: int = 123 * S
    """podAttachAndMountTimeout: how long a sync waits for its pod's volumes."""
    graceful_shutdown_us: int = 0
    """shutdownGracePeriod."""

    mount_us: int = 480 * MS
    """From a pod's first sync until its volumes are mounted."""
    sandbox_us: int = 450 * MS
    create_us: int = 30 * MS
    start_us: int = 110 * MS
    stop_sandbox_us: int = 220 * MS
    pull_bytes_per_s: int = 25_000_000
    pull_overhead_us: int = 900 * MS
    preloaded: tuple[str, ...] = ("registry.k8s.io/pause:3.10.1", "busybox:1", "busybox:latest")
    """Images that every node brings along, as a machine image does."""
    sandbox_image: str = "registry.k8s.io/pause:3.10.1"
    """What sandboxes are made of: pinned, so that it is never removed."""
    eviction_hard: Mapping[str, str] = DEFAULT_HARD
    """evictionHard: signal → amount or share; memory's and the disk's are what allocatable lacks of capacity."""
    eviction_soft: Mapping[str, str] = {}
    """evictionSoft."""
    eviction_soft_grace_us: Mapping[str, int] = {}
    """evictionSoftGracePeriod: how long a soft threshold may be met; one for each."""
    eviction_minimum_reclaim: Mapping[str, str] = {}
    """evictionMinimumReclaim: how far above its threshold a signal has to come again."""
    eviction_transition_us: int = 300 * S
    """evictionPressureTransitionPeriod: how long a pressure is reported after it was last seen."""
    eviction_max_pod_grace_s: int = 0
    """evictionMaxPodGracePeriod: the most that a pod gets to end when a soft threshold is met."""
