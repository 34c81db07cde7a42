"""Nodes, namespaces, events and the small kinds that configure a cluster."""

from __future__ import annotations

from seatrial.sim.machinery.durations import since
from seatrial.sim.machinery.printers.cells import (
    EMPTY,
    NONE,
    UNKNOWN,
    Cells,
    Object,
    age,
    conditions,
    created_at,
    deleting,
    name_of,
    part,
)

ROLE_PREFIX, ROLE_LABEL = "node-role.kubernetes.io/", "kubernetes.io/role"


def named(obj: Object, now_us: int) -> Cells:
    """Kinds that show nothing but a name and an age."""
    return [name_of(obj), age(obj, now_us)]


def dated(obj: Object, now_us: int) -> Cells:
    """Kinds without a printer of their own: a name and the time of creation."""
    return [name_of(obj), created_at(obj)]


def node(obj: Object, now_us: int) -> Cells:
    spec, status = obj.get("spec") or EMPTY, part(obj, "status")
    info = part(status, "nodeInfo")
    ready = conditions(obj).get("Ready")
    states = ["Unknown" if ready is None else "Ready" if ready.get("status") == "True" else "NotReady"]
    if spec.get("unschedulable"):
        states.append("SchedulingDisabled")
    kernel, architecture = info.get("kernelVersion"), info.get("architecture")
    return [
        name_of(obj),
        ",".join(states),
        ",".join(_roles(obj)) or NONE,
        age(obj, now_us),
        info.get("kubeletVersion", ""),
        _address(status, "InternalIP"),
        _address(status, "ExternalIP"),
        info.get("osImage") or UNKNOWN,
        f"{kernel} ({architecture})" if kernel and architecture else kernel or UNKNOWN,
        info.get("containerRuntimeVersion") or UNKNOWN,
    ]


def _roles(obj: Object) -> list[str]:
    given = obj["metadata"].get("labels") or EMPTY
    found = [key.removeprefix(ROLE_PREFIX) for key in given if key.startswith(ROLE_PREFIX)]
    found.append(given.get(ROLE_LABEL, ""))
    return sorted(dict.fromkeys(role for role in found if role))


def _address(status: Object, kind: str) -> str:
    found = (each["address"] for each in status.get("addresses") or () if each.get("type") == kind)
    return next(found, NONE)


def namespace(obj: Object, now_us: int) -> Cells:
    return [name_of(obj), part(obj, "status").get("phase", ""), age(obj, now_us)]


def event(obj: Object, now_us: int) -> Cells:
    first = since(obj.get("firstTimestamp") or obj.get("eventTime"), now_us)
    last = since(obj["lastTimestamp"], now_us) if obj.get("lastTimestamp") else first
    count = obj.get("count", 0)
    series = obj.get("series")
    if series:
        last, count = since(series.get("lastObservedTime"), now_us), series.get("count", 0)
    about, source = part(obj, "involvedObject"), part(obj, "source")
    kind = about.get("kind", "").lower()
    component = source.get("component") or obj.get("reportingComponent", "")
    host = source.get("host") or obj.get("reportingInstance", "")
    return [
        last,
        obj.get("type", ""),
        obj.get("reason", ""),
        f"{kind}/{about['name']}" if about.get("name") else kind,
        about.get("fieldPath", ""),
        f"{component}, {host}" if host else component,
        obj.get("message", "").strip(),
        first,
        count if series or count else 1,
        name_of(obj),
    ]


def component_status(obj: Object, now_us: int) -> Cells:
    for each in obj.get("conditions") or ():
        if each.get("type") == "Healthy":
            state = "Healthy" if each.get("status") == "True" else "Unhealthy"
            return [name_of(obj), state, each.get("message", ""), each.get("error", "")]
    return [name_of(obj), "Unknown", "", ""]


def config_map(obj: Object, now_us: int) -> Cells:
    return [name_of(obj), len(obj.get("data") or ()) + len(obj.get("binaryData") or ()), age(obj, now_us)]


def secret(obj: Object, now_us: int) -> Cells:
    return [name_of(obj), obj.get("type", ""), len(obj.get("data") or ()), age(obj, now_us)]


