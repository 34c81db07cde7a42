"""What a kubelet counts, and its pages ``/metrics``, ``/metrics/probes`` and ``/metrics/cadvisor``.

Source: k8s.io/kubernetes/pkg/kubelet/metrics/metrics.go, pkg/kubelet/prober/prober_manager.go, google/cadvisor
(metrics/prometheus.go). Figures of containers are looked up when somebody asks. Not modelled: input and output of
containers, which stay at zero, and the time that the runtime takes for an operation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from seatrial.sim.kernel.clock import parse_stamp
from seatrial.sim.machinery import quantity
from seatrial.sim.machinery.metrics import TEXT, Labels, Meters, Rows, exposition, families, standing
from seatrial.sim.nodes.cri import CREATED, EXITED, RUNNING, ContainerRecord

if TYPE_CHECKING:
    from seatrial.sim.nodes.kubelet import Kubelet
    from seatrial.sim.nodes.statistics import Consumer
    from seatrial.sim.nodes.worker import PodWorker

COMPONENT: Final = "kubelet"
PROBES: Final = "prober_probe_total"
STATES: Final = {CREATED: "created", EXITED: "exited", RUNNING: "running"}
RESULTS: Final = {"success": "successful", "failure": "failed"}
CFS_PERIOD_US: Final = 100_000
PAUSE: Final = "registry.k8s.io/pause:3.10.1"
INTERFACE: Final = "eth0"


def operated(meters: Meters, operation: str) -> None:
    """The runtime was asked for something."""
    meters.count("kubelet_runtime_operations_total", (operation,))
    meters.observe("kubelet_runtime_operations_duration_seconds", 0, (operation,))
    if operation == "run_podsandbox":
        meters.count("kubelet_started_pods_total")
        meters.observe("kubelet_run_podsandbox_duration_seconds", 0, ("",))
    elif operation == "start_container":
        meters.count("kubelet_started_containers_total", ("container",))


def probed(meters: Meters, worker: PodWorker, container: str, kind: str, result: str, times: int = 1) -> None:
    """A probe came to a result, or several times to the same."""
    metadata = worker.pod["metadata"]
    place = (container, metadata["namespace"], metadata["name"], metadata["uid"])
    meters.count(PROBES, (*place, kind.capitalize(), RESULTS.get(result, "unknown")), times)


def started(meters: Meters, worker: PodWorker, containers: Iterable[ContainerRecord], now_us: int) -> None:
    """Looks whether all containers of a pod run for the first time."""
    names = [container["name"] for container in worker.pod["spec"].get("containers") or ()]
    running = [each for each in containers if each.state == RUNNING and each.name in names]
    if len(running) < len(names) or any(each.attempt for each in running) or worker.counted:
        return
    worker.counted = True
    stamp = worker.pod["metadata"].get("creationTimestamp")
    created_us = parse_stamp(stamp) if stamp else now_us
    meters.observe("kubelet_pod_start_duration_seconds", max(now_us - worker.started_us, 0))
    meters.observe("kubelet_pod_start_sli_duration_seconds", max(now_us - created_us, 0), ("false",))
    meters.observe("kubelet_pod_start_total_duration_seconds", max(now_us - created_us, 0), ("false",))


def evicted(meters: Meters, signal: str) -> None:
    """A pod had to go because something ran out."""
    meters.count("kubelet_evictions", (signal,))


def metrics(kubelet: Kubelet) -> tuple[str, bytes]:
    """/metrics."""
    containers: dict[Labels, float] = {(state,): 0 for state in STATES.values()}
    plugins: dict[Labels, float] = {}
    pods = static = 0
    for uid, worker in kubelet.workers.items():
        record = kubelet.runtime.record(uid)
        pods += any(each.state == RUNNING for each in record.containers)
        static += worker.static
        for each in record.containers:
            containers[(STATES[each.state],)] += 1
        for volume in worker.pod["spec"].get("volumes") or ():
            plugin = next((key for key in volume if key != "name"), "emptyDir")
            for state in ("actual_state_of_world", "desired_state_of_world"):
                key = (f"kubernetes.io/{_hyphened(plugin)}", state)
                plugins[key] = plugins.get(key, 0) + 1
    desired: Rows = {("",): len(kubelet.workers) - static, ("true",): static}
    values: dict[str, Rows | float] = {
        **standing(kubelet.wiring.spec.kubernetes_version, kubelet.begun_us),
        "kubelet_node_name": {(kubelet.node_name,): 1},
        "kubelet_running_pods": pods,
        "kubelet_running_containers": containers,
        "kubelet_desired_pods": desired,
        "kubelet_active_pods": desired,
        "kubelet_mirror_pods": static,
        "kubelet_pleg_last_seen_seconds": kubelet.clock.now / 1_000_000,
        "volume_manager_total_volumes": plugins,
        **_claims(kubelet),
    }
    known = [name for name in families(COMPONENT) if name != PROBES]
    return TEXT, kubelet.meters.text(values, known)


def probes(kubelet: Kubelet) -> tuple[str, bytes]:
    """/metrics/probes."""
    for worker in kubelet.workers.values():
        worker.probes.settle()
    return TEXT, kubelet.meters.text({}, [PROBES])


def _hyphened(plugin: str) -> str:
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in plugin)


def _claims(kubelet: Kubelet) -> dict[str, Rows | float]:
    """Sizes of claims that pods of this node use."""
    sizes: dict[Labels, float] = {}
    for worker in kubelet.workers.values():
        namespace = worker.pod["metadata"]["namespace"]
        for volume in worker.pod["spec"].get("volumes") or ():
            name = (volume.get("persistentVolumeClaim") or {}).get("claimName", "")
            found = kubelet.volume_manager.claimed(namespace, name) if name else None
            if found is not None:
                sizes[namespace, name] = float(quantity.parse(found["spec"]["capacity"]["storage"]).value())
    inodes = {key: size // 16384 for key, size in sizes.items()}
    nothing: Rows = dict.fromkeys(sizes, 0)
    prefix = "kubelet_volume_stats_"
    return {
        f"{prefix}capacity_bytes": sizes,
        f"{prefix}available_bytes": sizes,
        f"{prefix}used_bytes": nothing,
        f"{prefix}inodes": inodes,
        f"{prefix}inodes_free": inodes,
        f"{prefix}inodes_used": nothing,
    }


Value = Callable[["Consumer"], float]
CONTAINER_VALUES: Final[Mapping[str, Value]] = {
    "container_cpu_system_seconds_total": lambda used: used.cpu_total_ns * 0.2 / 1e9,
    "container_cpu_user_seconds_total": lambda used: used.cpu_total_ns * 0.8 / 1e9,
    "container_last_seen": lambda used: (used.started_us + used.age_us) // 1_000_000,
    "container_memory_cache": lambda used: 0,
    "container_memory_failcnt": lambda used: 0,
    "container_memory_mapped_file": lambda used: 0,
    "container_memory_max_usage_bytes": lambda used: used.memory,
    "container_memory_rss": lambda used: used.memory * 9 // 10,
    "container_memory_swap": lambda used: 0,
    "container_memory_usage_bytes": lambda used: used.memory,
    "container_memory_working_set_bytes": lambda used: used.memory,
    "container_oom_events_total": lambda used: used.ooms,
    "container_processes": lambda used: 1,
    "container_sockets": lambda used: 0,
    "container_start_time_seconds": lambda used: used.started_us / 1e6,
    "container_threads": lambda used: 1,
    "container_spec_cpu_period": lambda used: CFS_PERIOD_US,
    "container_spec_cpu_shares": lambda used: used.cpu_shares,
    "container_spec_memory_limit_bytes": lambda used: used.memory_limit,
    "container_spec_memory_reservation_limit_bytes": lambda used: 0,
    "container_spec_memory_swap_limit_bytes": lambda used: 0,
}
LIMITED_VALUES: Final[Mapping[str, Value]] = {
    "container_cpu_cfs_periods_total": lambda used: used.age_us // CFS_PERIOD_US,
    "container_cpu_cfs_throttled_periods_total": lambda used: 0,
    "container_cpu_cfs_throttled_seconds_total": lambda used: 0,
    "container_spec_cpu_quota": lambda used: used.cpu_limit_milli * CFS_PERIOD_US // 1000,
}
"""Of containers with a limit to their CPU."""
DEVICE_FAMILIES: Final = (
    "container_fs_reads_bytes_total",
    "container_fs_reads_total",
    "container_fs_writes_bytes_total",
    "container_fs_writes_total",
)
NETWORK_FAMILIES: Final = tuple(
    f"container_network_{way}_{what}_total"
    for way in ("receive", "transmit")
    for what in ("bytes", "errors", "packets", "packets_dropped")
)


def cadvisor(kubelet: Kubelet, consumers: Iterable[Consumer]) -> bytes:
    """/metrics/cadvisor, of containers with what they use."""
    known = families("cadvisor")
    values: dict[str, dict[Labels, float]] = {}
    pods: dict[str, Consumer] = {}

    def put(name: str, used: Consumer, value: float, **more: str) -> None:
        labels = {
            "container": used.container,
            "id": f"/kubepods.slice/pod{used.uid}/{used.container_id}",
            "image": used.image,
            "name": used.container_id,
            "namespace": used.namespace,
            "pod": used.pod,
            **more,
        }
        values.setdefault(name, {})[tuple(labels.get(label, "") for label in known[name].labels)] = value

    for used in consumers:
        pods.setdefault(used.uid, used)
        put("container_cpu_usage_seconds_total", used, used.cpu_total_ns / 1e9, cpu="total")
        for name, value in (*CONTAINER_VALUES.items(), *(LIMITED_VALUES.items() if used.cpu_limit_milli else ())):
            put(name, used, value(used))
        for name in DEVICE_FAMILIES:
            put(name, used, 0, device="/dev/vda")
    for uid, used in pods.items():
        sandbox = kubelet.runtime.record(uid).sandbox
        pause = used._replace(container="", container_id=sandbox.id if sandbox is not None else "", image=PAUSE)
        for name in NETWORK_FAMILIES:
            put(name, pause, 0, interface=INTERFACE)
    told: dict[str, Rows | float] = {**values, **_machine(kubelet.node or {})}
    return exposition([known[name] for name in told], told)


def _machine(node: Mapping[str, Any]) -> dict[str, Rows | float]:
    status = node.get("status") or {}
    info, capacity = status.get("nodeInfo") or {}, status.get("capacity") or {}
    labels = (info.get("bootID", ""), info.get("machineID", ""), info.get("systemUUID", ""))
    cores = quantity.parse(capacity.get("cpu", "0")).value()
    return {
        "machine_cpu_cores": {labels: cores},
        "machine_cpu_physical_cores": {labels: cores},
        "machine_cpu_sockets": {labels: 1},
        "machine_memory_bytes": {labels: quantity.parse(capacity.get("memory", "0")).value()},
        "machine_scrape_error": 0,
        "machine_swap_bytes": {labels: 0},
    }
