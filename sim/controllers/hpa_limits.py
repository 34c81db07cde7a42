"""How far and how fast an autoscaler may go: stabilisation, rates, bounds. Pure functions over its history.

Source: k8s.io/kubernetes/pkg/controller/podautoscaler/horizontal.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import ceil
from typing import Any, NamedTuple

from seatrial.sim.config import S

IN_RANGE = ("DesiredWithinRange", "the desired count is within the acceptable range")
TOO_FEW = ("TooFewReplicas", "the desired replica count is less than the minimum replica count")
TOO_MANY = ("TooManyReplicas", "the desired replica count is more than the maximum replica count")
UP_LIMIT = ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate")
DOWN_LIMIT = ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate")
UP_STABILIZED = (
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
)
DOWN_STABILIZED = (
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
)
SCALE_UP_FACTOR, SCALE_UP_MIN = 2, 4
"""Without a behaviour: at most twice as many, but four are always allowed."""

Rules = Mapping[str, Any]


class Recommendation(NamedTuple):
    replicas: int
    at: int


class ScaleEvent(NamedTuple):
    change: int
    at: int
    outdated: bool = False


class Limited(NamedTuple):
    replicas: int
    reason: str
    message: str


# --- stabilisation


def _recorded(log: Sequence[Recommendation], index: int | None, fresh: Recommendation) -> list[Recommendation]:
    """The log with a new entry, in the place of an outdated one if there is any."""
    if index is None:
        return [*log, fresh]
    return [*log[:index], fresh, *log[index + 1 :]]


def stabilize(
    log: Sequence[Recommendation], desired: int, now: int, window_us: int
) -> tuple[int, list[Recommendation]]:
    """The highest recommendation of the window, and the log with the new one (stabilizeRecommendation)."""
    cutoff, highest, outdated = now - window_us, desired, None
    for index, each in enumerate(log):
        if each.at < cutoff:
            outdated = index
        else:
            highest = max(highest, each.replicas)
    return highest, _recorded(log, outdated, Recommendation(desired, now))


def stabilize_with_behavior(
    log: Sequence[Recommendation], current: int, desired: int, now: int, up: Rules, down: Rules
) -> tuple[Limited, list[Recommendation]]:
    """stabilizeRecommendationWithBehaviors."""
    up_cutoff = now - (up.get("stabilizationWindowSeconds") or 0) * S
    down_cutoff = now - (down.get("stabilizationWindowSeconds") or 0) * S
    lowest = highest = desired
    outdated = None
    for index, each in enumerate(log):
        if each.at > up_cutoff:
            lowest = min(lowest, each.replicas)
        if each.at > down_cutoff:
            highest = max(highest, each.replicas)
        if each.at < up_cutoff and each.at < down_cutoff:
            outdated = index
    result = min(max(current, lowest), highest)
    why = UP_STABILIZED if desired >= current else DOWN_STABILIZED
    return Limited(result, *why), _recorded(log, outdated, Recommendation(desired, now))


# --- rates


def change_within(events: Iterable[ScaleEvent], period_s: int, now: int) -> int:
    """Replicas added or removed in the last ``period_s`` (getReplicasChangePerPeriod)."""
    cutoff = now - period_s * S
    return sum(each.change for each in events if each.at > cutoff)


def store_event(
    events: Sequence[ScaleEvent], change: int, policies: Sequence[Rules] | None, now: int
) -> list[ScaleEvent]:
    """The log of one direction with a new event, in the place of the last outdated one (storeScaleEvent)."""
    if policies is None:
        return list(events)
    longest = max((each["periodSeconds"] for each in policies), default=0)
    cutoff = now - longest * S
    marked = [each._replace(outdated=True) if each.at < cutoff else each for each in events]
    stale = [index for index, each in enumerate(marked) if each.outdated]
    fresh = ScaleEvent(change, now)
    if not stale:
        return [*marked, fresh]
    marked[stale[-1]] = fresh
    return marked


def up_limit(current: int, ups: Sequence[ScaleEvent], downs: Sequence[ScaleEvent], rules: Rules, now: int) -> int:
    """calculateScaleUpLimitWithScalingRules."""
    choose = min if rules.get("selectPolicy") == "Min" else max
    return choose(_limits(current, ups, downs, rules, now, 1, ceil), default=current)


def down_limit(current: int, ups: Sequence[ScaleEvent], downs: Sequence[ScaleEvent], rules: Rules, now: int) -> int:
    """calculateScaleDownLimitWithBehaviors."""
    choose = max if rules.get("selectPolicy") == "Min" else min
    return choose(_limits(current, ups, downs, rules, now, -1, int), default=current)


def _limits(
    current: int,
    ups: Sequence[ScaleEvent],
    downs: Sequence[ScaleEvent],
    rules: Rules,
    now: int,
    sign: int,
    rounded: Callable[[float], int],
) -> list[int]:
    """What each policy allows, upwards (``sign`` 1) or downwards (-1); nothing where scaling is disabled."""
    limits: list[int] = []
    if rules.get("selectPolicy") == "Disabled":
        return limits
    for policy in rules.get("policies") or ():
        start = _at_start(current, ups, downs, policy["periodSeconds"], now)
        if policy["type"] == "Pods":
            limits.append(start + sign * policy["value"])
        else:
            limits.append(rounded(start * (1 + sign * policy["value"] / 100)))
    return limits


def _at_start(current: int, ups: Sequence[ScaleEvent], downs: Sequence[ScaleEvent], period_s: int, now: int) -> int:
    return current - change_within(ups, period_s, now) + change_within(downs, period_s, now)


class Bounds(NamedTuple):
    minimum: int
    maximum: int


def limit(current: int, desired: int, bounds: Bounds) -> Limited:
    """Without a behaviour (convertDesiredReplicasWithRules)."""
    rate = max(SCALE_UP_FACTOR * current, SCALE_UP_MIN)
    if desired < bounds.minimum:
        return Limited(bounds.minimum, *TOO_FEW)
    most, why = (rate, UP_LIMIT) if bounds.maximum > rate else (bounds.maximum, TOO_MANY)
    return Limited(most, *why) if desired > most else Limited(desired, *IN_RANGE)


class History(NamedTuple):
    """What an autoscaler remembers."""

    ups: Sequence[ScaleEvent] = ()
    downs: Sequence[ScaleEvent] = ()


def limit_with_behavior(
    current: int, desired: int, bounds: Bounds, history: History, up: Rules, down: Rules, now: int
) -> Limited:
    """convertDesiredReplicasWithBehaviorRate."""
    if desired > current:
        rate = max(current, up_limit(current, history.ups, history.downs, up, now))
        most, why = (rate, UP_LIMIT) if bounds.maximum > rate else (bounds.maximum, TOO_MANY)
        if desired > most:
            return Limited(most, *why)
    elif desired < current:
        rate = min(current, down_limit(current, history.ups, history.downs, down, now))
        least, why = (rate, DOWN_LIMIT) if bounds.minimum < rate else (bounds.minimum, TOO_FEW)
        if desired < least:
            return Limited(least, *why)
    return Limited(desired, *IN_RANGE)
