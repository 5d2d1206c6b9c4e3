"""Checks of a spec against its models and its corpus: functions that yield mistakes.

To add one, write a function ``(spec, context)`` that yields ``(key path, message)``, see
`sweep.spec.check`, and add it to ``CHECKS``; a check of an optional analysis goes into its file
in ``sweep.analyses``. Checks may import everything up to ``sweep.analyses``.
"""

from collections.abc import Iterator

from sweep.analyses import ANALYSES
from sweep.prepare.checks.gram import check_gram
from sweep.prepare.checks.models import check_equal_models, check_layers, check_precision
from sweep.prepare.checks.names import check_equal_probes, check_names, check_types
from sweep.prepare.checks.protocols import check_protocol
from sweep.prepare.checks.targets import (
    check_classes,
    check_pairs,
    check_rows,
    check_targets,
    check_values,
)
from sweep.prepare.checks.tracking import check_tracker
from sweep.spec.check import Check, CheckContext, Finding
from sweep.spec.schema import Spec

CHECKS: tuple[Check, ...] = (
    check_names,
    check_types,
    check_equal_probes,
    check_equal_models,
    check_precision,
    check_layers,
    check_gram,
    check_targets,
    check_pairs,
    check_protocol,
    check_rows,
    check_values,
    check_classes,
    check_tracker,
    *(check for analysis in ANALYSES for check in analysis.checks),
)


def run_checks(spec: Spec, context: CheckContext) -> Iterator[Finding]:
    """Yield the findings of all checks that can run with what ``context`` holds."""
    for check in CHECKS:
        yield from check(spec, context)
