"""What a ControllerRevision holds, to the byte."""

from __future__ import annotations

import json

from seatrial.sim.controllers.revisions import patch_of


def test_a_revisions_data_has_its_keys_in_order() -> None:
    pod = {"containers": [{"name": "c", "image": "i", "env": [{"value": "1", "name": "A"}]}], "dnsPolicy": "Default"}
    template = {"spec": pod, "metadata": {"labels": {"b": "2", "a": "1"}}}
    data = patch_of(template)
    assert json.dumps(data) == json.dumps(data, sort_keys=True)
