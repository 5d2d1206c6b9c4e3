"""The tables and predictions of a run as parquet files."""

from collections.abc import Iterator

import pandas as pd

from jobs.optional_packages import PYARROW
from jobs.storage.atomic import atomic_path
from sweep.export.parquet.folder import ExportFolder
from sweep.results.run import Run

PREDICTIONS = "predictions.parquet"


def write_table(folder: ExportFolder, name: str, frame: pd.DataFrame) -> None:
    """Write ``frame`` as the file ``name``, without its index.

    Columns without any value become numbers, so that their type does not depend on the run.
    """
    pyarrow, parquet = PYARROW.load(), PYARROW.load("parquet")
    empty = [column for column in frame if frame[column].isna().all()]
    table = pyarrow.Table.from_pandas(
        frame.astype(dict.fromkeys(empty, "float64")), preserve_index=False
    )
    with atomic_path(folder.path(name)) as temporary:
        parquet.write_table(table, temporary)
    folder.add(name)


def write_tables(folder: ExportFolder, run: Run) -> None:
    """Write ``tables/<name>.parquet`` for every table of the run that has rows."""
    tables = {
        "metrics": run.metrics,
        "layers": run.layers,
        "models": run.models,
        "differences": run.differences,
        **run.analysis_tables,
    }
    for name, table in tables.items():
        if not table.empty:
            write_table(folder, f"tables/{name}.parquet", table)


def write_predictions(folder: ExportFolder, run: Run) -> None:
    """Write the test predictions of all finished cells, a row group for each layer.

    Columns ``y_true`` and ``y_pred`` are numbers in the target's unit, ``true_class`` and
    ``predicted_class`` names of classes; a row has either.
    """
    pyarrow, parquet = PYARROW.load(), PYARROW.load("parquet")
    text = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
    kinds = {
        **dict.fromkeys(("model", "layer", "target", "probe", "control"), text),
        **dict.fromkeys(("seed", "fold"), pyarrow.int32()),
        **dict.fromkeys(("utterance_id", "speaker_id"), text),
        **dict.fromkeys(("y_true", "y_pred"), pyarrow.float32()),
        **dict.fromkeys(("true_class", "predicted_class"), text),
    }
    schema = pyarrow.schema(list(kinds.items()))
    with (
        atomic_path(folder.path(PREDICTIONS)) as temporary,
        parquet.ParquetWriter(temporary, schema) as writer,
    ):
        for frame in _predictions(run):
            writer.write_table(pyarrow.Table.from_pandas(frame, schema, preserve_index=False))
    folder.add(PREDICTIONS)


def _predictions(run: Run) -> Iterator[pd.DataFrame]:
    """Read the predictions layer by layer, in the order of the metrics."""
    done = (record for record in run.records.values() if record.status == "done")
    places = dict.fromkeys((record.model, record.layer, record.control) for record in done)
    for model, layer, control in places:
        frame = run.predictions(model, layer, control=control).assign(model=model, layer=layer)
        is_class = frame["target"].isin(list(run.plan.classes))
        for number, name in (("y_true", "true_class"), ("y_pred", "predicted_class")):
            values = frame[number]
            frame[name] = values.where(is_class).astype(object).where(is_class, None)
            frame[number] = values.where(~is_class).astype("float32")
        yield frame
