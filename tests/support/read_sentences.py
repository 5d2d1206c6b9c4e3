"""An independent reading of headlines and findings: each sentence against the tables it is about.

Sentences are parsed by patterns, and every statement is looked up in the rows of ``layers.csv``,
``models.csv`` and ``differences.csv`` as text. A sentence that no pattern knows is an error.
"""

import csv
import io
import math
import re

LABELS = {
    "speech rate": "cps", "mean pitch": "f0_mean", "who is speaking": "speaker",
    "the speaker's sex": "sex",
}  # fmt: skip
NUMBER = r"(?:undefined|−?[\d.]+)"
ESTIMATE = rf"{NUMBER}(?: \[{NUMBER}, {NUMBER}\]| \(too few \w+ for an interval\))?"
SCORE, NOTHING = "(?:R²|accuracy)", "(?:mean predictor|majority class)"
P = r"[<=] [\d.e-]+"
DECIDED = rf"(?: \(speaker (?P<speaker>\S+) decides its {SCORE}: (?P<known>{NUMBER}) with, "
DECIDED += rf"(?P<others>{NUMBER}) without\))?"
BEST = "(?:at the layers chosen on validation|at the best layers)"
PLACE = f"(?P<place>at the embedding|{BEST})"


class Tables:
    """The tables of one run, as rows of text."""

    def __init__(self, layers, models, differences):
        self.layers, self.models, self.differences = (
            list(csv.DictReader(io.StringIO(frame.to_csv(index=False))))
            for frame in (layers, models, differences)
        )
        self.targets = list(dict.fromkeys(row["target"] for row in self.models))
        self.models = [row for row in self.models if row["probe"]]

    def probes(self, target):
        """Probes of a target, in the order of the spec."""
        return list(dict.fromkeys(r["probe"] for r in self.models if r["target"] == target))

    def model(self, model, target, probe):
        return _only(self.models, model=model, target=target, probe=probe)

    def layer(self, model, layer, target, probe):
        return _only(self.layers, model=model, layer=layer, target=target, probe=probe)

    def rows(self, comparison, target, probe, **wanted):
        wanted |= {"comparison": comparison, "target": target, "probe": probe}
        tested = (row for row in self.differences if row["p_holm"])
        return [r for r in tested if all(r[k] == v for k, v in wanted.items())]


def _only(rows, **wanted):
    (found,) = [row for row in rows if all(row[k] == v for k, v in wanted.items())]
    return found


def significant(row, sign=0):
    """Whether a difference is clear, and of this sign."""
    return float(row["p_holm"]) < 0.05 and (not sign or float(row["difference"]) * sign > 0)


def is_shown(text, value):
    """Whether ``text`` is ``value``, rounded."""
    if not value or math.isnan(float(value)):
        return text == "undefined"
    places = len(text.partition(".")[2])
    return abs(float(text.replace("−", "-")) - float(value)) <= 0.5000001 * 10**-places


def p_is_shown(text, value):
    sign, shown = text.split()
    value = float(value)
    if sign == "<":
        return value < float(shown)
    close = abs(float(shown) - value) <= 0.06 * value + 1e-12
    return close and (float(shown) < 0.05) == (value < 0.05)


def check_estimate(text, row, column):
    """A score with its interval, or why it has none."""
    value, low, high = (row[f"{column}{end}"] for end in ("", "_low", "_high"))
    numbers = re.findall(NUMBER, text.partition(" (too")[0])
    assert is_shown(numbers[0], value), (text, value)
    if numbers[0] == "undefined":
        return
    assert ("too few" in text) == (not low or not high), (text, low, high)
    if low and high:
        assert is_shown(numbers[1], low) and is_shown(numbers[2], high), (text, low, high)


