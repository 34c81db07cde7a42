"""Security contexts of pods and containers.

Source: k8s.io/kubernetes/pkg/apis/core/validation (ValidateSecurityContext, validatePodSpecSecurityContext,
validateWindowsSecurityContextOptions).
"""

from __future__ import annotations

import re
from typing import Any

from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation.golang import internal_form
from seatrial.sim.machinery.validation.memo import remembered
from seatrial.sim.machinery.validation.names import identity, is_subdomain, sysctl_name
from seatrial.sim.machinery.validation.paths import descending_path
from seatrial.sim.machinery.validation.problems import (
    NONE,
    Check,
    Errors,
    Object,
    at,
    duplicate,
    each,
    invalid,
    not_supported,
    one_of,
    required,
    texts,
    too_long,
)
from seatrial.sim.machinery.validation.table import table

is_identity: Check = texts(identity)
SYSCTL_WRONG = (
    "must have at most 253 characters and match regex "
    r"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"
)
PROFILE_TYPES = ("Localhost", "RuntimeDefault", "Unconfined")


def seccomp(value: Object) -> Errors:
    errors: list[FieldError] = []
    kind = value.get("type") or ""
    if not kind:
        errors.append(required("type", "type is required when seccompProfile is set"))
    elif kind not in PROFILE_TYPES:
        errors.append(not_supported("type", kind, PROFILE_TYPES))
    local = value.get("localhostProfile")
    if kind == "Localhost":
        if local is None:
            errors.append(required("localhostProfile", "must be set when seccomp type is Localhost"))
        else:
            errors += at("localhostProfile", descending_path(local))
    elif local is not None:
        told = "can only be set when seccomp type is Localhost"
        errors.append(invalid("localhostProfile", internal_form(value, "SeccompProfile"), told))
    return errors or NONE


def app_armor(value: Object) -> Errors:
    kind, local = value.get("type") or "", value.get("localhostProfile")
    if not kind:
        return (required("type", "type is required when appArmorProfile is set"),)
    if kind not in PROFILE_TYPES:
        return (not_supported("type", kind, PROFILE_TYPES),)
    if kind != "Localhost":
        told = "can only be set when AppArmor type is Localhost"
        return (invalid("localhostProfile", local, told),) if local is not None else NONE
    if not local:
        return (required("localhostProfile", "must be set when AppArmor type is Localhost"),)
    errors: list[FieldError] = []
    if local.strip() != local:
        errors.append(invalid("localhostProfile", local, "must not be padded with whitespace"))
    if len(local.encode()) > 4095:
        errors.append(too_long("localhostProfile", 4095))
    return errors


CONTROL = re.compile("[\x00-\x1f\x7f]")
NETBIOS = re.compile(r'[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}')
_DNS = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
DNS = re.compile(rf"{_DNS}(?:\.{_DNS})*")
USER_CHARACTERS = re.compile(r'["/\\:;|=,+*?<>@\[\]]')


def _windows_user(value: str) -> Errors:
    if not value:
        return (invalid("", value, "runAsUserName cannot be an empty string"),)
    if CONTROL.search(value):
        return (invalid("", value, "runAsUserName cannot contain control characters"),)
    domain, backslash, user = value.partition("\\")
    if "\\" in user:
        return (invalid("", value, "runAsUserName cannot contain more than one backslash"),)
    if not backslash:
        domain, user = "", value
    told: list[str] = []
    if len(domain) >= 256:
        told.append("runAsUserName's Domain length must be under 256 characters")
    if backslash and not (NETBIOS.fullmatch(domain) or DNS.fullmatch(domain)):
        told.append("runAsUserName's Domain doesn't match the NetBios nor the DNS format")
    if not user:
        told.append("runAsUserName's User cannot be empty")
    elif len(user) > 104:
        told.append("runAsUserName's User length must not be longer than 104 characters")
    if user and not user.strip(". "):
        told.append("runAsUserName's User cannot contain only periods or spaces")
    if USER_CHARACTERS.search(user):
        told.append("runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]")
    return [invalid("", value, text) for text in told]


def _credential_spec(value: str) -> Errors:
    if not value:
        return (invalid("", value, "gmsaCredentialSpec cannot be an empty string"),)
    if len(value.encode()) > 64 * 1024:
        return (invalid("", value, "gmsaCredentialSpec size must be under 64 KiB"),)
    return NONE


windows_options = table(
    {
        "gmsaCredentialSpecName": is_subdomain,
        "gmsaCredentialSpec": _credential_spec,
        "runAsUserName": _windows_user,
    }
)


def _escalation(value: Object) -> Errors:
    """What contradicts allowPrivilegeEscalation: false."""
    if value.get("allowPrivilegeEscalation") is not False:
        return NONE
    errors: list[FieldError] = []
    if value.get("privileged"):
        told = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
        errors.append(invalid("", internal_form(value, "SecurityContext"), told))
    for capability in (value.get("capabilities") or {}).get("add") or ():
        if capability == "CAP_SYS_ADMIN":
            told = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            errors.append(invalid("", internal_form(value, "SecurityContext"), told))
    return errors


container_security = remembered(
    table(
        {
            "runAsUser": is_identity,
            "runAsGroup": is_identity,
            "procMount": one_of("Default", "Unmasked", ordered=True),
            "seccompProfile": seccomp,
            "": _escalation,
            "windowsOptions": windows_options,
            "appArmorProfile": app_armor,
        }
    )
)


def unmasked(value: Object, host_users: bool) -> Errors:
    """An unmasked /proc needs a user namespace of the pod's own."""
    if host_users and value.get("procMount") == "Unmasked":
        return (invalid("procMount", "Unmasked", "`hostUsers` must be false to use `Unmasked`"),)
    return NONE


def _sysctls(values: Any) -> Errors:
    errors: list[FieldError] = []
    seen: list[str] = []
    for index, entry in enumerate(values):
        name, path = entry.get("name") or "", f"[{index}].name"
        if not name:
            errors.append(required(path))
        elif len(name) > 253 or sysctl_name(name):
            errors.append(invalid(path, name, SYSCTL_WRONG))
        elif name in seen:
            errors.append(duplicate(path, name))
        seen.append(name)
    return errors or NONE


def _groups(values: Any) -> Errors:
    return each("", values, is_identity)


pod_security = table(
    {
        "fsGroup": is_identity,
        "runAsUser": is_identity,
        "runAsGroup": is_identity,
        "supplementalGroups": _groups,
        "sysctls": _sysctls,
        "fsGroupChangePolicy": one_of("Always", "OnRootMismatch"),
        "seccompProfile": seccomp,
        "windowsOptions": windows_options,
        "appArmorProfile": app_armor,
        "supplementalGroupsPolicy": one_of("Merge", "Strict"),
        "seLinuxChangePolicy": one_of("MountOption", "Recursive"),
    }
)


WINDOWS_FORBIDS_IN_POD = (
    "appArmorProfile", "seLinuxOptions", "seccompProfile", "fsGroup", "fsGroupChangePolicy", "sysctls", "runAsUser",
    "runAsGroup", "supplementalGroups", "supplementalGroupsPolicy", "seLinuxChangePolicy",
)  # fmt: skip
WINDOWS_FORBIDS_IN_SPEC = ("hostUsers", "hostPID", "hostIPC", "shareProcessNamespace")
WINDOWS_FORBIDS_IN_CONTAINER = (
    "appArmorProfile", "seLinuxOptions", "seccompProfile", "capabilities", "readOnlyRootFilesystem", "privileged",
    "allowPrivilegeEscalation", "procMount", "runAsUser", "runAsGroup",
)  # fmt: skip
