"""Methods text: intervals, the choice of the best layer, and comparisons."""

from collections.abc import Iterator

from jobs.statistics.difference_table import MODELS, TRAINED
from jobs.statistics.intervals import LEAST_UNITS
from sweep.report.text.footnotes import too_few_units
from sweep.results.run import Run
from sweep.wording import listed


def sentences(run: Run) -> Iterator[str]:
    """Describe the statistics, over folds where only sums were kept, else over speakers."""
    yield from _over_folds(run) if run.plan.scored_by_sums else _over_speakers(run)
    yield from _between_models(run)
    yield from _too_few(run)


def _between_models(run: Run) -> Iterator[str]:
    """Describe how the layers of a comparison of models were chosen."""
    rows = run.differences
    chosen = rows.loc[rows["comparison"].isin([MODELS, TRAINED]), "layer_a"] != ""
    units = "folds" if run.plan.scored_by_sums else "speakers"
    if chosen.any():
        of_folds = (
            ", for every fold on the validation fold of its own (nested cross-validation: Varma & "
            "Simon 2006)"
            if run.plan.n_folds > 1
            else ""
        )
        yield (
            "To compare two models, the layer of each was chosen by its loss on the validation "
            f"split{of_folds}; the two layers were then compared on the test split like any "
            f"other pair, paired over {units}."
        )
    if not chosen.all():
        which = "Other models" if chosen.any() else "Models"
        yield (
            f"{which} were compared at layers chosen on {units} that were not used to score them, "
            "as probes had no validation losses; the choice is repeated in the standard error."
        )


def _too_few(run: Run) -> Iterator[str]:
    """Name the targets without intervals."""
    short = too_few_units(run)
    if short:
        units = "folds" if run.plan.scored_by_sums else "test speakers"
        yield (
            f"Too few {units} for an interval or a p-value ({', '.join(short)}): at least "
            f"{LEAST_UNITS} are needed."
        )


def _over_folds(run: Run) -> Iterator[str]:
    members = "utterances" if run.targets_with_shared_speakers else "speakers"
    yield (
        "Only sums over each fold were kept and no predictions: 95 % intervals come from a "
        f"jackknife over folds, which are groups of {members} (Wolter 2007), with Student's t and "
        "at most one degree of freedom less than there are folds, fewer where folds are of unequal "
        "size or one of them dominates the standard error (Satterthwaite 1946; O'Neill 2014), but "
        "at least half as many as by size."
    )
    yield (
        "The selection-corrected score of a model at its best layer is measured on folds that were "
        "not used to choose the layer, and its interval repeats the choice without each fold."
    )
    yield (
        "Layers were compared with the best of their model by multiple comparisons with the best "
        "(Hsu 1984), with Bonferroni's correction. Other differences were paired over the same "
        "folds, tested two-sided with standard errors over folds, and corrected by Holm's method "
        "(Holm 1979) within each kind of comparison, target and probe."
    )


def _over_speakers(run: Run) -> Iterator[str]:
    scales = []
    if any(run.plan.kind(target) == "regression" for target in run.plan.targets):
        scales += ["the logarithm of errors and of the share that R² leaves", "Fisher's z"]
    if run.plan.classes:
        scales += ["log odds of accuracies"]
    exact = (
        ", and accuracies at most those of exact binomial intervals for as many draws as effective "
        "speakers (Korn & Graubard 1998)"
    )
    yield (
        "Intervals cover 95 % and use Student's t over speakers, each with all its utterances, on "
        f"a scale on which scores are about normal ({listed(scales)}): standard errors come from a "
        "jackknife over speakers (Efron & Stein 1981; MacKinnon et al. 2023), degrees of freedom "
        "allow for speakers of unequal size and with unlike errors (Satterthwaite 1946; O'Neill "
        f"2014), and are at least half of those by size{exact if run.plan.classes else ''}."
    )
    yield (
        "The selection-corrected score of a model at its best layer is measured on speakers who "
        f"were not used to choose the layer; {run.spec.bootstrap.resamples} bootstrap resamples of "
        "speakers (seed 0), the same for all layers and models, repeat the choice, and the "
        "variance of its interval is multiplied by the factor by which the choice increases that "
        "of the resamples (after Tsamardinos et al. 2018)."
    )
    yield (
        "Layers were compared with the best of their model by multiple comparisons with the best "
        "(Hsu 1984), with the bootstrap's reference (White 2000). Other differences were paired "
        "over the same speakers, tested two-sided with standard errors over speakers, and "
        "corrected by Holm's method (Holm 1979) within each kind of comparison, target and probe."
    )
