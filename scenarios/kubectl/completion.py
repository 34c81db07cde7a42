"""Completion: what may come next in a line, and the scripts that ask for it.

``kubectl __complete WORD … WORD`` prints the candidates for the last word and a directive, as cobra's commands do.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

from seatrial.scenarios.kubectl import commands
from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.failures import Failure
from seatrial.scenarios.kubectl.session import Session
from seatrial.sim.machinery.errors import ApiError

FILES, NO_FILES, NO_SPACE = 0, 4, 6
"""cobra's directives: files may follow; nothing else may; and no blank after the candidate."""
TYPED = frozenset(
    {"get", "describe", "delete", "edit", "label", "annotate", "patch", "scale", "autoscale", "expose", "wait",
     "apply view-last-applied", "apply edit-last-applied", "rollout status", "rollout history", "rollout undo",
     "rollout pause", "rollout resume", "rollout restart", "set image", "set env", "set resources",
     "set serviceaccount", "set selector", "set subject", "explain"}
)  # fmt: skip
"""Commands whose first argument is a resource type and whose others are names."""
ROLLED = ("deployment", "daemonset", "statefulset")
FIXED = {
    "logs": "pods", "exec": "pods", "attach": "pods", "port-forward": "pods", "cp": "pods", "debug": "pods",
    "top pod": "pods", "top node": "nodes", "drain": "nodes", "cordon": "nodes", "uncordon": "nodes",
    "certificate approve": "certificatesigningrequests", "certificate deny": "certificatesigningrequests",
}  # fmt: skip
FORMATS = ("json", "yaml", "kyaml", "name", "wide", "jsonpath=", "go-template=", "custom-columns=")
VALUES = {
    "output": FORMATS,
    "dry-run": ("none", "server", "client"),
    "cascade": ("background", "foreground", "orphan"),
    "validate": ("strict", "warn", "ignore"),
}


def complete(words: Sequence[str], session: Session) -> int:
    """Prints what may stand in the last word's place."""
    found, directive = candidates(list(words), session)
    for each in found:
        session.stdout.write(f"{each}\n")
    session.stdout.write(f":{directive}\n")
    return 0


def candidates(words: list[str], session: Session) -> tuple[list[str], int]:
    """Candidates (a description after a tab) and the directive. Never raises: a cluster that is down has none."""
    *before, last = words or [""]
    silent, session.stderr = session.stderr, io.StringIO()
    try:
        found, directive = _candidates(before, last, session)
    except (Failure, ApiError, KeyError):
        return [], NO_FILES
    finally:
        session.stderr = silent
    return found, directive


def _starting(found: Iterable[str], last: str) -> list[str]:
    return [each for each in found if each.startswith(last)]


def _candidates(before: list[str], last: str, session: Session) -> tuple[list[str], int]:
    path, rest = commands.find(before)
    of = commands.command(path)
    if rest and rest[-1].startswith("-") and commands.takes_next(of, rest[-1]):
        flag = of.flags.get(rest[-1].lstrip("-")) or of.shorts[rest[-1][-1]]
        return _flag_values(path, flag.name, rest[:-1], last, session)
    if last.startswith("--") and "=" in last:
        name, _, value = last[2:].partition("=")
        found, directive = _flag_values(path, name, rest, value, session)
        return [f"--{name}={each}" for each in found], directive
    if last.startswith("-"):
        return _starting((f"--{flag.name}\t{flag.usage.splitlines()[0] if flag.usage else ''}"
                          for flag in of.flags.values()), last), NO_FILES  # fmt: skip
    line = commands.read(of, rest)
    if of.children and not line.args:
        return _starting((f"{name}\t{_short(f'{path} {name}'.strip())}" for name in of.children), last), NO_FILES
    session.open(line.flags)
    return _arguments(Call(path, line.args, line.flags, line.dash, session, ""), last)


def _short(path: str) -> str:
    return commands.command(path).help.split("\n", 1)[0]


def _call(path: str, rest: list[str], session: Session) -> Call:
    line = commands.read(commands.command(path), rest)
    session.open(line.flags)
    return Call(path, line.args, line.flags, line.dash, session, "")


def _flag_values(path: str, name: str, rest: list[str], last: str, session: Session) -> tuple[list[str], int]:
    if name in VALUES:
        return _starting(VALUES[name], last), NO_SPACE if last.endswith("=") else NO_FILES
    if name == "namespace":
        return _starting(_names(_call(path, rest, session), "namespaces"), last), NO_FILES
    if name in ("context", "cluster", "user"):
        call = _call(path, rest, session)
        rows = call.session.config.get(f"{name}s") or ()
        return _starting((row["name"] for row in rows), last), NO_FILES
    if name == "container":
        return _starting(_containers(_call(path, rest, session)), last), NO_FILES
    return [], FILES if name in ("filename", "kustomize", "kubeconfig", "from-file", "from-env-file") else NO_FILES


