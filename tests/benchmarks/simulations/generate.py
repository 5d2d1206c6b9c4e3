"""Losses by speaker of the layers of models, from populations whose true scores are known.

Numbers: every model has L layers of D features. Feature 0 of layer l is √q_l s + √(1 − q_l) n, with
the signal s that the target y = √R s + √(1 − R) δ e shares with all layers; the other features know
nothing of y. s, e and all features have mean 0, variance 1 and the correlation ``ALIKE`` within
speakers. δ is log-normal, one value a speaker, with log-SD ``spread``: speakers are misheard to
different degrees. Ridge regressions (α = 0.01) are really fitted, on ``N_TRAIN`` speakers; their
weights give the true R² of each layer in closed form. A ``bad`` speaker has features whose noise is
``factor`` times as large: its predictions are wild, and identically wild noise never trained on.

Classes: an utterance is right if a_l + b_s + c_ls + z_u + v_lu > 0, all normal: b for the speaker
(SD ``of_speaker``), c for the speaker's fit to the layer (SD 0.3), z shared by layers and v not
(variance ½ each). The true accuracy is Φ(a_l / √(1 + var b + var c)).

Legend: S speakers, U utterances, L layers, D features; values (L, S, 4) have the columns
`jobs.statistics.best_layer.ERRORS`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from jobs.arrays import FloatArray

ALIKE = 0.4
"""Correlation within speakers, as of letters per second on LibriSpeech."""
N_TRAIN, EACH, ALPHA = 16, 30, 0.01
"""Training speakers, utterances of each, and penalty of the ridge regressions."""
OF_LAYER = 0.3
"""SD of how well a layer suits a speaker, of classes."""


@dataclass(frozen=True)
class Speakers:
    """A sample of speakers."""

    sizes: npt.NDArray[np.int64]
    """(S,) utterances of each."""

    @property
    def own(self) -> npt.NDArray[np.int64]:
        """(U,) speaker of every utterance."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    def sums(self, values: FloatArray) -> FloatArray:
        """(…, S) sums of (…, U) ``values`` by speaker."""
        starts = np.concatenate([[0], self.sizes.cumsum()[:-1]])
        return np.asarray(np.add.reduceat(values, starts, axis=-1))

    def noise(self, rng: np.random.Generator, n: int) -> FloatArray:
        """(n, U) of variance 1, of which ``ALIKE`` lies between speakers."""
        level = rng.standard_normal((n, len(self.sizes)))[:, self.own]
        own = rng.standard_normal((n, len(self.own)))
        return np.asarray(ALIKE**0.5 * level + (1 - ALIKE) ** 0.5 * own)


def draw_speakers(rng: np.random.Generator, n: int, *, equal: bool) -> Speakers:
    """``n`` speakers of 20 utterances, or of 10 to 109."""
    return Speakers(np.full(n, 20) if equal else rng.integers(10, 110, n))


def errors_of(speakers: Speakers, loss: FloatArray, reference: FloatArray) -> FloatArray:
    """(L, S, 4) values from (L, S) losses and (S,) references."""
    sizes = np.broadcast_to(speakers.sizes.astype(float), loss.shape)
    reference = np.broadcast_to(reference, loss.shape)
    return np.stack([sizes, loss, reference, reference], axis=-1)


