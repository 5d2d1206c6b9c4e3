"""Learning curves in a plan: the jobs of layers, and the files that they write."""

from collections.abc import Iterator
from dataclasses import dataclass

from jobs.identity import content_id
from jobs.probing.learning import LEARNING_VERSION, LearningJob
from jobs.storage.atomic import slug
from jobs.storage.location import Location
from sweep.plan.plan import LayerTask, Plan, layer_tasks
from sweep.state.run_folder import RunFolder


@dataclass(frozen=True)
class LearningLayer:
    """A layer with learning curves."""

    task: LayerTask
    file: str
    """Name of its file in the folder of predictions; it differs where the numbers in it differ."""


def smaller_fractions(plan: Plan) -> tuple[float, ...]:
    """Fractions of the training speakers below 1, whose fits are not cells."""
    return tuple(fraction for fraction in plan.train_fractions if fraction < 1)


def learning_layers(plan: Plan) -> Iterator[LearningLayer]:
    """Iterate over the layers of all models and baselines, with their files."""
    if not smaller_fractions(plan):
        return
    for task in layer_tasks(plan):
        cells = [cell.cell_id for cell in task.cells if cell.control == "none"]
        digest = content_id([cells, list(smaller_fractions(plan)), LEARNING_VERSION])
        name = f"{slug(task.model.name)}--{slug(task.layer.name)}--learning-{digest}.npz"
        yield LearningLayer(task, name)


def learning_job(plan: Plan, of: LearningLayer, folder: RunFolder, cache: Location) -> LearningJob:
    """Make the job of a layer."""
    model = of.task.model
    return LearningJob(
        model=model.name,
        layer=of.task.layer.name,
        activations=tuple((one.folder(cache), one.n_shards) for one in model.sets),
        table=folder.for_jobs(folder.utterances),
        protocols=plan.target_protocols,
        classes=plan.classes,
        probes=plan.probes,
        cells=of.task.cells,
        fractions=smaller_fractions(plan),
        file=folder.for_jobs(folder.predictions / of.file),
    )
