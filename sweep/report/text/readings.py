"""Introductions to the findings, in HTML."""

_QUESTIONS = (
    "Every sentence is supported by a test at the 5 % level, and each question has a test of its "
    "own. <em>Is some layer above knowing nothing?</em> Each layer against the mean predictor or "
    "majority class, with Holm's correction (1979) over the layers. <em>How high?</em> The "
    "selection-corrected score of the best layer, on {units} that were not used to choose it. "
    "<em>Which layer is best?</em> The layers that are not distinguishable from the peak include "
    "the truly best one in 95 % of such experiments, however many layers were compared: multiple "
    "comparisons with the best (Hsu 1984), {reference}. <em>Which model is better?</em> "
    "The table compares models at their best layers: paired over the same {units}, with two-sided "
    "p-values{how}, corrected by Holm's method among the models of one target and probe. The "
    "headlines are about the embedding where there is an untrained twin, and about the first probe "
    "of the spec. <code>tables/differences.csv</code> has everything, layer by layer."
)
READING = _QUESTIONS.format(
    units="speakers",
    reference="with the reference of White (2000) from a bootstrap over speakers",
    how="",
)
READING_OF_FOLDS = _QUESTIONS.format(
    units="folds",
    reference="here with Bonferroni's correction, because there are too few folds to resample",
    how=" from a jackknife over folds with Student's t",
)
