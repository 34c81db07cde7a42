"""The controllers of kube-controller-manager, in the order in which it starts them.

Source: k8s.io/kubernetes/cmd/kube-controller-manager/app/controllermanager.go (NewControllerDescriptors).
"""

from __future__ import annotations

from seatrial.sim.controllers import (
    cronjob,
    daemonset,
    deployment,
    disruption,
    endpoints,
    endpointslice,
    garbagecollector,
    hpa,
    job,
    namespace,
    nodeipam,
    nodelifecycle,
    podgc,
    replicaset,
    rootca,
    serviceaccounts,
    statefulset,
    tainteviction,
    ttlafterfinished,
    volume_binder,
    volume_ephemeral,
    volume_protection,
)
from seatrial.sim.controllers.shell import Controller

CONTROLLERS: tuple[Controller, ...] = (
    endpoints.CONTROLLER,
    endpointslice.CONTROLLER,
    replicaset.REPLICATION,
    podgc.CONTROLLER,
    namespace.CONTROLLER,
    serviceaccounts.CONTROLLER,
    garbagecollector.CONTROLLER,
    daemonset.CONTROLLER,
    job.CONTROLLER,
    deployment.CONTROLLER,
    replicaset.CONTROLLER,
    hpa.CONTROLLER,
    disruption.CONTROLLER,
    statefulset.CONTROLLER,
    cronjob.CONTROLLER,
    nodeipam.TTL_CONTROLLER,
    nodeipam.CONTROLLER,
    nodelifecycle.CONTROLLER,
    tainteviction.CONTROLLER,
    volume_binder.CONTROLLER,
    volume_protection.CLAIM_CONTROLLER,
    volume_protection.VOLUME_CONTROLLER,
    volume_ephemeral.CONTROLLER,
    ttlafterfinished.CONTROLLER,
    rootca.CONTROLLER,
)
