"""Methods text: the probes, each as its settings describe it."""

from collections.abc import Iterator

from jobs.probes import PROBES
from jobs.probes.training_settings import TrainingSettings
from jobs.protocol.settings import SplitsProtocol
from sweep.report.methods.wording import plain
from sweep.results.run import Run
from sweep.wording import listed


def sentences(run: Run) -> Iterator[str]:
    """Describe every probe, its targets where these are of both kinds, and its name."""
    validation = _validation(run)
    for name, settings in run.plan.probes.items():
        sentence = settings.describe(validation).removesuffix(".")
        if run.plan.classes and len(PROBES[settings.kind].predicts) < 2:
            targets = listed(plain(t) for t, probe in run.plan.pairs() if probe == name)
            sentence = f"For {targets}, {sentence[:1].lower()}{sentence[1:]}"
        named = "" if name == settings.kind else f", here called {plain(name)}"
        yield f"{sentence}{named}."
    yield from _standardised(run)


def _standardised(run: Run) -> Iterator[str]:
    """Say which probes standardise activations, and which of them the target as well."""
    raw = [n for n, s in run.plan.probes.items() if not getattr(s, "standardise", True)]
    both = [
        name
        for name, settings in run.plan.probes.items()
        if isinstance(settings, TrainingSettings) and settings.standardise
    ]
    if len(raw) < len(run.plan.probes):
        exception = f", except for {listed(map(plain, raw))}" if raw else ""
        target = f"; so was the target for {listed(map(plain, both))}" if both else ""
        yield f"Activations were standardised on the training data alone{exception}{target}."
    else:
        yield "Activations were not standardised."


def _validation(run: Run) -> str | None:
    """Name the data on which hyperparameters are chosen; None if no protocol has such data."""
    protocols = [run.plan.target_protocols.of(target) for target in run.plan.targets]
    names = {
        "validation split" if isinstance(protocol, SplitsProtocol) else "validation fold"
        for protocol in protocols
        if protocol.has_validation
    }
    return " or ".join(sorted(names, reverse=True)) or None
