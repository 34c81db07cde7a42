"""The controllers of kube-controller-manager, in the order in which it starts them.

Source: k8s.io/kubernetes/cmd/kube-controller-manager/app/controllermanager.go (NewControllerDescriptors).
"""

from __future__ import annotations

from seatrial.sim.controllers import (
    deployment,
    endpoints,
    endpointslice,
    garbagecollector,
    namespace,
    replicaset,
    rootca,
    serviceaccounts,
)
from seatrial.sim.controllers.shell import Controller

CONTROLLERS: tuple[Controller, ...] = (
    endpoints.CONTROLLER,
    endpointslice.CONTROLLER,
    replicaset.REPLICATION,
    namespace.CONTROLLER,
    serviceaccounts.CONTROLLER,
    garbagecollector.CONTROLLER,
    deployment.CONTROLLER,
    replicaset.CONTROLLER,
    rootca.CONTROLLER,
)