def _containers(call: Call) -> list[str]:
    if not call.args:
        return []
    name = call.args[0].rpartition("/")[2]
    spec = call.client.get(call.client.kind("pods").path(call.namespace, name))["spec"]
    return [each["name"] for each in (*spec.get("containers", ()), *spec.get("initContainers", ()))]


def _names(call: Call, word: str) -> list[str]:
    kind = call.client.kind(word)
    items = call.client.items(kind, call.namespace if kind.namespaced else "", {"limit": 500})
    return [item["metadata"]["name"] for item in items]


def _types(call: Call) -> list[str]:
    if call.path.startswith("rollout"):
        return list(ROLLED)
    return sorted({kind.plural for kind in call.client.discovered if "list" in kind.verbs})


def _arguments(call: Call, last: str) -> tuple[list[str], int]:
    path, args = call.path, call.args
    if path == "config use-context" or (path.startswith("config ") and path.endswith("-context")):
        return _starting((row["name"] for row in call.session.config.get("contexts") or ()), last), NO_FILES
    if path == "completion":
        return _starting(("bash", "zsh", "fish"), last), NO_FILES
    if path == "taint" or path == "top":
        return _starting(["nodes"] if not args else _names(call, "nodes"), last), NO_FILES
    if path in FIXED:
        return _starting(_names(call, FIXED[path]), last), NO_FILES
    if path not in TYPED:
        return [], FILES if path in ("apply", "create") else NO_FILES
    if "/" in last:
        kind, _, _ = last.partition("/")
        return _starting((f"{kind}/{name}" for name in _names(call, kind)), last), NO_FILES
    if not args:
        return _starting(_types(call), last), NO_FILES
    if path == "explain" or "/" in args[0]:
        return [], NO_FILES
    given = set(args[1:])
    return _starting((name for name in _names(call, args[0]) if name not in given), last), NO_FILES


SCRIPTS = {
    "bash": """# bash completion for {name}
__seatrial_kubectl_complete() {{
    local line directive candidates=()
    while IFS= read -r line; do
        case "$line" in
            :*) directive="${{line#:}}" ;;
            *) candidates+=("${{line%%$'\\t'*}}") ;;
        esac
    done < <({command} __complete "${{COMP_WORDS[@]:1:COMP_CWORD}}" 2>/dev/null)
    COMPREPLY=("${{candidates[@]}}")
    [ "$directive" = 6 ] && compopt -o nospace
    [ "$directive" = 0 ] && compopt -o default
    return 0
}}
complete -F __seatrial_kubectl_complete {name}
""",
    "zsh": """#compdef {name}
__seatrial_kubectl_complete() {{
    local line directive
    local -a candidates
    for line in "${{(@f)$({command} __complete "${{(@)words[2,$CURRENT]}}" 2>/dev/null)}}"; do
        case "$line" in
            :*) directive="${{line#:}}" ;;
            *) candidates+=("${{${{line%%$'\\t'*}}//:/\\\\:}}:${{line#*$'\\t'}}") ;;
        esac
    done
    (( $#candidates )) && _describe '{name}' candidates
    [ "$directive" = 0 ] && _files
}}
compdef __seatrial_kubectl_complete {name}
""",
    "fish": """# fish completion for {name}
function __seatrial_kubectl_complete
    set -l words (commandline -opc) (commandline -ct)
    {command} __complete $words[2..-1] 2>/dev/null | string match -v -r '^:'
end
complete -c {name} -f -a '(__seatrial_kubectl_complete)'
""",
}


def script(shell: str, name: str = "kubectl", command: str = "seatrial kubectl") -> str:
    """The script that teaches a shell to complete ``name``. Raises Failure for a shell that is not known."""
    found = SCRIPTS.get(shell)
    if found is None:
        raise Failure(f'Unsupported shell type "{shell}".')
    return found.format(name=name, command=command)


def run(call: Call) -> int:
    if not call.args:
        raise call.misused("Shell not specified.")
    if len(call.args) > 1:
        raise call.misused("Too many arguments. Expected only the shell type.")
    if call.args[0] not in SCRIPTS:
        raise call.misused(f'Unsupported shell type "{call.args[0]}".')
    call.write(script(call.args[0]))
    return 0
