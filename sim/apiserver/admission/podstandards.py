"""The Pod Security Standards: what a pod's spec must not say at the levels *baseline* and *restricted*.

Source: k8s.io/pod-security-admission/policy; one function per check of that package. Each takes the pod's metadata and
spec and yields the details of what it forbids; the table at the end says level, order and which checks a stricter one
replaces.

Not modelled: older versions of the standards. A namespace pinned to one is held to the latest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

Spec = Mapping[str, Any]
Check = Callable[[Mapping[str, Any], Spec], Iterator[str]]

CAPABILITIES = frozenset(
    [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ]
)
SYSCTLS = frozenset(
    [
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
    ]
)
SELINUX_TYPES = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
VOLUMES = frozenset(
    [
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
        "image",
    ]
)
SECCOMP = ("RuntimeDefault", "Localhost")
APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"


def containers(spec: Spec) -> Iterator[Mapping[str, Any]]:
    for key in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(key) or ()


def context(holder: Mapping[str, Any]) -> Mapping[str, Any]:
    return holder.get("securityContext") or {}


def quoted(values: Sequence[str]) -> str:
    return ", ".join(f'"{value}"' for value in values)


def named(names: Sequence[str], noun: str = "container") -> str:
    """``container "a"`` or ``containers "a", "b"``."""
    return f"{noun}{'s' if len(names) > 1 else ''} {quoted(names)}"


def offenders(spec: Spec, bad: Callable[[Mapping[str, Any]], bool]) -> list[str]:
    return [container["name"] for container in containers(spec) if bad(container)]


def privileged(metadata: Mapping[str, Any], spec: Spec) -> Iterator[str]:
    bad = offenders(spec, lambda container: bool(context(container).get("privileged")))
    if bad:
        yield f"{named(bad)} must not set securityContext.privileged=true"


def host_namespaces(metadata: Mapping[str, Any], spec: Spec) -> Iterator[str]:
    found = [f"{key}=true" for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]
    if found:
        yield ", ".join(found)


def host_path_volumes(metadata: Mapping[str, Any], spec: Spec) -> Iterator[str]:
    bad = [volume["name"] for volume in spec.get("volumes") or () if "hostPath" in volume]
    if bad:
        yield named(bad, "volume")


def host_ports(metadata: Mapping[str, Any], spec: Spec) -> Iterator[str]:
    names, ports = [], []
    for container in containers(spec):
        used = [str(port["hostPort"]) for port in container.get("ports") or () if port.get("hostPort")]
        if used:
            names.append(container["name"])
            ports += [port for port in used if port not in ports]
    if names:
        verb = "use" if len(names) > 1 else "uses"
        yield f"{named(names)} {verb} hostPort{'s' if len(ports) > 1 else ''} {', '.join(ports)}"


def host_probes(metadata: Mapping[str, Any], spec: Spec) -> Iterator[str]:
    names, hosts = [], []
    for container in containers(spec):
        lifecycle = container.get("lifecycle") or {}
        holders = [container.get(f"{kind}Probe") for kind in ("liveness", "readiness", "startup")]
        holders += [lifecycle.get("postStart"), lifecycle.get("preStop")]
        for holder in holders:
            for action in ("httpGet", "tcpSocket"):
                host = ((holder or {}).get(action) or {}).get("host")
                if host:
                    if container["name"] not in names:
                        names.append(container["name"])
                    if host not in hosts:
                        hosts.append(host)
    if names:
        verb = "use" if len(names) > 1 else "uses"
        yield f"{named(names)} {verb} probe or lifecycle host{'s' if len(hosts) > 1 else ''} {quoted(hosts)}"


def proc_mount(metadata: Mapping[str, Any], spec: Spec) -> Iterator[str]:
    bad, values = [], []
    for container in containers(spec):
        value = context(container).get("procMount")
        if value and value != "Default":
            bad.append(container["name"])
            values.append(value)
    if bad:
        yield f"{named(bad)} must not set securityContext.procMount to {quoted(list(dict.fromkeys(values)))}"


def _subjects(spec: Spec) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield "pod", context(spec)
    for container in containers(spec):
        yield f'container "{container["name"]}"', context(container)


def selinux(metadata: Mapping[str, Any], spec: Spec) -> Iterator[str]:
    setters, types, user, role = [], [], False, False
    for who, given in _subjects(spec):
        options = given.get("seLinuxOptions")
        if not options:
            continue
        bad = False
        if options.get("type", "") not in SELINUX_TYPES:
            types.append(options["type"])
            bad = True
        user, role = user or bool(options.get("user")), role or bool(options.get("role"))
        if bad or options.get("user") or options.get("role"):
            setters.append(who)
    if not setters:
        return
    data = [f"type{'s' if len(types) > 1 else ''} {quoted(types)}"] if types else []
    data += ["user may not be set"] * user + ["role may not be set"] * role
    yield f"{_who(setters)} set forbidden securityContext.seLinuxOptions: {'; '.join(data)}"


def _who(setters: Sequence[str]) -> str:
    pod = ["pod"] if "pod" in setters else []
    names = [setter.removeprefix('container "').rstrip('"') for setter in setters if setter != "pod"]
    return " and ".join(pod + ([named(names)] if names else []))


def apparmor(metadata: Mapping[str, Any], spec: Spec) -> Iterator[str]:
    found = []
    for key, value in sorted((metadata.get("annotations") or {}).items()):
        allowed = value in ("", "runtime/default") or value.startswith("localhost/")
        if key.startswith(APPARMOR_ANNOTATION) and not allowed:
            found.append(f'annotation "{key}"="{value}"')
    setters = [
        who for who, given in _subjects(spec) if (given.get("appArmorProfile") or {}).get("type") == "Unconfined"
    ]
    if setters:
        found.append(f'{_who(setters)} must not set AppArmor profile type to "Unconfined"')
    if found:
        yield "; ".join(found)


def _unconfined(spec: Spec) -> list[str]:
    return [who for who, given in _subjects(spec) if (given.get("seccompProfile") or {}).get("type") == "Unconfined"]


def seccomp_baseline(metadata: Mapping[str, Any], spec: Spec) -> Iterator[str]:
    setters = _unconfined(spec)
    if setters:
        yield f'{_who(setters)} must not set securityContext.seccompProfile.type to "Unconfined"'


def seccomp_restricted(metadata: Mapping[str, Any], spec: Spec) -> Iterator[str]:
    found = list(seccomp_baseline(metadata, spec))
    if (context(spec).get("seccompProfile") or {}).get("type") not in SECCOMP:
        silent = offenders(spec, lambda container: not context(container).get("seccompProfile"))
        if silent:
            wanted = 'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
            found.append(f"pod or {named(silent)} must set {wanted}")
    if found:
        yield "; ".join(found)


def sysctls(metadata: Mapping[str, Any], spec: Spec) -> Iterator[str]:
    bad = [one["name"] for one in context(spec).get("sysctls") or () if one["name"] not in SYSCTLS]
    if bad:
        yield ", ".join(bad)


def host_process(metadata: Mapping[str, Any], spec: Spec) -> Iterator[str]:
    setters = [who for who, given in _subjects(spec) if (given.get("windowsOptions") or {}).get("hostProcess")]
    if setters:
        yield f"{_who(setters)} must not set securityContext.windowsOptions.hostProcess=true"


def capabilities_baseline(metadata: Mapping[str, Any], spec: Spec) -> Iterator[str]:
    yield from _added(spec, CAPABILITIES)


def _added(spec: Spec, allowed: frozenset[str]) -> Iterator[str]:
    bad, values = [], []
    for container in containers(spec):
        added = [one for one in (context(container).get("capabilities") or {}).get("add") or () if one not in allowed]
        if added:
            bad.append(container["name"])
            values += [one for one in added if one not in values]
    if bad:
        yield f"{named(bad)} must not include {quoted(sorted(values))} in securityContext.capabilities.add"


def capabilities_restricted(metadata: Mapping[str, Any], spec: Spec) -> Iterator[str]:
    def keeps(container: Mapping[str, Any]) -> bool:
        return "ALL" not in ((context(container).get("capabilities") or {}).get("drop") or ())

    found = []
    bad = offenders(spec, keeps)
    if bad:
        found.append(f'{named(bad)} must set securityContext.capabilities.drop=["ALL"]')
    found += _added(spec, frozenset({"NET_BIND_SERVICE"}))
    if found:
        yield "; ".join(found)


def privilege_escalation(metadata: Mapping[str, Any], spec: Spec) -> Iterator[str]:
    bad = offenders(spec, lambda container: context(container).get("allowPrivilegeEscalation") is not False)
    if bad:
        yield f"{named(bad)} must set securityContext.allowPrivilegeEscalation=false"


def restricted_volumes(metadata: Mapping[str, Any], spec: Spec) -> Iterator[str]:
    bad, types = [], []
    for volume in spec.get("volumes") or ():
        kinds = [key for key in volume if key != "name" and key not in VOLUMES]
        if kinds:
            bad.append(volume["name"])
            types += [kind for kind in kinds if kind not in types]
    if bad:
        verb = "use" if len(bad) > 1 else "uses"
        noun = "types" if len(types) > 1 else "type"
        yield f"{named(bad, 'volume')} {verb} restricted volume {noun} {quoted(types)}"


def run_as_non_root(metadata: Mapping[str, Any], spec: Spec) -> Iterator[str]:
    found = []
    explicit = [who for who, given in _subjects(spec) if given.get("runAsNonRoot") is False]
    if explicit:
        found.append(f"{_who(explicit)} must not set securityContext.runAsNonRoot=false")
    if context(spec).get("runAsNonRoot") is not True:
        silent = offenders(spec, lambda container: context(container).get("runAsNonRoot") is None)
        if silent:
            found.append(f"pod or {named(silent)} must set securityContext.runAsNonRoot=true")
    if found:
        yield "; ".join(found)


def run_as_user(metadata: Mapping[str, Any], spec: Spec) -> Iterator[str]:
    bad = [who for who, given in _subjects(spec) if given.get("runAsUser") == 0]
    if bad:
        yield f"{_who(bad)} must not set runAsUser=0"


class Row(NamedTuple):
    reason: str
    check: Check
    restricted: bool = False
    replaces: str = ""
    """The reason of the baseline check that this one takes the place of."""


ROWS = (
    Row("forbidden AppArmor profile", apparmor),
    Row("non-default capabilities", capabilities_baseline),
    Row("host namespaces", host_namespaces),
    Row("hostPath volumes", host_path_volumes),
    Row("hostPort", host_ports),
    Row("probe or lifecycle host", host_probes),
    Row("privileged", privileged),
    Row("procMount", proc_mount),
    Row("seLinuxOptions", selinux),
    Row("seccompProfile", seccomp_baseline),
    Row("forbidden sysctls", sysctls),
    Row("hostProcess", host_process),
    Row("allowPrivilegeEscalation != false", privilege_escalation, True),
    Row("unrestricted capabilities", capabilities_restricted, True, "non-default capabilities"),
    Row("restricted volume types", restricted_volumes, True, "hostPath volumes"),
    Row("runAsNonRoot != true", run_as_non_root, True),
    Row("runAsUser=0", run_as_user, True),
    Row("seccompProfile", seccomp_restricted, True, "seccompProfile"),
)
"""In the order in which violations are listed: baseline, then restricted, each by the checks' upstream names."""
REPLACED = frozenset(row.replaces for row in ROWS if row.replaces)


def violations(level: str, metadata: Mapping[str, Any], spec: Spec) -> list[tuple[str, str]]:
    """(reason, detail) of everything that the level forbids; nothing at the level *privileged*."""
    if level == "privileged":
        return []
    strict = level == "restricted"
    found = []
    for row in ROWS:
        if (row.restricted and not strict) or (strict and not row.restricted and row.reason in REPLACED):
            continue
        found += [(row.reason, detail) for detail in row.check(metadata, spec)]
    return found
