"""Check of the experiment tracker."""

from collections.abc import Iterator

from sweep.spec.check import CheckContext, Finding
from sweep.spec.schema import Spec
from sweep.tracking import TRACKERS


def check_tracker(spec: Spec, _: CheckContext) -> Iterator[Finding]:
    """Name the packages that the tracker lacks, before any work begins."""
    if spec.track is None:
        return
    kind = spec.track.kind
    for package in TRACKERS[kind].packages(spec.track):
        missing = package.missing()
        if missing is not None:
            yield ("track",), f"track: {kind}: {missing}"
