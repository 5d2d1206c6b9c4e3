"""Checks of ``store: gram``: what sums over utterances cannot give."""

from collections.abc import Iterator

from jobs.gram.fit import GRAM_PROBES
from jobs.probes import RidgeSettings, probe_name
from jobs.protocol.settings import KFoldProtocol, ProtocolSettings
from sweep.spec.check import CheckContext, Finding
from sweep.spec.schema import Spec

MAX_FOLDS_WITH_INNER = 3
"""Folds that allow inner folds: a training split of m folds needs up to 5^m sums."""


def check_gram(spec: Spec, _: CheckContext) -> Iterator[Finding]:
    """Refuse ``store: gram`` where something needs the activations themselves."""
    if spec.store == "gram":
        yield from gram_obstacles(spec)


def gram_obstacles(spec: Spec) -> Iterator[Finding]:
    """Yield everything in ``spec``, however it stores, that ``store: gram`` does not allow."""
    for position, probe in enumerate(spec.probes):
        obstacle = None
        if probe.kind not in GRAM_PROBES:
            obstacle = (
                "needs every activation, and store: gram keeps sums, which suffice for "
                f"{' and '.join(GRAM_PROBES)}: remove it, or use store: activations"
            )
        elif isinstance(probe, RidgeSettings):
            obstacle = _ridge_obstacle(probe, spec.protocol)
        if obstacle:
            yield ("probes", position), f"{probe_name(probe)}: {obstacle}"
    if "type" in spec.controls:
        message = (
            "type: store: gram keeps sums and no activations to find types of utterances with: "
            "remove it, or use store: activations"
        )
        yield ("controls", spec.controls.index("type")), message
    if spec.protocols:
        message = (
            "store: gram keeps the sums of one protocol for all targets: remove it, or use store: "
            "activations"
        )
        yield ("protocols",), message
    if spec.similarity is None:
        return
    if isinstance(spec.protocol, KFoldProtocol):
        message = (
            "similarity compares activations, and store: gram with kfold keeps none: remove it, "
            "or use protocol: {kind: splits}, or store: activations"
        )
        yield ("similarity",), message
    elif spec.similarity.part not in (None, spec.protocol.test):
        message = (
            f"part: under store: gram only the test split {spec.protocol.test!r} has activations "
            f"to compare layers on, found {spec.similarity.part!r}"
        )
        yield ("similarity", "part"), message


def _ridge_obstacle(probe: RidgeSettings, protocol: ProtocolSettings) -> str | None:
    n_folds = protocol.n_folds
    if probe.choose == "loo":
        return (
            "chooses alpha by leaving out single utterances (choose: loo), which sums do not "
            "allow: choose on validation or on inner folds"
        )
    if probe.choose == "inner" and n_folds > MAX_FOLDS_WITH_INNER:
        return (
            f"inner folds of {n_folds} folds overlap in so many ways that too many sums would be "
            "stored: choose on validation, which is the next fold, or use "
            f"{MAX_FOLDS_WITH_INNER} folds or fewer"
        )
    return None
