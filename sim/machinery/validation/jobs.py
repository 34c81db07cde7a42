"""What Jobs must hold when they are made.

Source: k8s.io/kubernetes/pkg/apis/batch/validation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from seatrial.sim.machinery import selectors
from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation.golang import internal_form
from seatrial.sim.machinery.validation.label_selectors import converts, label_selector
from seatrial.sim.machinery.validation.names import is_domain_prefixed_path, is_qualified_name, label
from seatrial.sim.machinery.validation.problems import (
    NONE,
    OMITTED,
    Errors,
    Object,
    at,
    duplicate,
    each,
    invalid,
    nonnegative,
    not_supported,
    required,
    too_long,
    too_many,
)
from seatrial.sim.machinery.validation.table import table
from seatrial.sim.machinery.validation.workloads import MISMATCH, TEMPLATE

ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
CONDITION_STATUSES = ("False", "True", "Unknown")
REPLACEMENTS = ("Failed", "TerminatingOrFailed")
INDEXED = "requires indexed completion mode"
PARALLEL_MAX = 100_000
FAILED_INDEXES_MAX = 100_000
SOFT_LIMIT = 100_000
HIGH_LIMIT = 10_000
UID_LABELS = ("controller-uid", "batch.kubernetes.io/controller-uid")
NAME_LABELS = ("job-name", "batch.kubernetes.io/job-name")


def _given(values: Sequence[str]) -> str:
    """Go's %q of a list."""
    return f"valid values: [{' '.join(f'{chr(34)}{value}{chr(34)}' for value in values)}]"


NUMBERS = (
    "parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished",
    "backoffLimitPerIndex", "maxFailedIndexes",
)  # fmt: skip
_numbers = table(dict.fromkeys(NUMBERS, nonnegative))


