"""Construction of the jobs that probe layers, with the locations of their inputs."""

from dataclasses import KW_ONLY, dataclass

from jobs.identity import content_id
from jobs.probing.job import ProbeJob
from jobs.probing.parts import JobPart
from jobs.probing.saved_probes import Saving
from jobs.storage.atomic import slug
from jobs.storage.location import Location
from jobs.targets.registry import TARGETS
from sweep.analyses import ANALYSES
from sweep.plan.gram import gram_sets
from sweep.plan.plan import LayerTask, Plan, needs_types, types_sets
from sweep.state.run_folder import RunFolder


@dataclass(frozen=True)
class ProbeJobs:
    """Makes the jobs of a run's layers."""

    plan: Plan
    folder: RunFolder
    cache: Location
    """The activation cache."""
    _: KW_ONLY
    save_probes: bool
    """True if fitted probes are saved in the run's folder."""

    def make(self, task: LayerTask, *, alone: bool, has_types: bool = True) -> ProbeJob:
        """Make the job of a layer.

        Args:
            task: the layer.
            alone: on an exclusive node, since it ran out of memory.
            has_types: False if the baseline that types are found with could not be extracted.
        """
        name = f"{slug(task.model.name)}--{slug(task.layer.name)}"
        digest = content_id([cell.cell_id for cell in task.cells])
        predictions = f"{name}--{digest}.npz"
        return ProbeJob(
            model=task.model.name,
            layer=task.layer.name,
            activations=tuple((s.folder(self.cache), s.n_shards) for s in task.model.stored_sets),
            table=self.folder.for_jobs(self.folder.utterances),
            probes={cell.probe: self.plan.probes[cell.probe] for cell in task.cells},
            protocols=self.plan.target_protocols,
            cells=task.cells,
            predictions=self.folder.for_jobs(self.folder.predictions / predictions),
            classes=self.plan.classes,
            sums=gram_sets(task.model, self.cache),
            types=self._types(task) if has_types else (),
            parts=self._parts(task, predictions),
            alone=alone,
        )

    def _types(self, task: LayerTask) -> tuple[tuple[Location, int], ...]:
        if not needs_types(task):
            return ()
        return tuple((one.folder(self.cache), one.n_shards) for one in types_sets(self.plan))

    def _parts(self, task: LayerTask, predictions: str) -> tuple[JobPart, ...]:
        parts = (
            analysis.job_part(self.plan, task, predictions, self.folder, self.cache)
            for analysis in ANALYSES
        )
        return tuple(part for part in (self._saving(task), *parts) if part is not None)

    def _saving(self, task: LayerTask) -> Saving | None:
        if not self.save_probes:
            return None
        units = {name: TARGETS[name].unit for name in self.plan.targets if name in TARGETS}
        return Saving(
            self.folder.for_jobs(self.folder.probes), task.model.extract, task.model.digest, units
        )
