"""node_exporter: a machine's own figures, for a pod that runs on it.

Source: github.com/prometheus/node_exporter (the collectors that are on by default). CPU and memory are those of the
machine's containers and of its own processes; disks, links and the kernel's tables stand still. Not modelled: input and
output, load beyond the CPU in use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from seatrial.sim.machinery import quantity
from seatrial.sim.machinery.metrics import Labels, Rows, exposition, families
from seatrial.sim.nodes.statistics import NODE_CPU_NANO, NODE_MEMORY, consumers

if TYPE_CHECKING:
    from seatrial.sim.nodes.node import Node

COMPONENT: Final = "node-exporter"
MODES: Final = ("idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user")
FILE_SYSTEM: Final = {"device": "/dev/vda1", "device_error": "", "fstype": "ext4", "mountpoint": "/"}
DISK: Final = {"device": "vda"}
LINKS: Final = ("eth0", "lo")
USED_SHARE: Final = 0.12
"""Of the disk, before the images."""
LINK_ZEROS: Final = tuple(
    f"node_network_{way}_{what}_total"
    for way in ("receive", "transmit")
    for what in ("bytes", "drop", "errs", "packets")
)
DISK_ZEROS: Final = (
    "node_disk_io_time_seconds_total", "node_disk_io_time_weighted_seconds_total", "node_disk_read_bytes_total",
    "node_disk_reads_completed_total", "node_disk_writes_completed_total", "node_disk_written_bytes_total",
)  # fmt: skip
ZEROS: Final = (
    "node_memory_SwapTotal_bytes", "node_memory_SwapFree_bytes", "node_memory_Slab_bytes", "node_textfile_scrape_error",
    "node_timex_maxerror_seconds", "node_timex_offset_seconds", "node_vmstat_pgmajfault", "node_vmstat_oom_kill",
    "node_netstat_Tcp_OutSegs", "node_netstat_Tcp_RetransSegs", "node_netstat_TcpExt_TCPSynRetrans",
    "node_context_switches_total", "node_procs_blocked",
)  # fmt: skip


def page(node: Node) -> bytes:
    """/metrics on port 9100."""
    kubelet, known = node.kubelet, families(COMPONENT)
    now, began = kubelet.clock.now, kubelet.begun_us
    used = list(consumers(kubelet))
    up_s = max(now - began, 0) / 1_000_000
    busy_s = sum(each.cpu_total_ns for each in used) / 1e9 + NODE_CPU_NANO / 1e9 * up_s
    load = sum(each.cpu_nano for each in used) / 1e9 + NODE_CPU_NANO / 1e9
    memory = quantity.parse(node.spec.memory).value()
    free = max(memory - NODE_MEMORY - sum(each.memory for each in used), 0)
    disk = quantity.parse(node.spec.ephemeral_storage).value()
    rest = max(disk * (1 - USED_SHARE) - node.runtime.images.used_bytes(), 0)
    values: dict[str, dict[Labels, float]] = {}

    def put(name: str, value: float, **labels: str) -> None:
        family = known.get(name)
        if family is not None:
            values.setdefault(name, {})[tuple(labels.get(label, "") for label in family.labels)] = value

    for cpu in range(node.spec.cpus):
        shares = {"user": 0.7 * busy_s, "system": 0.3 * busy_s, "idle": max(up_s * node.spec.cpus - busy_s, 0)}
        for mode in MODES:
            put("node_cpu_seconds_total", shares.get(mode, 0) / node.spec.cpus, cpu=str(cpu), mode=mode)
    sizes = {
        "MemTotal": memory, "MemFree": free, "MemAvailable": free, "Buffers": 0, "Cached": 0, "Active": memory - free,
        "Inactive": 0,
    }  # fmt: skip
    for name, size in sizes.items():
        put(f"node_memory_{name}_bytes", size)
    for minutes in (1, 5, 15):
        put(f"node_load{minutes}", round(load, 2))
    for name, figure in {"size": disk, "free": rest, "avail": rest}.items():
        put(f"node_filesystem_{name}_bytes", figure, **FILE_SYSTEM)
    inodes = disk // 16384
    put("node_filesystem_files", inodes, **FILE_SYSTEM)
    put("node_filesystem_files_free", inodes * 9 // 10, **FILE_SYSTEM)
    put("node_filesystem_readonly", 0, **FILE_SYSTEM)
    put("node_filesystem_device_error", 0, **FILE_SYSTEM)
    for link in LINKS:
        put("node_network_up", 1, device=link)
        for name in LINK_ZEROS:
            put(name, 0, device=link)
    for name in DISK_ZEROS:
        put(name, 0, **DISK)
    for name in ZEROS:
        put(name, 0)
    counts = {
        "node_boot_time_seconds": began / 1_000_000, "node_time_seconds": now / 1_000_000,
        "node_filefd_allocated": 1024, "node_filefd_maximum": 9.223372036854775807e18,
        "node_nf_conntrack_entries": len(used), "node_nf_conntrack_entries_limit": 131072,
        "node_procs_running": 1, "node_timex_sync_status": 1,
    }  # fmt: skip
    for name, value in counts.items():
        put(name, value)
    info: dict[str, Any] = ((kubelet.node or {}).get("status") or {}).get("nodeInfo") or {}
    uname = {"sysname": "Linux", "release": info.get("kernelVersion", ""), "machine": "x86_64", "nodename": node.host}
    put("node_uname_info", 1, **uname, version="#1 SMP", domainname="(none)")
    told: dict[str, Rows | float] = {**values}
    return exposition([known[name] for name in told], told)