def job_spec(spec: Object) -> Errors:
    """What Jobs and the templates of CronJobs have alike."""
    errors = [*_numbers(spec)]
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        errors.append(required("backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    if (manager := spec.get("managedBy")) is not None:
        errors += at("managedBy", is_domain_prefixed_path(manager))
        if len(manager) > 63:
            errors.append(too_long("managedBy", 63))
    errors += _completion(spec)
    if (policy := spec.get("podFailurePolicy")) is not None:
        errors += at("podFailurePolicy", _failure_policy(spec, policy))
    if (success := spec.get("successPolicy")) is not None:
        if spec.get("completionMode") != "Indexed":
            errors.append(invalid("successPolicy", internal_form(success, "SuccessPolicy"), INDEXED))
        else:
            errors += at("successPolicy", _success_policy(spec, success))
    errors += _replacement(spec)
    template = spec.get("template") or {}
    errors += at("template", TEMPLATE(template))
    errors += _restart(spec, (template.get("spec") or {}).get("restartPolicy") or "")
    return errors


def _restart(spec: Object, policy: str) -> Errors:
    path = "template.spec.restartPolicy"
    if policy in ("", "Always"):
        return (required(path, 'valid values: "OnFailure", "Never"'),)
    if policy not in ("OnFailure", "Never"):
        return (not_supported(path, policy, ("OnFailure", "Never")),)
    if spec.get("podFailurePolicy") is not None and policy != "Never":
        return (invalid(path, policy, 'only "Never" is supported when podFailurePolicy is specified'),)
    return NONE


def _completion(spec: Object) -> Errors:
    mode = spec.get("completionMode")
    errors: list[FieldError] = []
    if mode is not None and mode not in ("NonIndexed", "Indexed"):
        errors.append(not_supported("completionMode", mode, ("NonIndexed", "Indexed")))
    if mode in (None, "NonIndexed"):
        given = [name for name in ("backoffLimitPerIndex", "maxFailedIndexes") if spec.get(name) is not None]
        errors += [invalid(name, spec[name], INDEXED) for name in given]
    elif mode == "Indexed":
        errors += _indexed(spec)
    return errors


def _indexed(spec: Object) -> Errors:
    errors: list[FieldError] = []
    completions, parallelism = spec.get("completions"), spec.get("parallelism")
    failed = spec.get("maxFailedIndexes")
    if completions is None:
        errors.append(required("completions", "when completion mode is Indexed"))
    if parallelism is not None and parallelism > PARALLEL_MAX:
        told = f"must be less than or equal to {PARALLEL_MAX} when completion mode is Indexed"
        errors.append(invalid("parallelism", parallelism, told))
    if failed is not None:
        if completions is not None and failed > completions:
            errors.append(invalid("maxFailedIndexes", failed, "must be less than or equal to completions"))
        if failed > FAILED_INDEXES_MAX:
            errors.append(invalid("maxFailedIndexes", failed, f"must be less than or equal to {FAILED_INDEXES_MAX}"))
    if completions is not None and completions > SOFT_LIMIT and spec.get("backoffLimitPerIndex") is not None:
        many = f"when completions are above {SOFT_LIMIT} and used with backoff limit per index"
        if failed is None:
            errors.append(required("maxFailedIndexes", f"must be specified when completions is above {SOFT_LIMIT}"))
        for name, value in (("parallelism", parallelism), ("maxFailedIndexes", failed)):
            if value is not None and value > HIGH_LIMIT:
                errors.append(invalid(name, value, f"must be less than or equal to {HIGH_LIMIT} {many}"))
    return errors


def _replacement(spec: Object) -> Errors:
    policy = spec.get("podReplacementPolicy")
    supported = REPLACEMENTS if spec.get("podFailurePolicy") is None else REPLACEMENTS[:1]
    if policy is None or policy in supported:
        return NONE
    return (not_supported("podReplacementPolicy", policy, supported),)


def _failure_policy(spec: Object, policy: Object) -> Errors:
    rules = policy.get("rules") or ()
    pod = (spec.get("template") or {}).get("spec") or {}
    names = [c.get("name") for c in (*(pod.get("containers") or ()), *(pod.get("initContainers") or ()))]
    errors: list[FieldError] = [too_many("rules", len(rules), 20)] if len(rules) > 20 else []
    errors += each("rules", rules, lambda rule: _failure_rule(spec, rule, names))
    return errors


def _failure_rule(spec: Object, rule: Object, names: Sequence[str | None]) -> Errors:
    errors: list[FieldError] = []
    action, codes, conditions = rule.get("action") or "", rule.get("onExitCodes"), rule.get("onPodConditions")
    if not action:
        errors.append(required("action", _given(ACTIONS)))
    elif action == "FailIndex":
        if spec.get("backoffLimitPerIndex") is None:
            errors.append(invalid("action", action, "requires the backoffLimitPerIndex to be set"))
    elif action not in ACTIONS:
        errors.append(not_supported("action", action, ACTIONS))
    if codes is not None:
        errors += at("onExitCodes", _exit_codes(codes, names))
    if conditions:
        if len(conditions) > 20:
            errors.append(too_many("onPodConditions", len(conditions), 20))
        errors += each("onPodConditions", conditions, _condition_pattern)
    if codes is not None and conditions:
        errors.append(invalid("", OMITTED, "specifying both OnExitCodes and OnPodConditions is not supported"))
    if codes is None and not conditions:
        errors.append(invalid("", OMITTED, "specifying one of OnExitCodes and OnPodConditions is required"))
    return errors


def _condition_pattern(value: Object) -> Errors:
    errors = [*at("type", is_qualified_name(value.get("type") or ""))]
    status = value.get("status") or ""
    if not status:
        errors.append(required("status", _given(CONDITION_STATUSES)))
    elif status not in CONDITION_STATUSES:
        errors.append(not_supported("status", status, CONDITION_STATUSES))
    return errors


def _exit_codes(value: Object, names: Sequence[str | None]) -> Errors:
    errors: list[FieldError] = []
    operator, container, codes = value.get("operator") or "", value.get("containerName"), value.get("values") or []
    if not operator:
        errors.append(required("operator", _given(("In", "NotIn"))))
    elif operator not in ("In", "NotIn"):
        errors.append(not_supported("operator", operator, ("In", "NotIn")))
    if container is not None and container not in names:
        told = "must be one of the container or initContainer names in the pod template"
        errors.append(invalid("containerName", container, told))
    if not codes:
        errors.append(invalid("values", codes, "at least one value is required"))
    elif len(codes) > 255:
        errors.append(too_many("values", len(codes), 255))
    for index, code in enumerate(codes):
        if operator == "In" and code == 0:
            errors.append(invalid(f"values[{index}]", code, "must not be 0 for the In operator"))
        if code in codes[:index]:
            errors.append(duplicate(f"values[{index}]", code))
    if any(before > after for before, after in pairwise(codes)):
        errors.append(invalid("values", codes, "must be ordered"))
    return errors


def _success_policy(spec: Object, policy: Object) -> Errors:
    rules = policy.get("rules") or ()
    errors: list[FieldError] = []
    if not rules:
        told = "at least one rules must be specified when the successPolicy is specified"
        errors.append(required("rules", told))
    if len(rules) > 20:
        errors.append(too_many("rules", len(rules), 20))
    errors += each("rules", rules, lambda rule: _success_rule(spec.get("completions") or 0, rule))
    return errors


def _success_rule(completions: int, rule: Object) -> Errors:
    errors: list[FieldError] = []
    indexes, count, total = rule.get("succeededIndexes"), rule.get("succeededCount"), 0
    if indexes is None and count is None:
        errors.append(required("", "at least one of succeededCount or succeededIndexes must be specified"))
    if indexes is not None:
        if len(indexes) > 64 * 1024:
            errors.append(too_long("succeededIndexes", 64 * 1024))
        total, problem = index_count(indexes, completions)
        if problem:
            errors.append(invalid("succeededIndexes", indexes, f"error parsing succeededIndexes: {problem}"))
    if count is not None:
        errors += at("succeededCount", nonnegative(count))
        if count > completions:
            told = f"must be less than or equal to {completions} (the number of specified completions)"
            errors.append(invalid("succeededCount", count, told))
        if indexes is not None and count > total:
            told = (
                f"must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
            )
            errors.append(invalid("succeededCount", count, told))
    return errors


def index_count(text: str, completions: int) -> tuple[int, str]:
    """How many indexes ``0-2,5`` names, and what is wrong with it (then the count is 0)."""
    if not text:
        return 0, ""
    total, last = 0, -1
    for interval in text.split(","):
        parts = interval.split("-")
        if len(parts) > 2:
            told = "violates the requirement that an index interval can have at most two parts separated by '-'"
            return 0, f'the fragment "{interval}" {told}'
        numbers: list[int] = []
        for part in parts:
            if not part.removeprefix("+").isdecimal():
                return 0, f'cannot convert string to integer for index: "{part}"'
            numbers.append(int(part))
        for number in numbers:
            if number >= completions:
                return 0, f'too large index: "{number}"'
        if len(numbers) == 2 and numbers[0] >= numbers[1]:
            return 0, f"non-increasing order, previous: {numbers[0]}, current: {numbers[1]}"
        if numbers[0] <= last:
            return 0, f"non-increasing order, previous: {last}, current: {numbers[0]}"
        total += numbers[-1] - numbers[0] + 1
        last = numbers[-1]
    return total, ""


def job_selected(spec: Object) -> Errors:
    """A Job's own spec: with a selector, which finds its pods."""
    errors = [*job_spec(spec)]
    selector = spec.get("selector")
    if selector is None:
        return [*errors, required("selector")]
    errors += at("selector", label_selector(selector))
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if converts(selector) and not selectors.labels(selector)(labels or {}):
        errors.append(invalid("template.metadata.labels", labels, MISMATCH))
    return errors


def job_create(value: Object) -> Errors:
    spec = value.get("spec") or {}
    errors = [*_generated_selector(value, spec), *at("spec", job_selected(spec))]
    completions = spec.get("completions")
    if spec.get("completionMode") == "Indexed" and completions:
        name = value["metadata"].get("name", "")
        hostname = f"{name}-{completions - 1}"
        if label(hostname):
            told = f"will not able to create pod with invalid DNS label: {hostname}"
            errors.append(invalid("metadata.name", name, told))
    return errors


def _generated_selector(value: Object, spec: Object) -> Errors:
    """The labels and the selector that the server itself gives a Job."""
    selector = spec.get("selector")
    if spec.get("manualSelector") or selector is None:
        return NONE
    metadata, errors = value["metadata"], list[FieldError]()
    labels: Mapping[str, str] = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    expected = dict.fromkeys(UID_LABELS, metadata.get("uid", ""))
    expected.update(dict.fromkeys(NAME_LABELS, metadata.get("name", "")))
    for key, wanted in expected.items():
        path = f"spec.template.metadata.labels[{key}]"
        if key not in labels:
            errors.append(required(path, f"must be '{wanted}'"))
        elif labels[key] != wanted:
            errors.append(invalid(path, dict(labels), f"must be '{wanted}'"))
    if converts(selector) and not selectors.labels(selector)(expected):
        errors.append(invalid("spec.selector", selector, "`selector` not auto-generated"))
    return errors
