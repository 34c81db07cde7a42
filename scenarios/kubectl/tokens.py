"""``kubectl create token``. Source: k8s.io/kubectl/pkg/cmd/create/create_token.go."""

from __future__ import annotations

from typing import Any

from seatrial.scenarios.kubectl import printing
from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.failures import Failure
from seatrial.scenarios.kubectl.naming import name_of
from seatrial.sim.machinery.errors import ApiError


def run(call: Call) -> int:
    name, flags = name_of(call), call.flags
    spec: dict[str, Any] = {}
    if flags["audience"]:
        spec["audiences"] = flags["audience"]
    if flags["duration"] > 0:
        spec["expirationSeconds"] = int(flags["duration"])
    if flags["bound-object-kind"]:
        reference = {"kind": flags["bound-object-kind"], "apiVersion": "v1", "name": flags["bound-object-name"]}
        if flags["bound-object-uid"]:
            reference["uid"] = flags["bound-object-uid"]
        spec["boundObjectRef"] = reference
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {}, "spec": spec}
    kind = call.client.kind("serviceaccounts")
    try:
        answer = call.client.send("POST", kind.path(call.namespace, name, "token"), body=body)
    except ApiError as problem:
        raise Failure(f"failed to create token: {problem.message}") from None
    show = printing.printer(call)
    call.write(show(answer) if show is not None else f"{answer['status']['token']}\n")
    return 0
