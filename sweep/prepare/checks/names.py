"""Checks of names: rows of the tables are told apart by them."""

from collections import Counter
from collections.abc import Iterable, Iterator

from jobs.identity import content_id
from jobs.models import is_baseline
from jobs.models.settings import BASELINE_PREFIX
from jobs.probes import probe_name
from jobs.statistics.model_table import REFERENCES
from sweep.plan.make_plan import all_models
from sweep.spec.check import CheckContext, Finding
from sweep.spec.schema import Spec


def check_names(spec: Spec, _: CheckContext) -> Iterator[Finding]:
    """Refuse names that are repeated, and models named like a baseline."""
    for position, model in enumerate(spec.models):
        taken = model.name.startswith(BASELINE_PREFIX) and not is_baseline(model)
        if taken or model.name in REFERENCES:
            message = f"models: the name {model.name!r} is reserved for baselines; choose another"
            yield ("models", position, "name"), message
    yield from _repeated("models", [model.name for model in all_models(spec)])
    yield from _repeated("probes", [probe_name(probe) for probe in spec.probes])
    yield from _repeated("targets", spec.targets)
    yield from _repeated("controls", spec.controls)
    yield from _repeated("baselines", spec.baselines)


def check_types(spec: Spec, _: CheckContext) -> Iterator[Finding]:
    """Refuse the control ``type`` without the baseline that types are found with."""
    if "type" in spec.controls and "fbank" not in spec.baselines:
        message = (
            "type: types of utterances are clusters of the baseline fbank: add fbank to "
            "`baselines`, or remove it"
        )
        yield ("controls", spec.controls.index("type")), message


def _repeated(key: str, names: Iterable[str]) -> Iterator[Finding]:
    seen: Counter[str] = Counter()
    for position, name in enumerate(names):
        seen[name] += 1
        if seen[name] > 1:
            message = f"{key}: the name {name!r} is used twice; give one of them another `name`"
            yield (key, position), message


def check_equal_probes(spec: Spec, _: CheckContext) -> Iterator[Finding]:
    """Refuse two probes with equal settings, whose cells would have equal ids."""
    first: dict[str, str] = {}
    for position, probe in enumerate(spec.probes):
        twin = first.setdefault(content_id(probe.identity()), probe_name(probe))
        if twin != probe_name(probe):
            message = f"{probe_name(probe)}: the same settings as {twin!r}; remove one of them"
            yield ("probes", position), message
