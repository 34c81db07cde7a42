"""``kubectl auth`` and ``kubectl certificate``. Source: k8s.io/kubectl/pkg/cmd/{auth,certificates}."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from seatrial.scenarios.kubectl import printing
from seatrial.scenarios.kubectl.applying import query
from seatrial.scenarios.kubectl.builder import Target, fetched, from_files, wanted
from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.describing.configuration import rule_rows
from seatrial.scenarios.kubectl.failures import Ended, Failure, attempt_each, finish
from seatrial.scenarios.kubectl.tabwriter import table
from seatrial.scenarios.kubectl.values import stamp_of
from seatrial.sim.machinery.errors import ApiError

Object = Mapping[str, Any]
REVIEWS = "/apis/authorization.k8s.io/v1"
RBAC = ("roles", "clusterroles", "rolebindings", "clusterrolebindings")


def run(call: Call) -> int:
    match call.path:
        case "auth can-i":
            return can_i(call)
        case "auth whoami":
            return who_am_i(call)
        case "auth reconcile":
            return reconcile(call)
    return certificate(call, call.path.split()[-1])


# can-i


def can_i(call: Call) -> int:
    flags = call.flags
    if flags["list"]:
        return _list(call)
    if len(call.args) == 2:
        verb, what = call.args
        name = ""
    elif len(call.args) == 3:
        verb, what, name = call.args
    else:
        raise Failure(
            "you must specify two arguments: verb resource or verb resource/resourceName.\nSee 'kubectl auth can-i -h' for help and examples."
        )
    spec: dict[str, Any]
    if what.startswith("/"):
        spec = {"nonResourceAttributes": {"verb": verb, "path": what}}
    else:
        spec = {"resourceAttributes": _attributes(call, verb, what, name)}
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec}
    answer = call.client.send("POST", f"{REVIEWS}/selfsubjectaccessreviews", body=body)
    status = answer.get("status") or {}
    allowed = bool(status.get("allowed"))
    if not flags["quiet"]:
        text = "yes" if allowed else "no"
        if not allowed:
            if status.get("reason"):
                text += f" - {status['reason']}"
            if status.get("evaluationError"):
                text += f" - {status['evaluationError']}"
        call.out(text)
    if not allowed:
        raise Ended(1)
    return 0


def _attributes(call: Call, verb: str, what: str, name: str) -> dict[str, Any]:
    word, slash, rest = what.partition("/")
    name = name or rest if slash else name
    group, resource, version = "", word, ""
    kind = None if word == "*" else call.client.find(word)
    if kind is not None:
        group, resource, version = kind.group, kind.plural, kind.version
        if not kind.namespaced:
            group_note = f" in group '{kind.group}'" if kind.group else ""
            call.err(f"Warning: resource '{kind.plural}' is not namespace scoped{group_note}\n")
    elif word != "*":
        resource, _, group = word.partition(".")
        text = f"the server doesn't have a resource type '{resource}'" + (f" in group '{group}'" if group else "")
        call.err(f"Warning: {text}\n")
    del version
    found: dict[str, Any] = {"verb": verb, "resource": resource}
    if not call.flags["all-namespaces"]:
        found["namespace"] = call.namespace
    if group:
        found["group"] = group
    if call.flags["subresource"]:
        found["subresource"] = call.flags["subresource"]
    if name:
        found["name"] = name
    return found


def _list(call: Call) -> int:
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": call.namespace}}  # fmt: skip
    answer = call.client.send("POST", f"{REVIEWS}/selfsubjectrulesreviews", body=body)
    status = answer.get("status") or {}
    if status.get("incomplete"):
        call.warn(f"the list may be incomplete: {status.get('evaluationError', '')}")
    rules = [*(status.get("resourceRules") or ()), *(status.get("nonResourceRules") or ())]
    rows = [] if call.flags["no-headers"] else [("Resources", "Non-Resource URLs", "Resource Names", "Verbs")]
    call.write(table([*rows, *rule_rows(rules)]))
    return 0


# whoami, reconcile


def who_am_i(call: Call) -> int:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = call.client.send("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body=body)
    show = printing.printer(call)
    if show is not None:
        call.write(show(answer))
        return 0
    user = answer["status"]["userInfo"]
    rows = [["ATTRIBUTE", "VALUE"]]
    if user.get("username"):
        rows.append(["Username", user["username"]])
    if user.get("uid"):
        rows.append(["UID", user["uid"]])
    if user.get("groups"):
        rows.append(["Groups", f"[{' '.join(user['groups'])}]"])
    extra = user.get("extra") or {}
    rows += [[f"Extra: {key}", f"[{' '.join(extra[key])}]"] for key in sorted(extra)]
    call.write(table(rows))
    return 0


def reconcile(call: Call) -> int:
    if not call.flags["filename"] and not call.flags["kustomize"]:
        raise Failure("must specify -f or -k")
    found = from_files(call)
    attempt_each(found.targets, partial(_reconcile, call), found.problems)
    return 0


def _reconcile(call: Call, target: Target) -> None:
    if target.kind.plural not in RBAC:
        return  # in silence
    if target.kind.namespaced and not target.given_namespace:
        # kubectl 1.37 looks for such an object without its namespace, gets no answer and says so in these words.
        raise Failure("resource name may not be empty")
    try:
        held = call.client.get(target.path)
    except ApiError as problem:
        if problem.reason != "NotFound":
            raise
        if call.dry_run != "client":
            target.object = call.client.send("POST", target.kind.path(target.namespace), query(call), target.object)
        printing.told(call, target.object, "reconciled")
        return
    field = "subjects" if target.kind.plural.endswith("bindings") else "rules"
    have, want = list(held.get(field) or ()), list(target.object.get(field) or ())
    missing = [each for each in want if each not in have]
    extra = [each for each in have if each not in want]
    removes = call.flags["remove-extra-subjects" if field == "subjects" else "remove-extra-permissions"]
    after = want if removes else have + missing
    if missing or (extra and removes):
        changed = {**held, field: after}
        if call.dry_run != "client":
            held = call.client.send("PUT", target.path, query(call), changed)
    printing.told(call, held, "reconciled")


# certificate


def certificate(call: Call, word: str) -> int:
    if not call.args and not call.flags["filename"] and not call.flags["kustomize"]:
        raise Failure("one or more CSRs must be specified as <name> or -f <filename>")
    kind = call.client.kind("certificatesigningrequests")
    named = [name if "/" in name else f"{kind.resource}/{name}" for name in call.args]
    found = wanted(call, named)
    problems = found.problems
    name, opposite = ("Approved", "Denied") if word == "approve" else ("Denied", "Approved")
    for target in fetched(call, found, problems):
        status = dict(target.object.get("status") or {})
        held = list(status.get("conditions") or ())
        kinds = [each["type"] for each in held]
        if opposite in kinds:
            problems.append(Failure(f"certificate signing request {target.name!r} is already {opposite}"))
            continue
        if name not in kinds or call.flags["force"]:
            held.append({"type": name, "status": "True", "reason": f"Kubectl{word.capitalize()}",
                         "message": f"This CSR was {'approved' if word == 'approve' else 'denied'} by kubectl certificate {word}.",
                         "lastUpdateTime": stamp_of(call.now())})  # fmt: skip
            body = {**target.object, "status": {**status, "conditions": held}}
            path = kind.path("", target.name, "approval")
            target.object = call.client.send("PUT", path, body=body)
        printing.told(call, target.object, "approved" if word == "approve" else "denied")
    finish(problems)
    return 0
