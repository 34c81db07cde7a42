"""What a ControllerRevision holds, to the byte."""

from __future__ import annotations

import json

from seatrial.sim.controllers.ownership import Owner
from seatrial.sim.controllers.revisions import new_revision


def test_a_revisions_data_has_its_keys_in_order() -> None:
    pod = {"containers": [{"name": "c", "image": "i", "env": [{"value": "1", "name": "A"}]}], "dnsPolicy": "Default"}
    template = {"spec": pod, "metadata": {"labels": {"b": "2", "a": "1"}}}
    metadata = {"name": "d", "namespace": "n", "uid": "u"}
    owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": {"template": template}}
    data = new_revision(Owner("daemonsets.apps", "apps/v1", "DaemonSet"), owner, 1, 0, {})["data"]
    assert json.dumps(data) == json.dumps(data, sort_keys=True)
