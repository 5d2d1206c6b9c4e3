"""A run as Python values: ``sweep.open_run("results/demo").layers``."""

import errno
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from jobs.activations.store import read_layer
from jobs.corpus.skipped import Skipped, read_skipped
from jobs.corpus.table import CorpusError, read_table
from jobs.probes import seed_count
from jobs.protocol.folds import TestedSpeakers, count_tested_speakers
from jobs.protocol.predictions import CellPredictions, read_checked_predictions
from jobs.protocol.target_folds import TargetFolds
from jobs.statistics.curves import POINT_COLUMNS, Bootstrap, Curves, layer_curves
from jobs.statistics.difference_table import difference_table
from jobs.statistics.model_table import model_table
from jobs.storage.location import parse_location
from sweep.analyses import ANALYSES
from sweep.errors import RunError
from sweep.plan.plan import PlannedModel
from sweep.plan.untrained_twins import twins
from sweep.results.cross_check import check_scores
from sweep.results.layer_levels import with_levels
from sweep.results.metrics import metrics_table
from sweep.results.names import check_name
from sweep.results.records import RunRecords
from sweep.state.stored_plan import check_unchanged


class Run(RunRecords):
    """A run's records, tables, predictions and activations, each read on first use."""

    @cached_property
    def utterances(self) -> pd.DataFrame:
        """The utterance table, with the targets."""

        def read(path: Path) -> pd.DataFrame:
            table = read_table(path, text=tuple(self.plan.classes))
            check_unchanged(self.folder, path.name)
            return table

        return self._read(self.folder.utterances, read, CorpusError)

    @cached_property
    def tested_speakers(self) -> dict[str, TestedSpeakers]:
        """Target → how many speakers are tested, and how many of them are also trained on."""
        folds = TargetFolds(self.plan.target_protocols, self.utterances, self.plan.classes)
        return {
            target: count_tested_speakers(folds.of(target), self.utterances)
            for target in self.plan.targets
        }

    @property
    def targets_with_shared_speakers(self) -> list[str]:
        """Targets for which a speaker is both trained and tested on."""
        return [name for name, speakers in self.tested_speakers.items() if speakers.trained]

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """One row per done cell: its place, scores, values that its probe chose, seconds and id."""
        return metrics_table(self.records.values())

    @cached_property
    def curves(self) -> Curves:
        """The rows of ``layers``, and those of points whose cells all failed, without scores."""
        orders = {  # the spec's own order, for rows and legends
            "model": [model.name for model in self.plan.models],
            "target": list(self.plan.targets),
            "probe": list(self.plan.probes),
        }
        points, metrics = (
            frame.assign(
                **{
                    name: pd.Categorical(frame[name], categories=order, ordered=True)
                    for name, order in orders.items()
                }
            )
            for frame in (self._points(), self.metrics)
        )
        read = None if self.plan.scored_by_sums else self.cell_predictions
        curves = layer_curves(points, metrics, read, self.speakers, self._bootstrap())
        layers = self._with_columns_of_analyses(curves.layers)
        return replace(curves, layers=with_levels(layers, self.plan))

    @cached_property
    def layers(self) -> pd.DataFrame:
        """One row per model × layer × target × probe that has a done cell, with intervals."""
        layers = self.curves.layers
        return layers[layers["cells"] > 0].reset_index(drop=True)

    @cached_property
    def models(self) -> pd.DataFrame:
        """The comparison table: one row per model × target × probe, including baselines."""
        return model_table(self.curves)

    @cached_property
    def differences(self) -> pd.DataFrame:
        """One row per comparison of two layers or two models; see `jobs.statistics.differences`."""
        return difference_table(self.curves, twins(self.plan), self._bootstrap())

    def table(self, name: str) -> pd.DataFrame:
        """Return a table of an optional analysis: ``similarity``, ``tempo``, ``canonical``, ….

        The table has no rows if the run has no such results.

        Args:
            name: name of its file, without ``.csv``.

        Raises:
            RunError: no analysis has such a table.
        """
        check_name("table", name, sorted(self.analysis_tables))
        return self.analysis_tables[name]

    @cached_property
    def analysis_tables(self) -> dict[str, pd.DataFrame]:
        """The tables of all optional analyses, by name."""
        return {
            name: table for analysis in ANALYSES for name, table in analysis.tables(self).items()
        }

    @cached_property
    def skipped(self) -> list[Skipped]:
        """Utterances that were left out, with reasons."""
        if not self.folder.skipped.exists():
            return []
        return self._read(self.folder.skipped, read_skipped)

    def predictions(
        self,
        model: str,
        layer: str,
        *,
        probe: str | None = None,
        target: str | None = None,
        control: str = "none",
    ) -> pd.DataFrame:
        """Read the test predictions of a layer, one row per utterance × probe × target × seed.

        Returns:
            Columns ``utterance_id, speaker_id, probe, target, control, seed, fold, y_true,
            y_pred``, the values in the target's unit, or names of classes.

        Raises:
            RunError: no done cell fits, or the run keeps no predictions.
        """
        if self.plan.scored_by_sums:
            raise RunError(
                "store: gram with kfold keeps no predictions: use protocol: {kind: splits}, or "
                "store: activations"
            )
        layers = [one.name for one in self._model(model).layers]
        check_name("layer", layer, layers)
        check_name("control", control, self.plan.controls)
        check_name("probe", probe, self.plan.probes)
        check_name("target", target, self.plan.targets)
        chosen = [
            record
            for record in self.records.values()
            if record.status == "done"
            and (record.model, record.layer, record.control) == (model, layer, control)
            and probe in (None, record.probe)
            and target in (None, record.target)
        ]
        if not chosen:
            raise RunError(
                f"no finished cell for model {model!r}, layer {layer!r}, probe {probe!r}, target "
                f"{target!r}, control {control!r}; `.metrics` lists the finished cells"
            )
        frames = []
        for record in chosen:
            cell = self.cell_predictions(record.cell_id)
            frames.append(
                pd.DataFrame(
                    {
                        "utterance_id": cell.utterance_id,
                        "speaker_id": [self.speakers[name] for name in cell.utterance_id],
                        "probe": record.probe,
                        "target": record.target,
                        "control": record.control,
                        "seed": record.seed,
                        "fold": record.fold,
                        "y_true": self._named(record.target, cell.y_true),
                        "y_pred": self._named(record.target, cell.y_pred),
                    }
                )
            )
        return pd.concat(frames, ignore_index=True)

    def activations(self, model: str, layer: str) -> tuple[list[str], npt.NDArray[np.float32]]:
        """Read utterance ids and pooled activations (utterances, width) of a layer, probed or not.

        Raises:
            RunError: the run has no such model, or keeps no activations.
            jobs.activations.manifest.CorruptShard: activations are missing or damaged.
        """
        sets = self._model(model).stored_sets
        if not sets:
            raise RunError(
                "store: gram with kfold keeps no activations: use protocol: {kind: splits}, which "
                "keeps those of the test split, or store: activations"
            )
        cache = parse_location(self.cache)
        ids: list[str] = []
        arrays = []
        for planned in sets:
            names, array = read_layer(planned.folder(cache), planned.n_shards, layer)
            ids += names
            arrays.append(array)
        return ids, np.concatenate(arrays)

    def _with_columns_of_analyses(self, layers: pd.DataFrame) -> pd.DataFrame:
        """Append the columns that optional analyses add to the rows of a model's layer and target,
        whichever the probe."""
        key = ["model", "layer", "target"]
        places = pd.MultiIndex.from_frame(layers[key].astype(str))
        for analysis in ANALYSES:
            added = analysis.layer_columns(self.analysis_tables)
            if added is not None:
                values = added.set_index(key).reindex(places)
                layers = layers.assign(**{str(name): values[name].to_numpy() for name in values})
        return layers

    def _bootstrap(self) -> Bootstrap:
        return Bootstrap(resamples=self.spec.bootstrap.resamples)

    def _named(
        self, target: str, values: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32] | npt.NDArray[np.object_]:
        """Map codes (n,) to names of classes; values of numeric targets are unchanged."""
        if target not in self.plan.classes:
            return values
        names = np.array(self.plan.classes[target], dtype=np.object_)
        named: npt.NDArray[np.object_] = names[values.astype(np.int64)]
        return named

    def _points(self) -> pd.DataFrame:
        """List the points of curves that have a finished cell, with their numbers of cells."""
        rows = {}
        for record in self.records.values():
            key = (record.model, record.layer, record.layer_index, record.target, record.probe)
            probe = self.plan.probes[record.probe]
            n_folds = self.plan.target_protocols.of(record.target).n_folds
            planned = seed_count(probe) * n_folds
            planned_control = planned * (len(self.plan.controls) - 1)
            target_kind = self.plan.kind(record.target)
            rows[key] = (*key, probe.kind, target_kind, planned, planned_control)
        return pd.DataFrame(list(rows.values()), columns=POINT_COLUMNS)

    def _model(self, name: str) -> PlannedModel:
        check_name("model", name, [model.name for model in self.plan.models])
        return next(model for model in self.plan.models if model.name == name)

    def cell_predictions(self, cell_id: str) -> CellPredictions:
        """Read the predictions of a done cell; keep the last file, since its cells are adjacent."""
        record = self.records[cell_id]
        path = self.folder.predictions / record.predictions
        if self._last_file[0] != path:
            self._last_file = (path, *self._read_predictions(path))
        _, cells, has_sum = self._last_file
        if cell_id not in cells:
            raise RunError(
                f"{path} lacks the predictions of cell {cell_id}: delete it and run the spec "
                "again; its cells are then computed anew"
            )
        if not (has_sum and self._lines[0][cell_id][1]):
            check_scores(record, cells[cell_id], self.plan.kind(record.target))
        return cells[cell_id]

    def _read_predictions(self, path: Path) -> tuple[dict[str, CellPredictions], bool]:
        """Read a file of predictions, all of whose utterances must be in the table."""
        try:
            cells, has_sum = read_checked_predictions(path)
        except FileNotFoundError:
            reason = "is missing: run the spec again; its cells are then computed anew"
            raise FileNotFoundError(errno.ENOENT, reason, str(path)) from None
        # Cells of a fold share their array of names.
        names = {id(cell.utterance_id): cell.utterance_id for cell in cells.values()}
        for utterances in names.values():
            unknown = [name for name in utterances.tolist() if name not in self.speakers]
            if unknown:
                raise RunError(
                    f"{path} has predictions for {unknown[0]!r}, which is not in "
                    f"{self.folder.utterances}: run the spec again"
                )
        return cells, has_sum

    @cached_property
    def speakers(self) -> dict[str, str]:
        """Speaker of every utterance id."""
        table = self.utterances
        return dict(zip(table["utterance_id"], table["speaker_id"], strict=True))

    _needs_results = True
    _last_file: tuple[Path | None, dict[str, CellPredictions], bool] = (None, {}, True)
    """The last file of predictions, its cells, and whether it had a checksum."""
