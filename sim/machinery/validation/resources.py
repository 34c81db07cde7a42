"""Names and amounts of resources: requests and limits, capacities, quotas.

Source: k8s.io/kubernetes/pkg/apis/core/validation and pkg/apis/core/helper.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.quantity import Quantity, parse
from seatrial.sim.machinery.validation.names import is_label, qualified_name
from seatrial.sim.machinery.validation.problems import (
    NONE,
    Check,
    Errors,
    Object,
    at,
    duplicate,
    forbidden,
    invalid,
    not_found,
    not_supported,
    required,
)

HUGE_PAGES = "hugepages-"
ATTACHABLE = "attachable-volumes-"
CONTAINER_RESOURCES = frozenset({"cpu", "memory", "ephemeral-storage"})
POD_RESOURCES = ("cpu", "hugepages-*", "memory")
OBJECT_COUNTS = frozenset(
    {
        "pods", "services", "replicationcontrollers", "resourcequotas", "secrets", "configmaps",
        "persistentvolumeclaims", "services.nodeports", "services.loadbalancers",
    }
)  # fmt: skip
QUOTA_RESOURCES = (
    frozenset(
        {
            "cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory", "requests.storage",
            "requests.ephemeral-storage", "limits.cpu", "limits.memory", "limits.ephemeral-storage",
        }
    )
    | OBJECT_COUNTS
)  # fmt: skip
STANDARD_RESOURCES = QUOTA_RESOURCES | {"storage"}
INTEGERS = OBJECT_COUNTS

ZERO = parse("0")


def amount(value: Any) -> Quantity:
    """A quantity of an object that was decoded; what cannot be parsed counts as nothing."""
    return parse(value) if isinstance(value, str) else parse(str(value))


def is_native(name: str) -> bool:
    return "/" not in name or "kubernetes.io/" in name


def is_extended(name: str) -> bool:
    """A resource that somebody else defined: fully qualified, and fit to be asked for in a quota."""
    if is_native(name) or name.startswith("requests."):
        return False
    return not qualified_name(f"requests.{name}")


def is_huge_pages(name: str) -> bool:
    return name.startswith(HUGE_PAGES)


def allows_overcommit(name: str) -> bool:
    return is_native(name) and not is_huge_pages(name)


def resource_name(name: str) -> Errors:
    """A compute resource: one of the standard ones or fully qualified."""
    if name in STANDARD_RESOURCES:
        return NONE
    wrong = qualified_name(name)
    if wrong:
        return [invalid("", name, text) for text in wrong]
    if "/" not in name and not name.startswith((HUGE_PAGES, "requests.hugepages-")):
        return (invalid("", name, "must be a standard resource type or fully qualified"),)
    return NONE


def container_resource_name(name: str) -> Errors:
    if name in CONTAINER_RESOURCES:
        return NONE
    errors = list(resource_name(name))
    if "/" not in name:
        if not is_huge_pages(name):
            errors.append(invalid("", name, "must be a standard resource for containers"))
    elif not is_native(name) and not is_extended(name):
        errors.append(invalid("", name, "doesn't follow extended resource name standard"))
    return errors


def pod_resource_name(name: str) -> Errors:
    wrong = resource_name(name)
    if wrong:
        return wrong
    if name not in ("cpu", "memory") and not is_huge_pages(name):
        return (not_supported("", name, ("cpu", "hugepages-", "memory")),)
    return NONE


def quota_resource_name(name: str) -> Errors:
    errors = list(resource_name(name))
    if "/" not in name and name not in QUOTA_RESOURCES and not name.startswith((HUGE_PAGES, "requests.hugepages-")):
        errors.append(invalid("", name, "must be a standard resource for quota"))
    return errors


def is_nonnegative(value: Any) -> Errors:
    quantity = amount(value)
    return NONE if quantity >= ZERO else (invalid("", str(quantity), "must be greater than or equal to 0"),)


def is_positive(value: Any) -> Errors:
    quantity = amount(value)
    return NONE if quantity > ZERO else (invalid("", str(quantity), "must be greater than zero"),)


def is_basic(value: Any) -> Errors:
    quantity = amount(value)
    return NONE if quantity >= ZERO else (invalid("", quantity.value(), "must be a valid resource quantity"),)


def resource_amount(name: str, value: Any) -> Errors:
    """An amount of a resource: not negative, whole for things that are counted."""
    quantity = amount(value)
    errors: list[FieldError] = []
    if quantity < ZERO:
        errors.append(invalid("", str(quantity), "must be greater than or equal to 0"))
    if (name in INTEGERS or is_extended(name)) and quantity.milli_value() % 1000:
        errors.append(invalid("", str(quantity), "must be an integer"))
    return errors or NONE


def amounts(name_check: Check, given: Mapping[str, Any] | None) -> Errors:
    """Every entry of a resource list; paths are the keys in brackets."""
    errors: list[FieldError] = []
    for name, value in (given or {}).items():
        errors += at(f"[{name}]", [*name_check(name), *resource_amount(name, value)])
    return errors or NONE


def container_resources(value: Object, claims: Sequence[str] = ()) -> Errors:
    """ResourceRequirements of a container; ``claims``: the names of the pod's resource claims."""
    return resource_requirements(value, container_resource_name, claims)


