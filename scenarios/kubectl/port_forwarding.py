"""``kubectl port-forward``.

Source: k8s.io/kubectl/pkg/cmd/portforward.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.scenarios.kubectl.builder import Target, fetched, wanted
from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.chosen_pods import pod_for
from seatrial.scenarios.kubectl.failures import Failure

Object = Mapping[str, Any]


def run(call: Call) -> int:
    if len(call.args) < 2 and not call.flags["filename"]:
        raise call.misused("TYPE/NAME and list of ports are required for port-forward")
    word = call.args[0]
    name = word if "/" in word else f"pods/{word}"
    target = next(iter(fetched(call, wanted(call, [name]))))
    pod = pod_for(call, word)
    if (pod.get("status") or {}).get("phase") != "Running":
        phase = (pod.get("status") or {}).get("phase", "Unknown")
        raise Failure(f"unable to forward port because pod is not running. Current status={phase}")
    ports = [_pair(text, target, pod) for text in call.args[1:]]
    addresses = [address for each in call.flags["address"] for address in each.split(",")] or ["localhost"]
    wanted_ = [
        (address, local, remote) for each in addresses for address in _addresses(each) for local, remote in ports
    ]
    path = call.client.kind("pods").path(pod["metadata"]["namespace"], pod["metadata"]["name"], "portforward")

    def ready(line: str) -> None:
        call.out(line)
        call.session.stdout.flush()

    call.session.forward(call.client.request_of("GET", path), wanted_, ready)
    return 0


def _addresses(address: str) -> list[str]:
    return ["127.0.0.1"] if address == "localhost" else [address]


def _pair(text: str, target: Target, pod: Object) -> tuple[int, int]:
    """(local, remote) of ``8080:80``, ``80``, ``:80`` and ports of a service. Raises Failure."""
    local, colon, remote = text.partition(":")
    if not colon:
        remote = local
    number = _remote(remote, target, pod)
    try:
        return int(local or 0) if local.isdigit() or not local else number, number
    except ValueError:
        raise Failure(f"error parsing local port '{local}'") from None


def _remote(text: str, target: Target, pod: Object) -> int:
    if target.kind.kind == "Service":
        for each in target.object["spec"].get("ports") or ():
            if text in (str(each["port"]), each.get("name")):
                wanted_ = each.get("targetPort", each["port"])
                return int(wanted_) if isinstance(wanted_, int) else _named(str(wanted_), pod)
        if not text.isdigit():
            raise Failure(f"Service '{target.name}' does not have a named port '{text}'")
        raise Failure(f"Service {target.name} does not have a service port {text}")
    if text.isdigit():
        return int(text)
    return _named(text, pod)


def _named(name: str, pod: Object) -> int:
    for container in pod["spec"].get("containers") or ():
        for each in container.get("ports") or ():
            if each.get("name") == name:
                return int(each["containerPort"])
    raise Failure(f"Pod '{pod['metadata']['name']}' does not have a named port '{name}'")