class Reader:
    """Checks the sentences of one run."""

    def __init__(self, tables):
        self.tables = tables
        self.kinds = []
        """Names of the patterns that were met."""

    def check(self, sentence, patterns):
        """Check a sentence by the first of ``patterns`` that it has the form of."""
        for kind in patterns:
            found = re.fullmatch(PATTERNS[kind], sentence)
            if found:
                self.kinds.append(kind)
                getattr(self, kind)(found)
                return
        raise AssertionError(f"no pattern for: {sentence}")

    def check_findings(self, sentences):
        self.check_all_told(sentences)
        for sentence in sentences:
            self.check(sentence, ("twins", "highest", "too_few", "single", "none_above", "above"))

    def check_all_told(self, sentences):
        """Every model that has a test against knowing nothing has a sentence."""
        tested = {
            (row["model_a"], row["target"], row["probe"])
            for row in self.tables.differences
            if row["comparison"] == "layer vs knowing nothing"
            and not row["model_a"].startswith("baseline:")
        }
        told = [s for s in sentences if " against its " not in s and " has the highest" not in s]
        assert len(told) == len(tested)

    def about(self, text):
        """(target, probe) of the start of a sentence, which names them where there are several."""
        words = text.split(", ") if text else []
        target = words.pop() if len(self.tables.targets) > 1 else self.tables.targets[0]
        probes = self.tables.probes(target)
        probe = words.pop() if len(probes) > 1 else probes[0]
        return words, target, probe

    def curve(self, who):
        """Rows of one curve: model, target, probe, tests against nothing, its row of models.csv."""
        (model,), target, probe = self.about(who)
        tests = self.tables.rows("layer vs knowing nothing", target, probe, model_a=model)
        return model, target, probe, tests, self.tables.model(model, target, probe)

    def check_decided(self, found, model, layer, target, probe):
        row = self.tables.layer(model, layer, target, probe)
        main = "accuracy" if row["target_kind"] == "classification" else "r2"
        assert (found["speaker"] or "") == row["influential_speaker"]
        if found["speaker"]:
            assert is_shown(found["known"], row[main])
            assert is_shown(found["others"], row[f"{main}_without_speaker"])

    def check_value(self, found, row):
        main = "accuracy" if row["target_kind"] == "classification" else "r2"
        names = {"r2": ("R²", "mean predictor"), "accuracy": ("accuracy", "majority class")}[main]
        assert found["score"] == names[0]
        assert found.groupdict().get("nothing", names[1]) == names[1]
        check_estimate(found["value"], row, f"best_{main}_honest")

    def single(self, found):
        model, target, probe, tests, row = self.curve(found["who"])
        (test,) = tests
        assert test["layer_a"] == found["layer"] == row["best_layer"]
        expected = {
            "is above": significant(test, 1),
            "is below": significant(test, -1),
            "is not clearly above": not significant(test),
        }
        assert expected[found["verb"]], test
        assert p_is_shown(found["p"], test["p_holm"])
        self.check_value(found, row)
        self.check_decided(found, model, found["layer"], target, probe)

    def too_few(self, found):
        *_, tests, row = self.curve(found["who"])
        assert tests == [] and found["layer"] == row["best_layer"]
        self.check_value(found, row)

    def none_above(self, found):
        model, target, probe, tests, row = self.curve(found["who"])
        assert len(tests) > 1 and not any(significant(test, 1) for test in tests)
        below = sum(significant(test, -1) for test in tests)
        if found["below"]:
            assert (int(found["below"]), int(found["of"])) == (below, len(tests))
        else:
            assert below == 0
        assert p_is_shown(found["p"], min(float(test["p_holm"]) for test in tests))
        assert found["layer"] == row["best_layer"]
        self.check_value(found, row)
        self.check_decided(found, model, found["layer"], target, probe)

    def above(self, found):
        model, target, probe, tests, row = self.curve(found["who"])
        above = {test["layer_a"] for test in tests if significant(test, 1)}
        n_above = found["n"] or found["of"]
        assert (int(n_above), int(found["of"])) == (len(above), len(tests)) and above
        assert found["layer"] == row["best_layer"]
        assert (found["layer"] in above) == (not found["excepted"])
        self.check_value(found, row)
        self.check_decided(found, model, found["layer"], target, probe)
        others = self.tables.rows("layer vs best layer", target, probe, model_a=model)
        assert all(other["layer_b"] == found["layer"] for other in others)
        alike = {other["layer_a"] for other in others if not significant(other)}
        curve = [
            r for r in self.tables.layers
            if (r["model"], r["target"], r["probe"]) == (model, target, probe) and r["cells"] != "0"
        ]  # fmt: skip
        ordered = [r["layer"] for r in sorted(curve, key=lambda r: int(r["layer_index"]))]
        assert found["layer"] not in alike
        self.check_rest(found["rest"] or "", alike, others, ordered)

    def check_rest(self, rest, alike, others, ordered):
        """The layers that are not distinguishable from the peak."""
        if not others:
            assert rest == ""
        elif rest == "; every other layer is worse":
            assert not alike
        elif rest == "; no other layer is distinguishable from it":
            assert len(alike) == len(others)
        else:
            text = rest.removeprefix("; not distinguishable from it: ")
            many = re.fullmatch(r"(\d+) of (\d+) others, (\S+) the first and (\S+) the last", text)
            if many:
                inside = [name for name in ordered if name in alike]
                assert (int(many[1]), many[3], many[4]) == (len(alike), inside[0], inside[-1])
                assert int(many[2]) == len(ordered) - 1
                return
            told = set()
            for part in text.split(", "):
                first, _, last = part.partition(" to ")
                run = ordered[ordered.index(first) : ordered.index(last or first) + 1]
                told |= set(run)
            assert told == alike

    def twins(self, found):
        words, target, probe = self.about(f"{found['who']}{found['where'] or ''}")
        trained, _, untrained = words[0].partition(" against its untrained twin ")
        (row,) = self.tables.rows(
            "trained vs untrained", target, probe, model_a=trained, model_b=untrained
        )
        expected = {
            "is higher, difference": significant(row, 1),
            "is lower, difference": significant(row, -1),
            "does not differ clearly,": not significant(row),
        }
        assert expected[found["verb"]], row
        assert ("validation" in found["place"]) == bool(row["layer_a"])
        numbers = re.findall(NUMBER, found["value"])
        assert all(map(is_shown, numbers, (row["difference"], row["low"], row["high"])))
        assert p_is_shown(found["p"], row["p_holm"])

    def highest(self, found):
        words, target, probe = self.about((found["where"] or "").removesuffix(": "))
        assert not words
        rows = [r for r in self.tables.models if (r["target"], r["probe"]) == (target, probe)]
        main = "accuracy" if rows[0]["target_kind"] == "classification" else "r2"
        scores = {r["model"]: float(r[f"best_{main}_honest"] or "nan") for r in rows}
        assert scores[found["top"]] == max(s for s in scores.values() if not math.isnan(s))
        self.check_standing(found["top"], found["standing"], target, probe)

    def check_standing(self, top, text, target, probe):
        """``clearly above a and b, not clearly different from c``."""
        rows = self.tables.rows("model vs model", target, probe)
        rows = [row for row in rows if top in (row["model_a"], row["model_b"])]
        counted = {"clearly above": 0, "not clearly different from": 0, "clearly below": 0}
        for how, names in re.findall(
            r"(clearly above|not clearly different from|clearly below) "
            r"(.+?)(?=, clearly|, not clearly|$)", text
        ):  # fmt: skip
            for name in re.split(", | and ", names):
                if name.endswith("others"):
                    counted[how] += int(name.split()[0])
                    continue
                counted[how] += 1
                (row,) = [r for r in rows if name in (r["model_a"], r["model_b"])]
                sign = 1 if row["model_a"] == top else -1
                expected = {"clearly above": sign, "clearly below": -sign}
                assert significant(row, expected[how]) if how in expected else not significant(row)
        assert sum(counted.values()) == len(rows)

    def check_headlines(self, sentences):
        """Headlines: those that join targets, then one per target in order."""
        joined = [s for s in sentences if re.fullmatch(PATTERNS["joined"], s)]
        rest = sentences[len(joined) :]
        assert sentences[: len(joined)] == joined and len(rest) == len(self.tables.targets)
        for sentence in joined:
            self.check(sentence, ["joined"])
        for sentence, target in zip(rest, self.tables.targets, strict=True):
            self.target = target
            self.check(sentence, ("many_pairs", "pairs", "predicts", "no_model", "unknown"))

    def label_is(self, text):
        return LABELS.get(text, text) == self.target

    def main(self, target):
        row = next(r for r in self.tables.models if r["target"] == target)
        return "accuracy" if row["target_kind"] == "classification" else "r2"

    def check_change(self, place, target, trained, untrained, verb, text):
        """What is said to have happened in one pair: scores, their order, and the test."""
        probe, main = self.tables.probes(target)[0], self.main(target)
        at_embedding = place == "at the embedding"
        comparison = "trained vs untrained layer" if at_embedding else "trained vs untrained"
        rows = self.tables.rows(comparison, target, probe, model_a=trained)
        rows = [r for r in rows if not at_embedding or r["layer_a"] == "embedding"]
        rows = [r for r in rows if untrained in (None, r["model_b"])]
        assert len(rows) == 1, (trained, untrained, len(rows))
        (row,) = rows
        raised, lowered = significant(row, 1), significant(row, -1)
        assert {"raised": raised, "lowered": lowered}.get(verb, not raised and not lowered), row
        after, before = (
            self.tables.layer(row[f"model_{x}"], row[f"layer_{x}"], target, probe)[main]
            if row[f"layer_{x}"] and " / " not in row[f"layer_{x}"]
            else self.tables.model(row[f"model_{x}"], target, probe)[f"best_{main}_honest"]
            for x in "ab"
        )
        numbers = re.findall(NUMBER, text.partition("Holm")[0])
        if "from" in text:
            assert verb == ("raised" if float(after) > float(before) else "lowered")
        by = re.search(r"\bby ", text)
        if by or "difference" in text:
            assert is_shown(
                numbers[0],
                str(abs(float(row["difference"])) if by else row["difference"]),
            )
        else:
            assert is_shown(numbers[0], before) and is_shown(numbers[1], after), (text, before)
        p = re.search(rf"Holm p ({P})", text)
        assert p is None or p_is_shown(p[1], row["p_holm"])
        return row

    def pairs(self, found):
        assert self.label_is(found["label"]), found["label"]
        probe = self.tables.probes(self.target)[0]
        there = self.compared(probe)
        only = next(iter(there))[0] if len(there) == 1 else None
        verb, place, told = found["verb"], found["place"], {}
        for part in re.split(r"(?:, | and )(?=raised|lowered|did not|of |at the )", found["told"]):
            start = re.match("raised|lowered|did not clearly change", part)
            verb = start[0] if start else verb
            part += found["elsewhere"] or ""
            elsewhere = re.search(ELSEWHERE, part)
            part = part.replace(elsewhere[0], "") if elsewhere else part
            moved = re.search(PLACE, part)
            place = moved["place"] if moved else place
            named = re.search(r"of ([a-z]+\d\w*)(?: against (\w+))?", part)
            trained, untrained = (named[1], named[2]) if named else (only, None)
            part = part.replace(named[0], "") if named else part
            if "p" not in part.partition("Holm")[2]:
                part += f" Holm p {found['p']}"
            row = self.check_change(place, self.target, trained, untrained, verb, part)
            told[row["model_a"], row["model_b"]] = place == "at the embedding"
            self.check_elsewhere(row, elsewhere, probe)
        assert told == there
        self.check_floor(found, there, probe)
        assert self.check_probe(found["test"], probe)

    def check_elsewhere(self, row, said, probe):
        """A clear change at chosen layers is said where there is none at the embedding."""
        names = {name: row[name] for name in ("model_a", "model_b")}
        best = self.tables.rows("trained vs untrained", self.target, probe, **names)
        silent = row["layer_a"] != "embedding" or significant(row, 1) or significant(row, -1)
        clear = [one for one in best if significant(one, 1) or significant(one, -1)]
        assert bool(said) == bool(clear and not silent), (row, said)
        if said:
            assert significant(clear[0], 1 if said["how"] == "raised" else -1)
            assert is_shown(said["size"], str(abs(float(clear[0]["difference"]))))
            assert p_is_shown(said["of_clear"], clear[0]["p_holm"])

    def compared(self, probe):
        """(trained, untrained) → whether they are compared at the embedding."""
        best = self.tables.rows("trained vs untrained", self.target, probe)
        layers = self.tables.rows(
            "trained vs untrained layer", self.target, probe, layer_a="embedding"
        )
        at_embedding = {(row["model_a"], row["model_b"]) for row in layers}
        pairs = at_embedding | {(row["model_a"], row["model_b"]) for row in best}
        return {pair: pair in at_embedding for pair in pairs}

    def check_probe(self, test, probe):
        several = len(self.tables.probes(self.target)) > 1
        return test.startswith(f"{probe}, ") == several

    def check_floor(self, found, there, probe):
        """``none clearly above the mean predictor``."""
        tests = self.tables.rows("layer vs knowing nothing", self.target, probe)
        above = [
            row for pair, at_embedding in there.items() for row in tests
            if row["model_a"] in pair and significant(row, 1)
            and (not at_embedding or row["layer_a"] == "embedding")
        ]  # fmt: skip
        assert bool(re.search("(none|neither) clearly above", found["test"])) == (not above)

    def many_pairs(self, found):
        assert self.label_is(found["label"])
        probe = self.tables.probes(self.target)[0]
        there = self.compared(probe)
        at_embedding = self.tables.rows(
            "trained vs untrained layer", self.target, probe, layer_a="embedding"
        )
        at_best = [
            row for row in self.tables.rows("trained vs untrained", self.target, probe)
            if not there[row["model_a"], row["model_b"]]
        ]  # fmt: skip
        assert ("at the embedding" in found["places"]) == bool(at_embedding)
        assert bool(re.search(BEST, found["places"])) == bool(at_best)
        rows = [*at_embedding, *at_best]
        counts = [sum(significant(r, sign) for r in rows) for sign in (1, -1)]
        told = [int(found["raised"]), int(found["lowered"]), int(found["of"])]
        assert told == [*counts, len(rows)]
        self.check_floor(found, there, probe)

    def joined(self, found):
        clear = 0
        trained = found["trained"]
        verb = found["verb"]
        text = found["told"]
        for part in re.split(r"(?:, | and )(?=raised |lowered |(?:R²|accuracy) for )", text):
            start = re.match("(raised|lowered) ", part)
            verb = start[1] if start else verb
            change = re.search(
                rf"(R²|accuracy) for (.+?) (from {NUMBER} to {NUMBER}|by {NUMBER})", part
            )
            target = LABELS.get(change[2], change[2])
            untrained = found["untrained"]
            if trained is None:
                pairs = {
                    (r["model_a"], r["model_b"]) for r in self.tables.differences
                    if r["comparison"] == "trained vs untrained"
                }  # fmt: skip
                ((trained, untrained),) = pairs
            self.check_change(found["place"], target, trained, untrained, verb, change[3])
            clear += 1
        assert clear > 1

    def predicts(self, found):
        assert self.label_is(found["label"])
        probe = self.tables.probes(self.target)[0]
        tests = self.tables.rows("layer vs knowing nothing", self.target, probe)
        own = [row for row in tests if row["model_a"] == found["top"]]
        above = [row for row in own if significant(row, 1)]
        if found["n"]:
            assert (int(found["n"]), int(found["of"])) == (len(above), len(own)) and above
        else:
            assert len(own) == len(above) == 1
        row = self.tables.model(found["top"], self.target, probe)
        self.check_value(found, row)
        assert not found["top"].startswith("baseline:")
        self.check_standing(found["top"], found["standing"] or "", self.target, probe)
        assert found["test"] is None or self.check_probe(found["test"], probe)

    def no_model(self, found):
        assert self.label_is(found["label"])
        probe = self.tables.probes(self.target)[0]
        tests = [
            row for row in self.tables.rows("layer vs knowing nothing", self.target, probe)
            if not row["model_a"].startswith("baseline:")
        ]  # fmt: skip
        assert tests and not any(significant(row, 1) for row in tests)
        assert p_is_shown(found["p"], min(float(row["p_holm"]) for row in tests))
        models = {row["model_a"] for row in tests}
        if found["n"]:
            assert int(found["n"]) == len(models) > 1
        else:
            assert models == {found["one"]}
        best = found["best"] or found["one"]
        row = self.tables.model(best, self.target, probe)
        self.check_value(found, row)
        main = self.main(self.target)
        scores = [
            float(self.tables.model(m, self.target, probe)[f"best_{main}_honest"] or "nan")
            for m in models
        ]
        known = [s for s in scores if not math.isnan(s)]
        assert not known or float(row[f"best_{main}_honest"]) == max(known)

    def unknown(self, found):
        assert self.label_is(found["label"])
        tests = self.tables.rows(
            "layer vs knowing nothing", self.target, self.tables.probes(self.target)[0]
        )
        assert all(row["model_a"].startswith("baseline:") for row in tests)


