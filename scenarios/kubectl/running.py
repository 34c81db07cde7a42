"""From a typed line to the command that does it, and from what went wrong to what is printed."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence

from seatrial.scenarios.kubectl import commands
from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.failures import Ended, Failure, Several, text_of
from seatrial.scenarios.kubectl.session import Session
from seatrial.sim.machinery.errors import ApiError

MODULES: Mapping[str, str] = {
    "get": "getting",
    "describe": "describing",
    "events": "eventing",
    "explain": "explaining",
    "create": "creating",
    "run": "starting", "expose": "starting", "autoscale": "starting",
    "apply": "applying",
    "diff": "diffing",
    "delete": "deleting",
    "edit": "editing",
    "patch": "patching", "replace": "patching",
    "label": "labeling", "annotate": "labeling",
    "scale": "scaling",
    "set": "setting",
    "rollout": "rolling",
    "wait": "waiting_for",
    "logs": "logs", "exec": "connecting", "attach": "connecting", "cp": "copying",
    "port-forward": "port_forwarding",
    "debug": "debugging",
    "cordon": "draining", "uncordon": "draining", "drain": "draining", "taint": "draining",
    "top": "topping",
    "api-resources": "discovering", "api-versions": "discovering", "cluster-info": "discovering",
    "version": "discovering", "plugin": "discovering", "kustomize": "discovering", "proxy": "discovering",
    "kuberc": "discovering",
    "config": "configuring",
    "auth": "authorizing", "certificate": "authorizing",
    "completion": "completion",
}  # fmt: skip
"""Where the commands are, by the longest beginning of their path; each module has ``run(call) -> int | None``."""
UNEXPECTED = frozenset({"create", "apply"})
"""Commands with sub-commands that also do something themselves."""


def run(argv: Sequence[str], session: Session) -> int:
    """Does what ``kubectl ARGV`` does; the exit code. Everything is printed on the session's streams."""
    try:
        return _run(list(argv), session)
    except Ended as ended:
        return ended.code
    except (Failure, ApiError, Several) as problem:
        text, code = text_of(problem)
        if text:
            session.stderr.write(text if text.endswith("\n") else text + "\n")
        return code


def _run(argv: list[str], session: Session) -> int:
    if argv and argv[0] in ("__complete", "__completeNoDesc"):
        from seatrial.scenarios.kubectl.completion import complete

        return complete(argv[1:], session)
    path, words = commands.find(argv)
    of = commands.command(path)
    if path == "":
        return _nothing(of, argv, words, session)
    line = commands.read(of, words)
    if line.help or path == "options":
        session.stdout.write(of.help)
        return 0
    if of.children and path not in UNEXPECTED:
        if line.args and path not in ("plugin", "kuberc", "cluster-info"):
            raise Failure(f"unknown command \"{line.args[0]}\"\nSee 'kubectl {path} -h' for help and examples")
        if path != "cluster-info":
            session.stderr.write(of.help)
            return 1
    missing = [name for name in commands.REQUIRED.get(path, ()) if name not in line.flags.given]
    if missing:
        listed = ", ".join(f'"{name}"' for name in missing)
        raise Failure(f"required flag(s) {listed} not set")
    for flag, text in commands.DEPRECATED.items():
        if line.flags.changed(flag) and line.flags[flag]:
            session.stderr.write(f"Flag --{flag} has been deprecated, {text}\n")
    session.open(line.flags)
    call = Call(path, line.args, line.flags, line.dash, session, "kubectl " + " ".join(argv))
    module = importlib.import_module(f"seatrial.scenarios.kubectl.{_module(path)}")
    done = module.run(call)
    call.finish()
    return int(done or 0)


def _nothing(of: commands.Command, argv: list[str], words: list[str], session: Session) -> int:
    """A line without a command that exists."""
    named = next((position for position, word in enumerate(words) if not word.startswith("-")), None)
    if named is not None and named > 0 and words[0] not in ("-h", "--help"):
        value_first = commands.takes_next(of, words[0])
        if not value_first or len(words) > 2:
            flag = words[0].partition("=")[0]
            session.stderr.write(f"Error: flags cannot be placed before plugin name: {flag}\n")
            return 1
    line = commands.read(of, words)
    if line.args and not line.help:
        text = f'unknown command "{line.args[0]}" for "kubectl"'
        if near := list(commands.suggestions(line.args[0])):
            text += "\n\nDid you mean this?\n" + "".join(f"\t{name}\n" for name in near)
        raise Failure(text)
    session.stdout.write(of.help)
    return 0


def _module(path: str) -> str:
    words = path.split(" ")
    for length in range(len(words), 0, -1):
        found = MODULES.get(" ".join(words[:length]))
        if found:
            return found
    raise Failure(f"kubectl {path} is not here; a real kubectl has it")
