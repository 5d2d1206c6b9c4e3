"""Methods text: versions of the software, and the machine."""

from collections.abc import Iterator

from jobs.optional_packages import PARSELMOUTH, PYTHON_STRETCH, SILERO_VAD
from jobs.targets.measurements import MEASUREMENTS
from sweep.report.methods.data import known_target
from sweep.report.methods.representations import DIGEST
from sweep.report.methods.wording import plain
from sweep.results.run import Run
from sweep.wording import listed


def sentences(run: Run) -> Iterator[str]:
    """Describe the software and machine of the run's last session; nothing if none is recorded."""
    sessions = run.provenance.get("runs", [])
    if not sessions:
        return
    last = sessions[-1]
    unused = _unused(run, last.get("executor"))
    packages = [
        f"{name} {version}"
        for name, version in last["packages"].items()
        if version and name not in unused
    ]
    yield f"Results were computed with Python {last['python']}, {listed(packages)}."
    git = last.get("git")
    if git:
        changed = " with uncommitted changes" if git["dirty"] else ""
        yield f"The code was at revision {git['revision'][:DIGEST]}{changed}."
    hardware = last["hardware"]
    gpus = hardware.get("gpus")
    machine = listed(gpus) if gpus else f"{hardware['processor']}, {hardware['cores']} cores"
    yield f"It ran on {plain(machine)}."


def _unused(run: Run, executor: str | None) -> set[str]:
    """Names of optional packages that nothing in the run used."""
    kinds = {model.extract.model.kind for model in run.plan.models}
    measured = {
        MEASUREMENTS[target.measurement].package
        for target in (known_target(run, name) for name in run.plan.targets)
        if target and target.measurement
    }
    needed = {
        "ray": executor != "inline",
        "wespeaker-unofficial": "wespeaker" in kinds,
        "transformers": "transformers" in kinds,
        "lhotse": run.spec.corpus.kind == "lhotse",
        "espeakng-loader": run.spec.corpus.kind == "espeak",
        PARSELMOUTH.name: PARSELMOUTH in measured,
        SILERO_VAD.name: SILERO_VAD in measured,
        PYTHON_STRETCH.name: run.spec.tempo is not None,
    }
    return {name for name, is_needed in needed.items() if not is_needed}
