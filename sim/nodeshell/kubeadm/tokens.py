"""kubeadm token: bootstrap tokens, which are Secrets of the cluster.

Source: k8s.io/kubernetes/cmd/kubeadm/app/cmd/token.go, k8s.io/cluster-bootstrap/token/api.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Generator, Mapping
from typing import Any, NamedTuple

from seatrial.sim.apiserver.client import Client, Unreachable
from seatrial.sim.kernel.clock import parse_stamp, stamp_of
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.nodeshell import ages
from seatrial.sim.nodeshell.crictl.base import table
from seatrial.sim.nodeshell.machine import Machine
from seatrial.sim.workloads.process import Proc

Steps = Generator[Any, Any, int]
TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
NAMESPACE, PREFIX, KIND = "kube-system", "bootstrap-token-", "bootstrap.kubernetes.io/token"
GROUP = "system:bootstrappers:kubeadm:default-node-token"
TTL = "24h0m0s"


class Token(NamedTuple):
    """A bootstrap token as its Secret holds it."""

    identifier: str
    secret: str
    expires: str
    """RFC 3339; empty: never."""
    usages: str
    description: str
    groups: str

    @property
    def text(self) -> str:
        return f"{self.identifier}.{self.secret}"

    def expired(self, now_us: int) -> bool:
        return bool(self.expires) and parse_stamp(self.expires) <= now_us


def token_of(secret: Mapping[str, Any]) -> Token:
    data = {key: b64decode(value).decode(errors="replace") for key, value in (secret.get("data") or {}).items()}
    usages = ",".join(use for use in ("authentication", "signing") if data.get(f"usage-bootstrap-{use}") == "true")
    return Token(
        data.get("token-id", ""), data.get("token-secret", ""), data.get("expiration", ""), usages,
        data.get("description", ""), data.get("auth-extra-groups", ""),
    )  # fmt: skip


def client_of(proc: Proc, machine: Machine) -> Client | None:
    """The administrator's way to the API server; None, said on standard error, without a kubeconfig."""
    for path in ("/etc/kubernetes/admin.conf", "/root/.kube/config"):
        if proc.fs.exists(path):
            return machine.site.client(machine.name, "kubeadm")
    proc.err("failed to load admin kubeconfig: open /root/.kube/config: no such file or directory\n")
    proc.err("To see the stack trace of this error execute with --v=5 or higher\n")
    return None


def _secrets(machine: Machine) -> Any:
    return machine.site.wiring.kinds.resource("secrets")


def new_token(machine: Machine) -> str:
    """A token that nobody guesses."""
    rng = machine.site.wiring.streams("kubeadm/tokens")
    identifier, secret = ("".join(rng.choices(ALPHABET, k=length)) for length in (6, 16))
    return f"{identifier}.{secret}"


def create(proc: Proc, machine: Machine, words: list[str]) -> Steps | int:
    """kubeadm token create [TOKEN] [--ttl T] [--description D] [--print-join-command]"""
    options, operands = _options(words, ("ttl", "description", "groups", "usages"))
    text = operands[0] if operands else new_token(machine)
    found = TOKEN.fullmatch(text)
    if found is None:
        proc.err(f'the bootstrap token "{text}" was not of the form "\\\\A([a-z0-9]{{6}})\\\\.([a-z0-9]{{16}})\\\\z"\n')
        return 1
    ttl = ages.go_duration(options.get("ttl", TTL))
    if ttl is None:
        proc.err(f'invalid argument "{options["ttl"]}" for "--ttl" flag: time: invalid duration "{options["ttl"]}"\n')
        return 1
    client = client_of(proc, machine)
    if client is None:
        return 1
    return _create(proc, machine, client, found, ttl, options)


