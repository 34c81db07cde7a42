"""What happened in a cluster, when, and caused by what, as a picture.

    from seatrial.scenarios.timeline import drawn, page, timeline_of

    timeline = timeline_of(cluster.store, cluster.kinds, cluster.journal, cluster.now)
    html = page(timeline, "an incident")

``model`` is the data, ``build`` takes it from a store's log and a journal, and the others render it: ``drawn`` as SVG,
``page`` as an HTML page with a slider, ``lines`` for a terminal. None of them knows where the data came from.
"""

from seatrial.scenarios.timeline.build import timeline_of
from seatrial.scenarios.timeline.model import Timeline, elapsed
from seatrial.scenarios.timeline.page import page
from seatrial.scenarios.timeline.picture import drawn
from seatrial.scenarios.timeline.terminal import lines

__all__ = ["Timeline", "drawn", "elapsed", "lines", "page", "timeline_of"]