ELSEWHERE = (
    rf"; but (?P<how>raised|lowered) it by (?P<size>{NUMBER}) {BEST}, Holm p (?P<of_clear>{P})"
)
VALUE = rf"(?P<score>{SCORE}) (?P<value>{ESTIMATE})"
PATTERNS = {
    "too_few": rf"(?P<who>.+?): too few (?:speakers|folds) for a test against the "
    rf"(?P<nothing>{NOTHING}), best (?P<layer>\S+), (?:selection-corrected )?{VALUE}\.",
    "single": rf"(?P<who>.+?): (?P<layer>\S+){DECIDED} (?P<verb>is above|is below|is not clearly "
    rf"above) the (?P<nothing>{NOTHING}), {VALUE}, p (?P<p>{P})\.",
    "none_above": rf"(?P<who>.+?): no layer is clearly above the (?P<nothing>{NOTHING})"
    rf"(?:, (?P<below>\d+) of (?P<of>\d+) are clearly below)?, smallest p (?P<p>{P}), best "
    rf"(?P<layer>\S+){DECIDED}, selection-corrected {VALUE}\.",
    "above": rf"(?P<who>.+?): (?:(?P<n>\d+) of|all) (?P<of>\d+) layers (?:is|are) above the "
    rf"(?P<nothing>{NOTHING}), peak at (?P<layer>\S+?){DECIDED}"
    rf"(?P<excepted>, which is not clearly among them)?, selection-corrected {VALUE}"
    r"(?P<rest>; .+)?\.",
    "twins": rf"(?P<who>\S+ against its untrained twin [^,:]+)(?P<where>, [^:]+)?: {SCORE} "
    rf"(?P<place>{BEST}) (?P<verb>is higher, difference|is lower, difference|"
    rf"does not differ clearly,) (?P<value>{ESTIMATE}) \(p (?P<p>{P})\)\.",
    "highest": rf"(?P<where>[^:]+?: )?(?P<top>\S+) has the highest selection-corrected {SCORE}, "
    r"(?P<standing>.+)\.",
    "pairs": rf"Training (?P<verb>raised|lowered|did not clearly change) {SCORE} for "
    rf"(?P<label>.+?) {PLACE}:? ?(?P<told>.+?) \((?P<test>[^()]*paired over [^()]*?)"
    rf"(?:, Holm p (?P<p>{P})(?P<elsewhere>; but .+)?)?\)\.",
    "many_pairs": rf"Training raised {SCORE} for (?P<label>.+?) (?P<places>at the .+?) "
    r"in (?P<raised>\d+) of "
    r"(?P<of>\d+) pairs of trained and untrained models and lowered it in (?P<lowered>\d+) "
    r"\((?P<test>.+), Holm p < 0.05\)\.",
    "joined": rf"Training (?:(?P<trained>\S+) )?(?P<verb>raised|lowered) (?P<told>{SCORE} for .+), "
    rf"{PLACE}(?: against (?P<untrained>\S+))? "
    r"\(each paired over (?:speakers|folds), Holm p < 0.05\)\.",
    "predicts": rf"Model (?P<top>\S+) predicts (?P<label>.+?) with "
    rf"(?:selection-corrected )?{VALUE}, (?:(?P<n>\d+) of (?P<of>\d+) layers|its layer) "
    rf"above the (?P<nothing>{NOTHING}) "
    r"\(Holm p < 0.05\)(?:; it is (?P<standing>.+) \((?P<test>.+)\))?\.",
    "no_model": rf"(?:No layer of (?P<n>\d+) models is|(?:No layer of |Model )"
    rf"(?P<one>\S+) is(?: not)?) clearly above the (?P<nothing>{NOTHING}) in predicting "
    rf"(?P<label>.+?): (?:best is (?P<best>\S+), )?"
    rf"(?:selection-corrected )?{VALUE}, smallest Holm p (?P<p>{P})\.",
    "unknown": rf"Nothing can be said about (?P<label>.+?): no layer could be compared with the "
    rf"{NOTHING}, which takes .+\.",
}
