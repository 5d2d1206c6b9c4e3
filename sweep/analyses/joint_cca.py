"""Joint CCA: canonical components of a layer with several targets together.

Enabled by a CCA probe with more than one component.
"""

from collections.abc import Collection, Iterator, Mapping

import pandas as pd

from jobs.probes import CcaSettings, probe_name
from jobs.probing.joint_cca import JointCca
from jobs.probing.parts import JobPart
from jobs.storage.location import Location
from jobs.targets.registry import find_target
from sweep.analyses.base import Analysis, Incomplete, StoredRun
from sweep.analyses.joint_cca_plan import canonical_file, joint_probes, joint_targets
from sweep.analyses.joint_cca_table import canonical_table
from sweep.plan.plan import LayerTask, Plan, layer_tasks
from sweep.spec.check import CheckContext, Finding
from sweep.spec.schema import Spec
from sweep.state.ledger import Finished, Record
from sweep.state.run_folder import RunFolder


def check_components(spec: Spec, context: CheckContext) -> Iterator[Finding]:
    """Refuse more components than there are numeric targets, and any with stored sums."""
    if context.utterances is None or context.partial:
        return
    numbers = [
        name
        for name in spec.targets
        if name not in spec.protocols and _is_number(name, context.utterances)
    ]
    for position, probe in enumerate(spec.probes):
        if not isinstance(probe, CcaSettings) or probe.components == 1:
            continue
        place, message = ("probes", position, "components"), None
        if probe.components > len(numbers):
            shown = ", ".join(numbers) or "none"
            message = (
                f"{probe.components} components need as many targets that are numbers"
                f"{' without a protocol of their own' if spec.protocols else ''}, found "
                f"{len(numbers)} ({shown}): lower it, or add targets"
            )
        elif spec.store == "gram":
            message = (
                "several targets together need `store: activations`, found gram: use 1 component, "
                "or store activations"
            )
        if message:
            yield place, f"{probe_name(probe)}: components: {message}"


def _is_number(name: str, table: pd.DataFrame) -> bool:
    try:
        return find_target(name, table).kind == "regression"
    except ValueError:  # reported by the check of targets
        return False


class JointCcaAnalysis(Analysis):
    """Canonical components of every layer, fitted within the job that probes it."""

    name = "canonical"
    checks = (check_components,)

    def job_part(
        self, plan: Plan, task: LayerTask, predictions: str, folder: RunFolder, cache: Location
    ) -> JobPart | None:
        """Fit all of a layer's components if any of its real cells is of such a probe: a file has
        all folds and probes."""
        probes = joint_probes(plan)
        if not any(cell.control == "none" and cell.probe in probes for cell in task.cells):
            return None
        file = folder.for_jobs(folder.predictions / canonical_file(plan, task))
        return JointCca(probes, joint_targets(plan), file)

    def incomplete(
        self, plan: Plan, records: Mapping[str, Finished | Record], present: Collection[str]
    ) -> Incomplete | None:
        """Return one cell of each layer without a file of components."""
        probes = list(joint_probes(plan))
        found = frozenset(
            cell.cell_id
            for task in (layer_tasks(plan) if probes else ())
            if canonical_file(plan, task) not in present
            for cell in task.cells
            if (cell.probe, cell.target) == (probes[0], joint_targets(plan)[0])
            and cell.control == "none"
            and (record := records.get(cell.cell_id)) is not None
            and record.status == "done"
        )
        warning = (
            f"{len(found)} layers have no canonical components of several targets yet: a cell of "
            "each runs again, to the same scores"
        )
        return Incomplete(found, warning) if found else None

    def tables(self, run: StoredRun) -> dict[str, pd.DataFrame]:
        """``canonical.csv``."""
        table = canonical_table(run.plan, run.folder.predictions, run.utterances)
        return {"canonical": table}


JOINT_CCA = JointCcaAnalysis()
