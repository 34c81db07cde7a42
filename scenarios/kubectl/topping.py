"""``kubectl top``. Source: k8s.io/kubectl/pkg/cmd/top, k8s.io/kubectl/pkg/metricsutil."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.failures import Failure
from seatrial.scenarios.kubectl.tabwriter import table
from seatrial.sim.kernel.clock import parse_stamp
from seatrial.sim.machinery import quantity
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.machinery.quantity import Quantity

Object = Mapping[str, Any]
METRICS = "/apis/metrics.k8s.io/v1beta1"
MISSING = "Metrics API not available"
GRACE_US = 120_000_000
MIB = 1024 * 1024


def run(call: Call) -> int:
    flags = call.flags
    if flags["sort-by"] not in ("", "cpu", "memory"):
        raise Failure("--sort-by accepts only cpu or memory")
    if call.args and flags["selector"]:
        raise call.misused("only one of NAME or --selector can be provided")
    if len(call.args) > 1:
        raise call.misused("".join(call.args))
    if call.client.find("pods.metrics.k8s.io") is None:
        raise Failure(MISSING)
    return nodes(call) if call.path == "top node" else pods(call)


def _usage(found: Object) -> tuple[Quantity, Quantity]:
    usage = found.get("usage") or {}
    return quantity.parse(str(usage.get("cpu", "0"))), quantity.parse(str(usage.get("memory", "0")))


def _cpu(amount: Quantity) -> str:
    return f"{amount.milli_value()}m"


def _memory(amount: Quantity) -> str:
    return f"{amount.value() // MIB}Mi"


def _listed(call: Call, path: str) -> list[Object]:
    if call.args:
        return [call.client.get(f"{path}/{call.args[0]}")]
    query = {"labelSelector": call.flags["selector"], "fieldSelector": call.flags.get("field-selector") or ""}
    return list(call.client.get(path, query).get("items") or ())


def _order(call: Call, rows: list[tuple[tuple[str, ...], Quantity, Quantity, list[str]]]) -> list[list[str]]:
    key = call.flags["sort-by"]
    if key:
        rows.sort(key=lambda row: (-(row[1].nanos if key == "cpu" else row[2].nanos), row[0]))
    else:
        rows.sort(key=lambda row: row[0])
    return [row[3] for row in rows]


def nodes(call: Call) -> int:
    metrics = {each["metadata"]["name"]: each for each in _listed(call, f"{METRICS}/nodes")}
    if not metrics:
        raise Failure("metrics not available yet")
    kind = call.client.kind("nodes")
    held = [call.client.get(kind.path("", call.args[0]))] if call.args else call.client.items(
        kind, "", {"labelSelector": call.flags["selector"]})  # fmt: skip
    field = "capacity" if call.flags["show-capacity"] else "allocatable"
    rows: list[tuple[tuple[str, ...], Quantity, Quantity, list[str]]] = []
    for node in held:
        name = node["metadata"]["name"]
        found = metrics.get(name)
        if found is None:
            rows.append(((name,), Quantity(-1), Quantity(-1), [name, *["<unknown>"] * 4]))
            continue
        cpu, memory = _usage(found)
        whole = (node.get("status") or {}).get(field) or {}
        cells = [name, _cpu(cpu), _share(cpu.milli_value(), quantity.parse(whole.get("cpu", "0")).milli_value()),
                 _memory(memory), _share(memory.value(), quantity.parse(whole.get("memory", "0")).value())]  # fmt: skip
        rows.append(((name,), cpu, memory, cells))
    head = [] if call.flags["no-headers"] else [["NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"]]
    call.write(table(head + _order(call, rows), ended=True))
    return 0


def _share(amount: int, whole: int) -> str:
    return f"{amount * 100 // whole}%" if whole else "<unknown>"


def pods(call: Call) -> int:
    flags = call.flags
    everywhere = flags["all-namespaces"]
    root = METRICS if everywhere else f"{METRICS}/namespaces/{call.namespace}"
    try:
        found = _listed(call, f"{root}/pods")
    except ApiError as problem:
        if problem.reason != "NotFound" or not call.args:
            raise
        found = []
        pod = call.client.get(call.client.kind("pods").path(call.namespace, call.args[0]))
        _too_young(call, [pod])
    if not found:
        _none(call, everywhere)
        return 0
    rows: list[tuple[tuple[str, ...], Quantity, Quantity, list[str]]] = []
    total_cpu, total_memory = Quantity(0), Quantity(0)
    for each in found:
        name, namespace = each["metadata"]["name"], each["metadata"].get("namespace", "")
        place = [namespace] if everywhere else []
        measured = [(one["name"], *_usage(one)) for one in each.get("containers") or ()]
        cpu = sum((one[1] for one in measured), Quantity(0))
        memory = sum((one[2] for one in measured), Quantity(0))
        total_cpu, total_memory = total_cpu + cpu, total_memory + memory
        if flags["containers"]:
            for container, own_cpu, own_memory in measured:
                cells = [*place, name, container, _cpu(own_cpu), _memory(own_memory)]
                rows.append(((namespace, name, container), own_cpu, own_memory, cells))
        else:
            rows.append(((namespace, name), cpu, memory, [*place, name, _cpu(cpu), _memory(memory)]))
    head = ["NAMESPACE"] if everywhere else []
    head += ["POD", "NAME"] if flags["containers"] else ["NAME"]
    lines = [] if flags["no-headers"] else [[*head, "CPU(cores)", "MEMORY(bytes)"]]
    lines += _order(call, rows)
    if flags["sum"]:
        blank = [""] * (len(head) - 1)
        lines += [[*blank, "", "________", "________"], [*blank, "", _cpu(total_cpu), _memory(total_memory)]]
    call.write(table(lines, ended=True))
    return 0


def _none(call: Call, everywhere: bool) -> None:
    kind = call.client.kind("pods")
    held = call.client.items(kind, "" if everywhere else call.namespace, {"labelSelector": call.flags["selector"]})
    _too_young(call, held)
    call.err("No resources found" if everywhere else f"No resources found in {call.namespace} namespace.")


def _too_young(call: Call, held: Sequence[Object]) -> None:
    """Pods without metrics are an error once they are old enough to have some. Raises Failure."""
    for pod in held:
        age = call.now() - parse_stamp(pod["metadata"]["creationTimestamp"])
        if age > GRACE_US:
            metadata = pod["metadata"]
            text = f"Metrics not available for pod {metadata['namespace']}/{metadata['name']}, age: {age / 1e6:.6f}s"
            raise Failure(text)
    if held:
        raise Failure("metrics not available yet")
