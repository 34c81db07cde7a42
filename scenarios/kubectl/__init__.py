"""kubectl's verbs, flags and output over any way to an API server.

    from seatrial.scenarios.kubectl import run
    from seatrial.scenarios.kubectl.inside import ClusterSession

    code = run(["get", "pods", "-o", "wide"], ClusterSession(cluster))

No kubectl is needed, and none is started: commands are read as cobra and pflag read them, requests go through a
``Session``, tables come from the server, everything else is printed here.
"""

from seatrial.scenarios.kubectl.running import run
from seatrial.scenarios.kubectl.session import Session

__all__ = ["Session", "run"]