def resource_requirements(value: Object, name_check: Check, claims: Sequence[str]) -> Errors:
    errors: list[FieldError] = []
    limits, requests = value.get("limits") or {}, value.get("requests") or {}
    for name, limit in limits.items():
        if found := _entry(name, limit, name_check):
            errors += at(f"limits[{name}]", found)
    for name, request in requests.items():
        if found := _entry(name, request, name_check):
            errors += at(f"requests[{name}]", found)
        if found := _against_limit(name, request, limits):
            errors += found
    names = (*limits, *requests)
    if any(map(is_huge_pages, names)) and not ("cpu" in names or "memory" in names):
        errors.append(forbidden("", "HugePages require cpu or memory"))
    if value.get("claims"):
        errors += _claims(value["claims"], claims)
    return errors or NONE


@lru_cache(maxsize=4096)
def _entry(name: str, value: Any, name_check: Check) -> Errors:
    errors = [*name_check(name), *resource_amount(name, value)]
    if is_huge_pages(name):
        quantity = amount(value)
        if not _divisible(name, quantity):
            errors.append(invalid("", str(quantity), f"{quantity} is not positive integer multiple of {name}"))
    return errors or NONE


def _divisible(name: str, quantity: Quantity) -> bool:
    try:
        page = parse(name.removeprefix(HUGE_PAGES))
    except ValueError:
        return False
    return page > ZERO and quantity.nanos % page.nanos == 0


def _against_limit(name: str, request: Any, limits: Mapping[str, Any]) -> Errors:
    asked = amount(request)
    if name not in limits:
        if not allows_overcommit(name):
            return (required("limits", "Limit must be set for non overcommitable resources"),)
        return NONE
    limit = amount(limits[name])
    if asked != limit and not allows_overcommit(name):
        return (invalid("requests", str(asked), f"must be equal to {name} limit of {limit}"),)
    if asked > limit:
        return (invalid("requests", str(asked), f"must be less than or equal to {name} limit of {limit}"),)
    return NONE


def _claims(entries: Sequence[Object], known: Sequence[str]) -> Errors:
    errors: list[FieldError] = []
    seen: list[str] = []
    for index, entry in enumerate(entries):
        path, name, request = f"claims[{index}]", entry.get("name"), entry.get("request")
        if not name:
            errors.append(required(path))
            continue
        if name in seen:
            errors.append(duplicate(path, name))
        else:
            key = f"{name}/{request}" if request else name
            if request:
                errors += at(f"{path}.request", is_label(request))
            if key in seen or (not request and any(one.startswith(f"{name}/") for one in seen)):
                errors.append(duplicate(path, key))
            seen.append(key)
        if name not in known:
            listed = f": {', '.join(sorted(known))}" if known else " which is empty"
            errors.append(not_found(path, name, f"must be one of the names in pod.spec.resourceClaims{listed}"))
    return errors
