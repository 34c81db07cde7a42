"""What kubectl says when something goes wrong, and the code it ends with.

Source: k8s.io/kubectl/pkg/cmd/util/helpers.go (checkErr, StandardErrorMessage, MultilineError).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from seatrial.sim.machinery.errors import ApiError

T = TypeVar("T")
BROKEN_OFF = "error reading from error stream: next reader: websocket: close 1006 (abnormal closure): unexpected EOF"
"""Of a connection into a pod whose API server is gone without a word."""


class Failure(Exception):
    """A command that cannot go on: ``text`` is printed after ``error:`` unless ``plain``."""

    def __init__(self, text: str, code: int = 1, plain: bool = False) -> None:
        super().__init__(text, code, plain)
        self.text = text
        self.code = code
        self.plain = plain

    def __str__(self) -> str:
        return self.text


class NoMatch(Failure):
    """A word that names no resource type; some commands say so without ``error:``."""


class Several(Exception):
    """More than one thing went wrong."""

    def __init__(self, problems: Sequence[Exception]) -> None:
        super().__init__(tuple(problems))
        self.problems = tuple(problems)


class Ended(Exception):
    """The command has said what there is to say and ends with this code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def usage(command: str, text: str) -> Failure:
    """A command that was typed wrongly (UsageErrorf)."""
    return Failure(f"{text}\nSee 'kubectl {command} -h' for help and examples")


def attempt_each(items: Iterable[T], act: Callable[[T], object], problems: list[Exception]) -> None:
    """Does it to each and goes on after a refusal; then raises what went wrong, if anything did."""
    for item in items:
        try:
            act(item)
        except (ApiError, Failure) as problem:
            problems.append(problem)
    finish(problems)


def finish(problems: Sequence[Exception]) -> None:
    """Raises what went wrong, one or all, if anything did."""
    if problems:
        raise problems[0] if len(problems) == 1 else Several(problems)


def error_of(status: Mapping[str, Any], code: int = 0) -> ApiError:
    """The refusal in a Status."""
    return ApiError(
        int(status.get("code") or code), status.get("reason", ""), status.get("message", ""), status.get("details")
    )


def while_doing(verb: str, source: str, error: ApiError) -> ApiError:
    """The refusal with the file in it that caused it (AddSourceToErr)."""
    if not source:
        return error
    return ApiError(error.code, error.reason, f'error when {verb} "{source}": {error.message}', error.details)


def told(problem: Exception) -> str:
    """One of several problems, or one below another message (messageForError)."""
    if isinstance(problem, ApiError):
        if problem.reason == "Unauthorized":
            return f"error: You must be logged in to the server ({problem.message})"
        return f"Error from server{f' ({problem.reason})' if problem.reason else ''}: {problem.message}"
    return str(problem)


def _invalid(problem: ApiError) -> str:
    details = problem.details
    if details is None:
        return "The request is invalid" + (f": {problem.message}" if problem.message else "")
    text = "The request is invalid"
    causes = details.get("causes") or ()
    if details.get("kind") or details.get("name"):
        text = f'The {details.get("kind", "")} "{details.get("name", "")}" is invalid'
    elif problem.message and not causes:
        text += f": {problem.message}"
    if not causes:
        return text
    lines = list(dict.fromkeys(f"{cause.get('field', '')}: {cause.get('message', '')}" for cause in causes))
    if len(lines) == 1:
        return f"{text}: {lines[0]}"
    return f"{text}: \n" + "\n".join(f"* {line}" for line in lines)


def text_of(problem: Exception) -> tuple[str, int]:
    """What is printed for a problem that ends the command, and the exit code."""
    if isinstance(problem, Several):
        return "\n".join(told(each) for each in problem.problems), 1
    if isinstance(problem, ApiError):
        return (_invalid(problem) if problem.reason == "Invalid" else told(problem)), 1
    if isinstance(problem, Failure):
        text = problem.text
        if not problem.plain and not text.startswith("error: "):
            text = f"error: {text}"
        return text, problem.code
    return f"error: {problem}", 1


def refused(server: str) -> Failure:
    """What is said when nobody listens."""
    host = server.partition("://")[2]
    text = f"The connection to the server {host} was refused - did you specify the right host or port?"
    return Failure(text, plain=True)


TRIES = 5
"""How often kubectl asks for the API groups before it gives up."""


def undiscovered(server: str, path: str, timeout: str, now_us: int, process: int) -> str:
    """What kubectl logs of a server that refuses connections while it asks for the API groups."""
    host = server.partition("://")[2]
    stamp = datetime.fromtimestamp(now_us / 1_000_000, UTC).strftime("E%m%d %H:%M:%S.%f")
    where = f'Get \\"{server}{path}?timeout={timeout}\\": dial tcp {host}: connect: connection refused'
    line = f'{stamp} {process:7d} memcache.go:381] "Couldn\'t get current server API group list" err="{where}"\n'
    return line * TRIES
