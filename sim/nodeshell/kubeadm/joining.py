"""kubeadm join and reset: a worker that leaves its cluster and comes back.

Source: k8s.io/kubernetes/cmd/kubeadm/app (phases/join, phases/reset, discovery/token, preflight). Not modelled: joining
control planes; TLS bootstrap beyond what the files and the Node show.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from seatrial.sim.apiserver.client import Unreachable
from seatrial.sim.config import S
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.nodes.cri import RUNNING
from seatrial.sim.nodeshell import files
from seatrial.sim.nodeshell.kubeadm.certs import reading
from seatrial.sim.nodeshell.kubeadm.tokens import NAMESPACE, PREFIX, TOKEN, options_of, token_of
from seatrial.sim.nodeshell.machine import Machine
from seatrial.sim.workloads.process import Proc

Steps = Generator[Any, Any, int]
VALUED = ("token", "discovery-token", "tls-bootstrap-token", "discovery-token-ca-cert-hash", "node-name", "cri-socket",
          "ignore-preflight-errors", "config", "v", "cert-dir", "kubeconfig")  # fmt: skip
STACK = "To see the stack trace of this error execute with --v=5 or higher\n"
PREFLIGHT = "error execution phase preflight: "
IDENTITY = "couldn't validate the identity of the API Server: "
DISCOVERY_US = 300 * S
"""--discovery-timeout: how long a token that is not there is waited for."""
RETRY_US = 5 * S
HEALTHY_US = 1_001_000
KEPT_FILES = ["admin", "super-admin", "kubelet", "bootstrap-kubelet", "controller-manager", "scheduler"]


def join(proc: Proc, machine: Machine, words: list[str]) -> Steps:
    """kubeadm join ADDRESS:PORT --token TOKEN --discovery-token-ca-cert-hash HASH"""
    options, operands = options_of(words, VALUED)
    if "control-plane" in options:
        proc.err("kubeadm: further control planes are not modelled: this cluster has one, on m-k8s\n")
        return 1
    token = options.get("token") or options.get("discovery-token") or ""
    problem = _wrong_arguments(operands, token, options)
    if problem:
        proc.err(f"{problem}\n{STACK}")
        return 1
    proc.out("[preflight] Running pre-flight checks\n")
    wrong = _preflight(machine, options.get("ignore-preflight-errors", ""))
    if wrong:
        lines = "".join(f"\t[ERROR {name}]: {text}\n" for name, text in wrong)
        proc.err(
            f"{PREFLIGHT}[preflight] Some fatal errors occurred:\n{lines}[preflight] If you know what you are doing, "
            f"you can make a check non-fatal with `--ignore-preflight-errors=...`\n{STACK}"
        )
        return 1
    refused = yield from _discover(machine, operands[0], token, options.get("discovery-token-ca-cert-hash", ""))
    if refused:
        proc.err(f"{PREFLIGHT}{IDENTITY}{refused}\n{STACK}")
        return 1
    proc.out(reading("preflight").rstrip("\n") + "\n")
    proc.out(
        f'[kubelet-start] Writing kubelet configuration to file "{files.KUBELET_CONFIG}"\n'
        '[kubelet-start] Writing kubelet environment file with flags to file "/var/lib/kubelet/kubeadm-flags.env"\n'
        "[kubelet-start] Starting the kubelet\n"
        "[kubelet-check] Waiting for a healthy kubelet at http://127.0.0.1:10248/healthz. This can take up to 4m0s\n"
    )
    files.joined(machine, proc.fs, machine.clock.now)
    machine.enable(machine.kubelet, True)
    machine.start_kubelet()
    yield proc.clock.sleep(HEALTHY_US)
    if not machine.node.running:
        proc.err(
            "\nUnfortunately, an error has occurred, likely caused by:\n\t- The kubelet is not running\n\n"
            "If you are on a systemd-powered system, you can try to troubleshoot the error with the following "
            "commands:\n"
            "\t- 'systemctl status kubelet'\n\t- 'journalctl -xeu kubelet'\n\n"
            f"error execution phase kubelet-start: the kubelet is not healthy\n{STACK}"
        )
        return 1
    proc.out(
        f"[kubelet-check] The kubelet is healthy after {HEALTHY_US / S:.6f}s\n"
        "[kubelet-start] Waiting for the kubelet to perform the TLS Bootstrap\n\n"
        "This node has joined the cluster:\n"
        "* Certificate signing request was sent to apiserver and a response was received.\n"
        "* The Kubelet was informed of the new secure connection details.\n\n"
        "Run 'kubectl get nodes' on the control-plane to see this node join the cluster.\n\n"
    )
    return 0


def _wrong_arguments(operands: list[str], token: str, options: dict[str, str]) -> str:
    if not operands:
        return 'discovery: Invalid value: "": bootstrapToken or file must be set'
    if not token:
        return 'discovery.bootstrapToken.token: Invalid value: "": the bootstrap token is invalid'
    if TOKEN.fullmatch(token) is None:
        return f'discovery.bootstrapToken.token: Invalid value: "{token}": the bootstrap token is invalid'
    if not options.get("discovery-token-ca-cert-hash") and "discovery-token-unsafe-skip-ca-verification" not in options:
        return (
            'discovery.bootstrapToken: Invalid value: "": using token-based discovery without caCertHashes can be '
            "unsafe. Set unsafeSkipCAVerification as true in your kubeadm config file or pass "
            "--discovery-token-unsafe-skip-ca-verification flag to continue"
        )
    return ""


def _preflight(machine: Machine, ignored: str) -> list[tuple[str, str]]:
    fs = machine.userland.fs
    there = [path for path in (files.KUBELET_CONF, files.CA) if fs.exists(path)]
    found = [(f"FileAvailable-{path.replace('/', '-')}", f"{path} already exists") for path in there]
    if machine.node.running:
        found.append(("Port-10250", "Port 10250 is in use"))
    names = [name.strip().lower() for name in ignored.split(",")]
    return [] if "all" in names else [each for each in found if each[0].lower() not in names]


def _discover(machine: Machine, address: str, token: str, pin: str) -> Generator[Any, Any, str]:
    """Why the API server is not trusted; empty when it is."""
    site, clock = machine.site, machine.clock
    host, _, port = address.partition(":")
    url = f"https://{address}/api/v1/namespaces/kube-public/configmaps/cluster-info?timeout=10s"
    asking = f'failed to request the cluster-info ConfigMap: Get "{url}"'
    right = host in (site.api_address, site.control_plane) and port == "6443"
    client = site.client(machine.name, "kubeadm")
    secrets = site.wiring.kinds.resource("secrets")
    identifier, _, secret = token.partition(".")
    deadline, said = clock.now + DISCOVERY_US, ""
    while True:
        if not right:
            said = f"{asking}: dial tcp {address}: connect: connection refused"
        else:
            try:
                found = token_of((yield from client.get(secrets, NAMESPACE, f"{PREFIX}{identifier}")))
                if found.expired(clock.now):
                    raise ApiError(404, "NotFound", "expired", {})
                if found.secret != secret:
                    return "failed to verify JWS signature of received cluster info object, can't trust this API Server"
                break
            except ApiError:
                said = f'could not find a JWS signature in the cluster-info ConfigMap for token ID "{identifier}"'
            except Unreachable as problem:
                reason = str(problem).replace(f"{site.control_plane}:6443", address)
                said = f"{asking}: {reason}"
        if clock.now >= deadline:
            return said
        yield clock.sleep(RETRY_US)
    if pin and pin != site.certificates.pin:
        own = site.certificates.pin
        return f'cluster CA found in cluster-info ConfigMap is invalid: none of the public keys "{own}" are pinned'
    return ""


def reset(proc: Proc, machine: Machine, words: list[str]) -> Steps:
    """kubeadm reset [-f]"""
    options, _ = options_of([word if word != "-f" else "--force" for word in words], VALUED)
    if machine.is_control_plane:
        proc.err(
            "kubeadm: resetting the only control plane would take the whole cluster with it, and init is not modelled: "
            "seatrial destroy removes a cluster\n"
        )
        return 1
    if "force" not in options:
        proc.out("[reset] WARNING: Changes made to this host by 'kubeadm init' or 'kubeadm join' will be reverted.\n")
        proc.out("[reset] Are you sure you want to proceed? [y/N]: ")
        answer = (yield from proc.stdin.read_line()).decode(errors="replace").strip().lower()
        if answer not in ("y", "yes"):
            proc.err(f"error execution phase preflight: aborted reset operation\n{STACK}")
            return 1
    proc.out("[preflight] Running pre-flight checks\n[reset] Stopping the kubelet service\n")
    machine.stop_kubelet()
    proc.out('[reset] Unmounting mounted directories in "/var/lib/kubelet"\n')
    yield from _remove_containers(machine)
    kept = [f"/etc/kubernetes/{name}.conf" for name in KEPT_FILES]
    directories = [files.MANIFESTS, "/var/lib/kubelet", "/etc/kubernetes/pki"]
    proc.out(f"[reset] Deleting contents of directories: [{' '.join(directories)}]\n")
    proc.out(f"[reset] Deleting files: [{' '.join(kept)}]\n")
    for path in directories:
        for name in list(proc.fs.directory(path)) if proc.fs.exists(path) else ():
            proc.fs.remove(f"{path}/{name}", recursive=True)
    for path in kept:
        if proc.fs.exists(path, follow=False):
            proc.fs.remove(path)
    proc.out(
        "\nThe reset process does not perform cleanup of CNI plugin configuration,\n"
        "network filtering rules and kubeconfig files.\n\n"
        "For information on how to perform this cleanup manually, please see:\n"
        "    https://k8s.io/docs/reference/setup-tools/kubeadm/kubeadm-reset/\n\n"
    )
    return 0


def _remove_containers(machine: Machine) -> Steps:
    """crictl stopp and rmp of every pod."""
    runtime = machine.node.runtime
    for uid, record in list(runtime.pods.items()):
        for container in record.containers:
            live = runtime.live.get(container.id)
            if container.state != RUNNING or live is None or live.ended is None:
                continue
            runtime.stop_container(container.id, 2 * S)
            while container.id in runtime.live and runtime.find(container.id).state == RUNNING:
                yield live.ended.wait()
        runtime.stop_sandbox(uid)
        runtime.remove_pod(uid)
    return 0
