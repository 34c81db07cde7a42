"""agnhost, Kubernetes' own test image, as its tests use it.

Source: k8s.io/kubernetes/test/images/agnhost (2.x). Not modelled: SCTP, ``netexec``'s /shell (an answer comes in the
instant of its request, and a shell takes time), and the sub-commands that ``COMMANDS`` lacks, which answer with which
pod they are.
"""

from seatrial.sim.workloads.agnhost.commands import agnhost

__all__ = ["agnhost"]
