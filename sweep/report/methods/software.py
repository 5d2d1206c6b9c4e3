"""Methods text: versions of the software, and the machine."""

from collections.abc import Iterator

from sweep.report.methods.representations import DIGEST
from sweep.report.methods.wording import listed, plain
from sweep.results.run import Run


def sentences(run: Run) -> Iterator[str]:
    """Describe the software and machine of the run's last session; nothing if none is recorded."""
    sessions = run.provenance.get("runs", [])
    if not sessions:
        return
    last = sessions[-1]
    packages = [f"{name} {version}" for name, version in last["packages"].items() if version]
    yield f"Results were computed with Python {last['python']}, {listed(packages)}."
    git = last.get("git")
    if git:
        changed = " with uncommitted changes" if git["dirty"] else ""
        yield f"The code was at revision {git['revision'][:DIGEST]}{changed}."
    hardware = last["hardware"]
    gpus = hardware.get("gpus")
    machine = listed(gpus) if gpus else f"{hardware['processor']}, {hardware['cores']} cores"
    yield f"It ran on {plain(machine)}."
