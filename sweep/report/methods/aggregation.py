"""Methods text: what scores are averages of, and what their intervals are conditional on."""

from collections.abc import Iterator

from jobs.models import is_baseline, untrained_seed
from jobs.probes import seed_count
from sweep.results.run import Run


def sentences(run: Run) -> Iterator[str]:
    """Say how test utterances, folds and seeds became one number, and what intervals are about."""
    exception = ", except in balanced accuracy and macro F1, where every class had"
    if not run.plan.classes:
        exception = ""
    yield f"Every test utterance had the same weight in a score{exception}."
    yield from _over_folds(run)
    if any(seed_count(settings) > 1 for settings in run.plan.probes.values()):
        yield "Of a probe with several seeds, scores were averaged over seeds, not predictions."
    yield _condition(run)


def _over_folds(run: Run) -> Iterator[str]:
    protocols = run.plan.target_protocols
    kinds = {run.plan.kind(name) for name in run.plan.targets if protocols.of(name).n_folds > 1}
    if "regression" in kinds:
        yield (
            "Errors were summed over folds, R² being 1 − Σ SSE / Σ SST with SST about each fold's "
            "own training mean, and correlations were averaged over folds with the number of test "
            "utterances as weight."
        )
    if "classification" in kinds:
        yield "Scores of classes were computed from counts summed over folds."


def _condition(run: Run) -> str:
    """Say what the intervals are conditional on."""
    unit = "folds" if run.plan.scored_by_sums else "test speakers"
    networks = [m for m in run.plan.models if not is_baseline(m.extract.model)]
    drawn = [m for m in networks if untrained_seed(m.extract.model) is not None]
    given = "the networks and the probes as they were trained"
    if drawn:
        given += ", and one draw of each untrained network's weights"
    return (
        f"Intervals and tests are about the choice of {unit}, given {given}: what other "
        "training speakers or other seeds would change is not in them."
    )
