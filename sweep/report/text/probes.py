"""What each probe is, in a sentence with the settings that matter."""

from jobs.probes import ProbeSettings
from jobs.probes.cca import CcaSettings
from jobs.probes.knn import KnnSettings
from jobs.probes.linear import LinearSettings
from jobs.probes.logistic import LogisticSettings
from jobs.probes.mdl import MdlSettings
from jobs.probes.mlp import MlpSettings
from jobs.probes.ridge import RidgeSettings


def probe_sentence(settings: ProbeSettings, validation: str | None) -> str:
    """A sentence on a probe; ``validation`` is what the protocol's part to choose on is called,
    None where it has none."""
    match settings:
        case RidgeSettings():
            choose = settings.choose
            if choose == "auto":
                choose = "validation" if validation else "inner"
            chosen = _by(choose, validation)
            return f"Ridge regression (Hoerl & Kennard 1970), {_penalty(settings, chosen)}."
        case LogisticSettings():
            chosen = _by("validation" if validation else "inner", validation)
            return f"Multinomial logistic regression, {_penalty(settings, chosen)}."
        case KnnSettings():
            k = ", ".join(map(str, settings.k))
            chosen = _by("validation" if validation else "inner", validation)
            several = f"one of {k}, chosen {chosen}" if len(settings.k) > 1 else k
            return f"k nearest neighbours by {settings.metric} distance, k = {several}."
        case CcaSettings():
            together = (
                f", and up to {settings.components} components with all targets that are numbers "
                "together (Björck & Golub 1973)"
            ) * (settings.components > 1)
            return (
                "Canonical correlation with the target, fitted on as many leading singular "
                f"directions as carry {100 * settings.variance:g} % of the variance (SVCCA, Raghu "
                f"et al. 2017), its correlation measured on held-out data{together}."
            )
        case MdlSettings():
            repeats = f", repeated with {settings.seeds} orders of speakers" * (settings.seeds > 1)
            return (
                "Minimum description length by the online code (Voita & Titov 2020), numbers sent "
                f"to {100 * settings.precision:g} % of their SD{repeats}."
            )
        case MlpSettings():
            widths = " and ".join(map(str, settings.hidden))
            layers = "layer" if len(settings.hidden) == 1 else "layers"
            hidden = (
                f"with hidden {layers} of {widths} units" if widths else "without hidden layers"
            )
            dropout = f", dropout {settings.dropout:g}" if settings.dropout else ""
            return f"A multilayer perceptron {hidden} (ReLU{dropout}), {_training(settings)}."
        case LinearSettings():
            return f"A linear layer, {_training(settings)}."


def _by(choose: str, validation: str | None) -> str:
    return {
        "validation": f"on the {validation}",
        "inner": "on inner folds of the training speakers",
        "loo": "by leaving out single training utterances",
    }[choose]


def _penalty(settings: RidgeSettings | LogisticSettings, chosen: str) -> str:
    """How the penalty came about."""
    alphas = settings.alphas
    if len(alphas) == 1:
        return f"its L2 penalty {alphas[0]:g}"
    return (
        f"its L2 penalty one of {len(alphas)} from {alphas[0]:g} to {alphas[-1]:g}, chosen {chosen}"
    )


def _training(settings: MlpSettings | LinearSettings) -> str:
    seeds = f"{settings.seeds} seeds" if settings.seeds > 1 else "one seed"
    stop = (
        f"at most {settings.epochs} epochs, stopped after {settings.patience} without a lower "
        "validation loss, the best weights kept"
        if settings.early_stopping
        else f"{settings.epochs} epochs"
    )
    decay = f", weight decay {settings.weight_decay:g}" if settings.weight_decay else ""
    return (
        f"trained with Adam (Kingma & Ba 2015), step size {settings.learning_rate:g}{decay}, "
        f"{settings.batch_size} utterances a step, {stop}, averaged over {seeds}"
    )
