"""The API server: the pipeline that every request takes, from whoever it comes.

authentication → impersonation → authorization → routing → verb (decode, admission, validation, registry) → answer.
Source: k8s.io/apiserver/pkg/server/config.go (DefaultBuildHandlerChain) and …/endpoints/installer.go.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from seatrial.sim.apiserver import (
    aggregation,
    authentication,
    customresource_routes,
    customresources,
    handlers,
    indexes,
    nonresource,
    registry,
    standing,
    subresources,
)
from seatrial.sim.apiserver.authorization import STORAGES as RBAC_STORAGES
from seatrial.sim.apiserver.authorization import Attributes as Asked
from seatrial.sim.apiserver.authorization import Authorizer, refusal
from seatrial.sim.apiserver.context import Context, ExternalCall, Steps
from seatrial.sim.apiserver.customresource_conversion import converting
from seatrial.sim.apiserver.flowcontrol import FlowControl
from seatrial.sim.apiserver.kubelets import Kubelets
from seatrial.sim.apiserver.listing import Pages
from seatrial.sim.apiserver.metrics import Counted
from seatrial.sim.apiserver.molds import Molds
from seatrial.sim.apiserver.options import first
from seatrial.sim.apiserver.representation import media_of_refusal
from seatrial.sim.apiserver.request import Object, Request, Response, User
from seatrial.sim.apiserver.routing import RequestInfo, parse, selected_name
from seatrial.sim.apiserver.services import ServiceNumbers
from seatrial.sim.apiserver.tokens import Tokens
from seatrial.sim.config import ClusterSpec
from seatrial.sim.kernel.clock import Clock
from seatrial.sim.kernel.streams import Streams
from seatrial.sim.kernel.topology import Topology
from seatrial.sim.machinery import errors
from seatrial.sim.machinery.kinds import Kinds, Resource
from seatrial.sim.store.store import Conflict, KeyExists, KeyMissing, NoSpace, Store

DEPRECATED = {
    ("", "v1", "componentstatuses"): "v1 ComponentStatus is deprecated in v1.19+",
    ("", "v1", "endpoints"): "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
}
"""What every request for a deprecated kind is warned of (k8s.io/apiserver/pkg/endpoints/deprecation)."""

Write = Callable[[Store], Object]
REFUSALS = (Conflict, KeyExists, KeyMissing, NoSpace)


class Apiserver:
    """One API server over one store.

    ``handle`` is what everybody calls. Reads never change anything; a refused write stores nothing (the registry checks
    before it commits, and a commit is the last step).
    """

    def __init__(
        self,
        spec: ClusterSpec,
        store: Store,
        clock: Clock,
        streams: Streams,
        kinds: Kinds,
        kubelets: Kubelets | None = None,
    ) -> None:
        self.spec = spec
        self.store = store
        self.clock = clock
        self.streams = streams
        self.kinds = kinds
        indexes.register(store)
        self.authorizer = Authorizer(store)
        self.service_numbers = ServiceNumbers(spec, streams, store)
        self.tokens = Tokens(store, clock, streams)
        self.flow_control = FlowControl(store)
        self.molds = Molds(store, streams)
        self.counted = Counted()
        """What /metrics tells of requests."""
        self.began_us = clock.now
        self.kubelets = kubelets if kubelets is not None else Kubelets(Topology(), "")
        self.pages = Pages(clock.now, spec.apiserver.compaction_period_us)
        self.customresources = customresources.CustomResources(self)
        self.customresources.restore()
        self.aggregation = aggregation.Aggregation(self)
        self.standing = standing.Standing(self)
        store.lease("events", spec.apiserver.event_ttl_s * 1_000_000)

    def commit(self, resource: Resource, write: Write) -> Object:
        """The one place that writes to the store. Raises ApiError for what the store refuses."""
        try:
            obj = write(self.store)
        except REFUSALS as error:
            raise registry.store_error(resource, error) from None
        if resource.storage in RBAC_STORAGES:
            self.authorizer.forget()
        if resource.storage == customresources.STORAGE:
            self.customresources.notice(obj["metadata"]["name"])
        if resource.storage in aggregation.WATCHED:
            self.aggregation.notice(resource.storage, obj)
        self.standing.changed(resource)
        return obj

    def handle(self, request: Request) -> Response:
        """The answer to a request that needs nothing from outside the simulation.

        A request that does (a webhook) is to be driven through ``serve``; here the call fails as an unreachable host
        would.
        """
        steps = self.serve(request)
        try:
            call = next(steps)
            while True:
                call = steps.send(unreachable(call))
        except StopIteration as done:
            response: Response = done.value
            return response

    def serve(self, request: Request) -> Generator[ExternalCall, Any, Response]:
        """The pipeline: yields the calls that leave the simulation and is sent their answers."""
        began = self.clock.now
        info = parse(request.method, request.path, _watches(request))
        response = yield from self._answer(request, info)
        self.counted.add(info, request, response.code, self.clock.now - began)
        return response

    def _answer(self, request: Request, info: RequestInfo) -> Generator[ExternalCall, Any, Response]:
        warnings: list[str] = []
        headers: dict[str, str] = {}
        try:
            response = yield from self._serve(request, info, warnings, headers)
            if headers:
                response.headers = {**headers, **response.headers}
            return response
        except errors.ApiError as error:
            if error.details is not None and "retryAfterSeconds" in error.details:
                headers["Retry-After"] = str(error.details["retryAfterSeconds"])
            media_type = media_of_refusal(request.accept)
            return Response(error.code, error.status(), media_type, tuple(warnings), headers)
        except errors.PlainError as error:
            return Response(error.code, error.text.encode(), "text/plain; charset=utf-8", headers=headers)

    def _serve(
        self, request: Request, info: RequestInfo, warnings: list[str], headers: dict[str, str]
    ) -> Steps[Response]:
        user = self.user_of(request)
        if request.user is None:
            # Components of the simulation do not look at them.
            headers.update(self.flow_control.headers(user, info))
        self._authorize(user, info, first(request.query, "fieldSelector"))
        if self.kinds.aggregated:
            elsewhere = self.aggregation.target(info)
            if elsewhere is not None:
                return (yield from self.aggregation.answer(elsewhere, request, user))
        if not info.is_resource:
            return nonresource.answer(self, request, info, user)
        resource = self.kinds.find(info.group, info.version, info.resource)
        if resource is None:
            if not self.kinds.serves(info.group, info.version) or self.kinds.is_custom(info.group, info.version):
                raise errors.PlainError(404, "404 page not found\n")
            raise errors.no_such_resource()
        deprecated = DEPRECATED.get((info.group, info.version, info.resource))
        if resource.legacy is not None:
            deprecated = resource.legacy.warning
        if deprecated:
            warnings.append(deprecated)
        if resource.storage in self.standing.parked:
            self.standing.asked(request, info, resource)
        if resource.custom is not None:
            customresource_routes.admit(resource, info, warnings)
        context = Context(self, request, info, resource, user, request.query, self.clock.stamp(), warnings=warnings)
        if resource.custom is not None and resource.custom.converter is not None:
            return (yield from converting(context, lambda: dispatch(context)))
        return (yield from dispatch(context))

    def user_of(self, request: Request) -> User:
        """Raises ApiError 401 and, for impersonation, 403."""
        user = request.user
        if user is None:
            user = authentication.authenticate(request.credentials, self.tokens.review)
            if request.headers:
                user = authentication.impersonated(request, user, self.authorizer)
        return user

    def _authorize(self, user: User, info: RequestInfo, field_selector: str) -> None:
        if info.is_resource:
            name = info.name
            if not name and field_selector and info.verb in ("list", "watch"):
                name = selected_name(field_selector)
            asked = Asked(
                info.verb,
                info.group,
                info.version,
                info.resource,
                info.subresource,
                info.namespace,
                name,
                field_selector=field_selector,
            )
        else:
            asked = Asked(info.verb, path=info.path)
        if not self.authorizer.allowed(user, asked):
            raise refusal(user, asked, self.authorizer.objection(user, asked))


def _watches(request: Request) -> bool:
    return bool(request.query.get("watch")) and request.query["watch"][0] not in ("0", "false")


def unreachable(call: ExternalCall) -> OSError:
    """What a call out of the simulation gets where nobody performs it."""
    return OSError(f"dial {call.url}: connection refused")


def dispatch(context: Context) -> Steps[Response]:
    """The handler of a verb. Raises ApiError 404 or 405 for what the kind does not serve."""
    info, resource = context.info, context.resource
    if info.subresource:
        return (yield from subresources.answer(context))
    if resource.namespaced and info.name and not info.namespace:
        raise errors.no_such_resource()
    verb = "list" if info.verb == "watch" else info.verb
    if verb in ("update", "patch") and not info.name:
        raise errors.method_not_allowed()
    if (verb == "create" and info.name) or verb not in resource.verbs:
        raise errors.method_not_allowed()
    if verb == "create":
        return (yield from subresources.create_virtual(context) if resource.virtual else handlers.create(context))
    if verb == "get":
        return handlers.get(context)
    if verb == "list":
        return handlers.list_or_watch(context)
    if verb == "update":
        return (yield from handlers.update(context))
    if verb == "patch":
        return (yield from handlers.patch(context))
    if verb == "delete":
        return (yield from handlers.delete(context))
    return (yield from handlers.delete_collection(context))