def _create(
    proc: Proc, machine: Machine, client: Client, found: re.Match[str], ttl: int, options: Mapping[str, str]
) -> Steps:
    text = {
        "token-id": found.group(1), "token-secret": found.group(2),
        "usage-bootstrap-authentication": "true", "usage-bootstrap-signing": "true",
        "auth-extra-groups": options.get("groups", GROUP),
    }  # fmt: skip
    if ttl:
        text["expiration"] = stamp_of(machine.clock.now + ttl)
    if options.get("description"):
        text["description"] = options["description"]
    data = {key: b64encode(value.encode()).decode() for key, value in text.items()}
    name = f"{PREFIX}{found.group(1)}"
    secret = {
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": NAMESPACE}, "type": KIND,
        "data": data,
    }  # fmt: skip
    try:
        yield from client.create(_secrets(machine), secret)
    except ApiError as problem:
        if problem.code == 409:
            proc.err(f'a token with id "{found.group(1)}" already exists\n')
        else:
            proc.err(f"{problem.message}\n")
        return 1
    except Unreachable as problem:
        proc.err(f"failed to create the bootstrap token: {problem}\n")
        return 1
    token = f"{found.group(1)}.{found.group(2)}"
    if "print-join-command" in options:
        proc.out(f"{join_command(machine, token)} \n")
    else:
        proc.out(f"{token}\n")
    return 0


def join_command(machine: Machine, token: str) -> str:
    """What a worker is to run."""
    site = machine.site
    pin = f"--discovery-token-ca-cert-hash {site.certificates.pin}"
    return f"kubeadm join {site.api_address}:6443 --token {token} {pin}"


def show(proc: Proc, machine: Machine, words: list[str]) -> Steps | int:
    """kubeadm token list"""
    client = client_of(proc, machine)
    return 1 if client is None else _show(proc, machine, client)


def _show(proc: Proc, machine: Machine, client: Client) -> Steps:
    try:
        secrets, _ = yield from client.list(_secrets(machine), NAMESPACE)
    except (ApiError, Unreachable) as problem:
        proc.err(f"failed to list bootstrap tokens: {problem}\n")
        return 1
    lines = []
    for secret in secrets:
        if secret.get("type") != KIND:
            continue
        token = token_of(secret)
        left = ages.residual(parse_stamp(token.expires) - machine.clock.now) if token.expires else "<forever>"
        described = token.description or "<none>"
        lines.append([token.text, left, token.expires or "<never>", token.usages, described, token.groups])
    if lines:
        proc.out(table(["TOKEN", "TTL", "EXPIRES", "USAGES", "DESCRIPTION", "EXTRA GROUPS"], lines))
    return 0


def delete(proc: Proc, machine: Machine, words: list[str]) -> Steps | int:
    """kubeadm token delete TOKEN-ID|TOKEN"""
    _, operands = _options(words, ())
    if not operands:
        proc.err("missing subcommand; 'token delete' is missing token of form \"\\\\A([a-z0-9]{6})\\\\z\"\n")
        return 1
    client = client_of(proc, machine)
    return 1 if client is None else _delete(proc, machine, client, operands)


def _delete(proc: Proc, machine: Machine, client: Client, operands: list[str]) -> Steps:
    for word in operands:
        identifier = word.partition(".")[0]
        try:
            yield from client.delete(_secrets(machine), NAMESPACE, f"{PREFIX}{identifier}")
        except (ApiError, Unreachable) as problem:
            proc.err(f'failed to delete bootstrap token "{identifier}": {problem}\n')
            return 1
        proc.out(f'bootstrap token "{identifier}" deleted\n')
    return 0


def generate(proc: Proc, machine: Machine, words: list[str]) -> int:
    """kubeadm token generate"""
    proc.out(f"{new_token(machine)}\n")
    return 0


def _options(words: list[str], valued: tuple[str, ...]) -> tuple[dict[str, str], list[str]]:
    options: dict[str, str] = {}
    operands: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if not word.startswith("--"):
            operands.append(word)
            continue
        name, equals, value = word[2:].partition("=")
        if not equals and name in valued and left:
            value = left.pop(0)
        options[name] = value
    return options, operands


options_of = _options