@dataclass(frozen=True)
class Numbers:
    """A population of speakers and a target that is a number."""

    share: float
    """R: of the target's variance, what a perfect layer would know."""
    quality: tuple[float, ...]
    """q_l: of feature 0's variance, what is signal."""
    equal: bool = False
    spread: float = 0.2
    bad: float = 0.0
    """Share of speakers whose features are wild."""
    factor: float = 1.0
    """How many times their noise has the SD of others'."""
    one_bad: bool = False
    """Every sample has exactly one such speaker, and so has the population, 1 of S."""
    features: int = 6

    @property
    def scale(self) -> str:
        """Scale of the score's interval."""
        return "rest"

    def draw(self, rng: np.random.Generator, *tested: int) -> tuple[list[FloatArray], FloatArray]:
        """Values on samples of ``tested`` speakers each, and (L,) true R²; one set of probes."""
        slopes, constant, mean = self._fitted(rng)
        q = np.array(self.quality)
        bad = 1 / tested[-1] if self.one_bad else self.bad
        wild, unlike = 1 + bad * (self.factor**2 - 1), np.exp(2 * self.spread**2)
        others = (slopes[:, 1:] ** 2).sum(axis=1)
        rest = (1 - self.share) * unlike
        known = (self.share**0.5 - slopes[:, 0] * q**0.5) ** 2
        off = known + (slopes[:, 0] ** 2 * (1 - q) + others) * wild + rest + constant**2
        truth = 1 - off / (self.share + rest + mean**2)
        return [self._tested(rng, n, slopes, constant, mean) for n in tested], truth

    def _fitted(self, rng: np.random.Generator) -> tuple[FloatArray, FloatArray, float]:
        """(L, D) slopes, (L,) constants and the training mean."""
        speakers = Speakers(np.full(N_TRAIN, EACH))
        q = np.array(self.quality)[:, None]
        signal, other = speakers.noise(rng, 2)
        y = self.share**0.5 * signal + (1 - self.share) ** 0.5 * other
        X = np.stack([speakers.noise(rng, len(q)) for _ in range(self.features)], axis=-1)
        X[:, :, 0] = q**0.5 * signal + (1 - q) ** 0.5 * X[:, :, 0]
        means = X.mean(axis=1)
        Z, target = X - means[:, None], y - y.mean()
        products = np.einsum("lud,lue->lde", Z, Z) / len(y) + ALPHA * np.eye(self.features)
        sides = np.einsum("lud,u->ld", Z, target) / len(y)
        slopes = np.linalg.solve(products, sides[..., None])[..., 0]
        return slopes, y.mean() - np.sum(means * slopes, axis=1), float(y.mean())

    def _tested(
        self,
        rng: np.random.Generator,
        n: int,
        slopes: FloatArray,
        constant: FloatArray,
        mean: float,
    ) -> FloatArray:
        speakers, q = draw_speakers(rng, n, equal=self.equal), np.array(self.quality)[:, None]
        is_bad = rng.random(n) < self.bad
        if self.one_bad:
            is_bad = np.arange(n) == rng.integers(n)
        wild = np.where(is_bad, self.factor, 1.0)[speakers.own]
        degree = np.exp(self.spread * rng.standard_normal(n))[speakers.own]
        signal, other = speakers.noise(rng, 2)
        y = self.share**0.5 * signal + (1 - self.share) ** 0.5 * degree * other
        first, second = (speakers.noise(rng, len(q)) * wild for _ in range(2))
        predicted = slopes[:, :1] * (q**0.5 * signal + (1 - q) ** 0.5 * first)
        others = np.linalg.norm(slopes[:, 1:], axis=1)
        predicted += others[:, None] * second + constant[:, None]
        return errors_of(
            speakers, speakers.sums((y - predicted) ** 2), speakers.sums((y - mean) ** 2)
        )


@dataclass(frozen=True)
class Classes:
    """A population of speakers and a target that is a class."""

    accuracy: float
    """True accuracy of the best layer."""
    below: tuple[float, ...]
    """How far each layer's probit is below that of the best."""
    equal: bool = False
    of_speaker: float = 0.5

    @property
    def scale(self) -> str:
        """Scale of the score's interval."""
        return "share"

    def draw(self, rng: np.random.Generator, *tested: int) -> tuple[list[FloatArray], FloatArray]:
        """Values on samples of ``tested`` speakers each, and (L,) true accuracies."""
        probit = ndtri(self.accuracy) - np.array(self.below)
        return [self._tested(rng, n, probit) for n in tested], ndtr(probit)

    def _tested(self, rng: np.random.Generator, n: int, probit: FloatArray) -> FloatArray:
        speakers, n_layers = draw_speakers(rng, n, equal=self.equal), len(probit)
        total = (1 + self.of_speaker**2 + OF_LAYER**2) ** 0.5
        of_speaker = self.of_speaker * rng.standard_normal(n)
        level = of_speaker + OF_LAYER * rng.standard_normal((n_layers, n))
        shared = rng.standard_normal(len(speakers.own))
        own = rng.standard_normal((n_layers, len(speakers.own)))
        margin = total * probit[:, None] + level[:, speakers.own] + (shared + own) / 2**0.5
        wrong = speakers.sums((margin < 0).astype(float))
        return errors_of(speakers, wrong, speakers.sizes.astype(float))


Population = Numbers | Classes
Draw = Callable[[np.random.Generator], tuple[FloatArray, FloatArray]]

LAYERS = 12


def falling(to: float, n: int = LAYERS) -> tuple[float, ...]:
    """Qualities of ``n`` layers from 1 down to ``to``."""
    return tuple(np.linspace(1, to, n).tolist())


def below(by: float, n: int = LAYERS) -> tuple[float, ...]:
    """Probits of ``n`` layers below the best, from 0 to ``by``."""
    return tuple(np.linspace(0, by, n).tolist())
