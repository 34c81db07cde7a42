"""``Seatrial.yaml``: what a cluster is made of, as a file beside the project that uses it.

It is a ``ClusterSpec`` in YAML. What is wrong with one is told with its line and column.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from seatrial.scenarios.positions import Document, Mistake, Mistaken, read
from seatrial.scenarios.schema import fields_at, meant
from seatrial.sim.config import ClusterSpec, ProvisionStep

FILENAME: Final = "Seatrial.yaml"
TEMPLATE: Final = """\
# What `seatrial up` makes of this directory. Everything is optional; what is commented out is the default.
# docs/clock.md has more; a misspelt key is told with its line.

name: {name}                    # the context is seatrial, or seatrial-NAME
nodes: {nodes}                        # workers, next to the control plane
# node_names: "w{{n}}-k8s"        # {{n}} counts from 1

# node:                         # the size of every machine
#   cpus: 2
#   memory: 4Gi
#   pods: 110
#   ephemeral_storage: 50Gi

# network:
#   node_subnet: 192.168.1      # the control plane is .10, workers begin at .101
#   pod_cidr: 172.16.0.0/16
#   service_cidr: 10.96.0.0/12
#   load_balancer_pool: [192.168.1.11, 192.168.1.19]

# api_profile: book             # also what Kubernetes 1.18 served, e.g. extensions/v1beta1

# provision:                    # done after the first start, and by `seatrial provision`
#   - apply: manifests          # a file or a folder, beside this file
#   - shell: |                  # lines for a shell on machines
#       mkdir -p /srv/data
#     nodes: [w1-k8s]           # all machines, if none is named
"""


def template(name: str, nodes: int) -> str:
    """A file to begin with."""
    return TEMPLATE.format(name=name, nodes=nodes)


def read_spec(text: str, file: str) -> ClusterSpec:
    """The specification that a file's text holds. Raises Mistaken with everything that is wrong with it."""
    document = read(text, file)
    if not isinstance(document.value, dict):
        raise Mistaken(file, [Mistake(1, 1, "it is no mapping; it has keys such as name: and nodes:")])
    try:
        spec = ClusterSpec.model_validate(document.value)
    except ValidationError as problem:
        raise Mistaken(file, [_mistake(document, dict(each)) for each in problem.errors()]) from None
    wrong = [each for at, step in enumerate(spec.provision) if (each := _of_step(document, file, at, step))]
    if wrong:
        raise Mistaken(file, wrong)
    return spec


def _mistake(document: Document, error: Mapping[str, Any]) -> Mistake:
    path = tuple(error["loc"])
    shown, unknown = ".".join(map(str, path)), error["type"] == "extra_forbidden"
    line, column = document.place(path, key=unknown)
    if unknown:
        known = fields_at(ClusterSpec, path[:-1])
        return Mistake(line, column, f"{shown}: there is no such key", meant(str(path[-1]), known))
    return Mistake(line, column, f"{shown}: {str(error['msg']).removeprefix('Value error, ')}")


def _of_step(document: Document, file: str, at: int, step: ProvisionStep) -> Mistake | None:
    """A step whose manifests are not there."""
    if not step.apply or (Path(file).parent / step.apply).exists():
        return None
    return Mistake(*document.place(("provision", at, "apply")), f"provision.{at}.apply: there is no {step.apply}")
