"""Headlines about what training changed: trained models against their untrained twins."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jobs.statistics.difference_table import LAYER_NOTHING, TRAINED, TRAINED_LAYER
from sweep.report.tables.cells import Row
from sweep.report.text import phrases
from sweep.report.text.topics import Topic
from sweep.wording import listed

EMBEDDING = "embedding"
"""Name of the layer that is a model's output."""
MOST_PAIRS = 4
"""Number of pairs of twins that a sentence lists; more are counted."""
_NO_CHANGE = "did not clearly change"


@dataclass(frozen=True)
class Twins:
    """One comparison of a trained model with its untrained twin."""

    trained: str
    untrained: str
    before: float
    """Score of the untrained model."""
    after: float
    """Score of the trained model."""
    difference: Row
    """Its row of ``differences.csv``."""
    place: str
    """Layers at which the two are compared: ``at the embedding``, ``at the layers chosen on
    validation`` or ``at the best layers``."""
    above: bool
    """True if one of them is clearly above knowing nothing there."""
    elsewhere: Row | None = None
    """The row of ``differences.csv`` at layers chosen by score, of a pair compared at the
    embedding."""

    @property
    def verb(self) -> str:
        """Effect of training on the score."""
        if not phrases.clear(self.difference):
            return _NO_CHANGE
        return "raised" if self.difference["difference"] > 0 else "lowered"

    @property
    def p(self) -> str:
        """The corrected p-value in words."""
        return phrases.p_value(self.difference["p_holm"], "Holm p")

    @property
    def change(self) -> str:
        """``from 0.16 to 1.00``, or the size of the difference where the scores lack its sign."""
        value = float(self.difference["difference"])
        if (self.after - self.before) * value > 0:
            return "from {} to {}".format(*phrases.unequal(self.before, self.after))
        return f"by {phrases.decimal(abs(value))}"

    @property
    def unchanged(self) -> str:
        """The scores where they do not differ clearly."""
        if math.isnan(self.before) or math.isnan(self.after):
            return f"difference {phrases.decimal(float(self.difference['difference']))}"
        before, after = map(phrases.decimal, (self.before, self.after))
        return f"{before} untrained, {after} trained"

    @property
    def change_elsewhere(self) -> str:
        """A clause on a clear change in other layers of a pair without one at the embedding."""
        if self.elsewhere is None or not phrases.clear(self.elsewhere):
            return ""
        value = float(self.elsewhere["difference"])
        verb = "raised" if value > 0 else "lowered"
        p = phrases.p_value(self.elsewhere["p_holm"], "Holm p")
        where = phrases.chosen_at(self.elsewhere)
        return f"; but {verb} it by {phrases.decimal(abs(value))} {where}, {p}"


def twins_of(topic: Topic) -> Iterator[Twins]:
    """Yield comparisons of twins, at the embedding where they have one, else at the best layers.

    No score was used to choose the embedding, and it is what a model is used for.
    """
    of_layers = topic.rows(TRAINED_LAYER)
    of_embedding = of_layers[of_layers["layer_a"] == EMBEDDING]
    at_embedding = {_pair(row): row for row in of_embedding.to_dict("records")}
    at_best = {_pair(row): row for row in topic.rows(TRAINED).to_dict("records")}
    nothing = topic.rows(LAYER_NOTHING)
    above = nothing[(nothing["difference"] > 0) & (nothing["p_holm"] < phrases.ALPHA)]
    for pair in at_best | at_embedding:
        row = at_embedding.get(pair) or at_best[pair]
        after, before = (topic.score(str(row[f"model_{s}"]), str(row[f"layer_{s}"])) for s in "ab")
        layers = above[above["layer_a"] == EMBEDDING] if pair in at_embedding else above
        known = bool(layers["model_a"].isin(pair).any())
        place = f"at the {EMBEDDING}" if pair in at_embedding else phrases.chosen_at(row)
        elsewhere = at_best.get(pair) if pair in at_embedding else None
        yield Twins(*pair, before, after, row, place, known, elsewhere)


def _pair(row: Row) -> tuple[str, str]:
    return str(row["model_a"]), str(row["model_b"])


def of_training(topic: Topic, pairs: Sequence[Twins]) -> str:
    """Write what training did to the score of one target, in one pair of twins or several."""
    places = sorted({pair.place for pair in pairs})
    subject = f"{topic.scored} {listed(places)}"
    test = topic.test
    if not any(pair.above for pair in pairs):
        test += (
            f", neither clearly above the {topic.nothing}"
            if len(pairs) == 1
            else (f", none clearly above the {topic.nothing}")
        )
    if len(pairs) > MOST_PAIRS:
        raised, lowered = (sum(p.verb == verb for p in pairs) for verb in ("raised", "lowered"))
        return (
            f"Training raised {subject} in {raised} of {len(pairs)} pairs of trained and "
            f"untrained models and lowered it in {lowered} ({test}, Holm p < {phrases.ALPHA:g})."
        )
    (pair,) = pairs[:1]
    if len(pairs) == 1:
        of_model = f" of {pair.trained}" if len(topic.own) > 2 else ""
        told = f": {pair.unchanged}" if pair.verb == _NO_CHANGE else f" {pair.change}"
        more = pair.change_elsewhere if pair.verb == _NO_CHANGE else ""
        return f"Training {pair.verb} {subject}{of_model}{told} ({test}, {pair.p}{more})."
    clauses: list[str] = []
    for verb in ("raised", "lowered", _NO_CHANGE):
        changed = [
            f"{place} {' and '.join(there)}"
            for place in places
            if (there := [_named(p, pairs) for p in pairs if (p.verb, p.place) == (verb, place)])
        ]
        if changed:
            clauses.append(f"{verb} {'that' if clauses else topic.scored} {' and '.join(changed)}")
    return f"Training {listed(clauses)} ({test})."


def _named(pair: Twins, pairs: Sequence[Twins]) -> str:
    several = sum(other.trained == pair.trained for other in pairs) > 1
    against = f" against {pair.untrained}" if several else ""
    if pair.verb == _NO_CHANGE:
        return f"of {pair.trained}{against} ({pair.unchanged}, {pair.p}{pair.change_elsewhere})"
    return f"of {pair.trained}{against} {pair.change} ({pair.p})"


def joined(topics: Sequence[tuple[Topic, Sequence[Twins]]]) -> Iterator[str]:
    """Write a sentence per trained model that differs clearly from its twin in several targets.

    Args:
        topics: with the twins of each.
    """
    found: dict[tuple[str, str], list[tuple[Topic, Twins]]] = {}
    for topic, pairs in topics:
        for pair in pairs:
            changes = found.setdefault((pair.trained, pair.untrained), [])
            if pair.verb != _NO_CHANGE and (not changes or changes[0][1].place == pair.place):
                changes.append((topic, pair))
    named, said = len(found) > 1, set()
    for (trained, untrained), changes in list(found.items())[:MOST_PAIRS]:
        if len(changes) < 2 or trained in said:
            continue
        said.add(trained)
        clauses = [
            f"{verb} {listed(told)}"
            for verb in ("raised", "lowered")
            if (told := [f"{t.scored} {p.change}" for t, p in changes if p.verb == verb])
        ]
        several = sum(other == trained for other, _ in found) > 1
        against = f" against {untrained}" if several else ""
        topic, pair = changes[0]
        yield (
            f"Training{f' {trained}' if named else ''} {' and '.join(clauses)}, {pair.place}"
            f"{against} (each {topic.paired}, Holm p < {phrases.ALPHA:g})."
        )