def resource_quota(obj: Object, now_us: int) -> Cells:
    status = part(obj, "status")
    hard, used = status.get("hard") or EMPTY, status.get("used") or EMPTY
    texts = {name: f"{name}: {used.get(name, '0')}/{hard[name]}" for name in sorted(hard)}
    requests = ", ".join(text for name, text in texts.items() if not name.startswith("limits."))
    limits = ", ".join(text for name, text in texts.items() if name.startswith("limits."))
    return [name_of(obj), requests, limits, age(obj, now_us)]


def lease(obj: Object, now_us: int) -> Cells:
    return [name_of(obj), part(obj, "spec").get("holderIdentity") or "", age(obj, now_us)]


def priority_class(obj: Object, now_us: int) -> Cells:
    value, default = obj.get("value", 0), bool(obj.get("globalDefault"))
    return [name_of(obj), value, default, age(obj, now_us), obj.get("preemptionPolicy", "")]


def runtime_class(obj: Object, now_us: int) -> Cells:
    return [name_of(obj), obj.get("handler", ""), age(obj, now_us)]


def flow_schema(obj: Object, now_us: int) -> Cells:
    spec = part(obj, "spec")
    dangling = conditions(obj).get("Dangling")
    return [
        name_of(obj),
        part(spec, "priorityLevelConfiguration").get("name", ""),
        spec.get("matchingPrecedence", 0),
        part(spec, "distinguisherMethod").get("type") or NONE,
        age(obj, now_us),
        "?" if dangling is None else dangling.get("status", ""),
    ]


def priority_level(obj: Object, now_us: int) -> Cells:
    spec = part(obj, "spec")
    limited = spec.get("limited") or EMPTY
    queuing = part(limited, "limitResponse", "queuing")
    queues = [queuing.get(field, NONE) for field in ("queues", "handSize", "queueLengthLimit")]
    return [
        name_of(obj),
        spec.get("type", ""),
        limited.get("nominalConcurrencyShares", NONE),
        *queues,
        age(obj, now_us),
    ]


def custom_resource_definition(obj: Object, now_us: int) -> Cells:
    spec, names = part(obj, "spec"), part(obj, "spec", "names")
    versions = [
        f"{each['name']}(storage)" if each.get("storage") else each["name"] for each in spec.get("versions") or ()
    ]
    established = conditions(obj).get("Established") or EMPTY
    return [
        name_of(obj),
        spec.get("scope", ""),
        ",".join(versions),
        created_at(obj),
        spec.get("group", ""),
        names.get("kind", ""),
        ",".join(names.get("shortNames") or ()),
        established.get("status") == "True",
    ]


def api_service(obj: Object, now_us: int) -> Cells:
    service = part(obj, "spec").get("service")
    where = f"{service.get('namespace', '')}/{service.get('name', '')}" if service else "Local"
    available = conditions(obj).get("Available") or EMPTY
    state = available.get("status", "Unknown")
    if state != "True" and available:
        state = f"{state} ({available.get('reason', '')})"
    return [name_of(obj), where, state, age(obj, now_us)]


def resource_claim(obj: Object, now_us: int) -> Cells:
    status, gone = part(obj, "status"), deleting(obj)
    states = ["deleted"] if gone else []
    if status.get("allocation"):
        states.append("allocated")
        if status.get("reservedFor"):
            states.append("reserved")
    elif not gone:
        states.append("pending")
    return [name_of(obj), ",".join(states), age(obj, now_us)]


def resource_slice(obj: Object, now_us: int) -> Cells:
    spec = part(obj, "spec")
    pool = part(spec, "pool").get("name", "")
    return [name_of(obj), spec.get("nodeName", ""), spec.get("driver", ""), pool, age(obj, now_us)]


def device_taint_rule(obj: Object, now_us: int) -> Cells:
    taint = part(obj, "spec", "taint")
    given = [taint.get(field, "") for field in ("key", "value", "effect")]
    return [name_of(obj), *given, since(taint.get("timeAdded"), now_us), age(obj, now_us)]


def storage_version_migration(obj: Object, now_us: int) -> Cells:
    resource = part(obj, "spec", "resource")
    group = resource.get("group")
    text = f"{resource.get('resource', '')}.{group}" if group else resource.get("resource", "")
    state = next((kind for kind in ("Succeeded", "Failed", "Running") if _true(obj, kind)), "")
    return [name_of(obj), text, state]


def _true(obj: Object, kind: str) -> bool:
    return (conditions(obj).get(kind) or EMPTY).get("status") == "True"
