"""Specs with random damage: what typing errors, editors, merges and enemies make of a YAML file."""

import random
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

SPECS = tuple(sorted((Path(__file__).parents[2] / "specs").glob("*.yaml")))

_LAUGHS = "[&a0 [x, x], " + ", ".join(
    f"&a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)
) + "]"  # fmt: skip
_MERGES = "{a: &m0 {k: v}, " + ", ".join(
    f"b{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 9)}]}}" for n in range(1, 12)
) + "}"  # fmt: skip

GENTLE = (
    "2", "3", "5", "0.5", "[cps]", "[duration, cps]", "[{kind: ridge}]",
    "[{kind: cca}, {kind: knn}]",
    "{kind: ridge, alphas: [1]}", "{kind: mlp, seeds: 2}", "fbank", "[fbank]", "[shuffled]",
    "mean+std",
    "float16", "channels", "[stem, -1]", "['layer*']", "{part: test}", "{max_frames: 100}", "'0'",
    "{name: b, kind: wespeaker, architecture: SimAM_ResNet34_ASP, seed: 9}", "{gpus: 1, cpus: 2}",
    "0", "1", "100", "200", "1.5", "a", "train", "test", "true", "null", "[train, test]",
    "all", "[mean]",
    "[duration]", "[speaker]", "[sex]", "[energy]", "{kind: logistic}", "{kind: mdl}",
    "{kind: knn}",
    "{kind: kfold, folds: 3}", "{kind: splits}", "{train: 4, validation: 3, test: 3}", "-1",
)  # fmt: skip
"""What may well be right where another value stood."""

NASTY = (
    # Nothing, and other types.
    "", "null", "~", "true", "no", "0", "-1", "1.5", "[]", "{}", "''", "[[]]", "{a: 1}", "[1, a]",
    "{kind: null}", "{kind: [a]}", "{kind: {a: b}}", "[null]", "[{}]", "{1: 2}", "{null: 1}",
    # Numbers that are none, or too many.
    ".nan", ".inf", "-.inf", "1e400", "-0.0", "9223372036854775808", "1" * 400, "1" * 5000,
    "1e308", "0x7fffffffffffffff", "1_000_000_000", "1:30:00", "1000000000000", "5e-324",
    "1e30", "1" + "0" * 30, "-1e30", "2147483648", "[true]", "[.inf]", "[.nan, 1]", "[1, 1]",
    "[-1]", "false", "[1e30]", "[0]", "{a: .inf}", "{width: .nan}", "[0.5, 0.5]",
    # Dates and tags.
    "2020-01-01", "2020-13-40", "2020-01-01 25:61:00", "!!binary aGVsbG8=", "!!set {a, b}",
    "!!omap [a: 1]", "!!timestamp x", "!!int x", "!!float x", "!!bool x", "!!str 1", "!x y",
    "!!python/object/apply:os.system ['exit 1']", "!!python/name:os.system", "!!merge x",
    # Text.
    '"\\0"', '"a\\0b"', '"\\ud800"', '"\\U0001F600"', '"\\x1b[31m"', "'../../../x'", "/etc/passwd",
    "/dev/zero", "/dev/stdin", "~nobody_of_this_name/x", "~", "'*'", "'**'", "'['", "'[!'",
    "'layer[0-'", '"\\u200b"', '"\\u202e"', "'  '", "\u0661", "\u00b2", "m" + "\u0308" * 40,
    "'$(exit 1)'", "'<script>'", "\u202eabc", "e\u0301", "\u00a0", "x" * 300,
    "x" * 70_000, "/" + "x/" * 3_000, "'%s{0}'", "baseline:duration", "mean predictor", "all",
    # Anchors, aliases, nesting.
    "&a [*a]", "&a {b: *a}", "*nowhere", "&a", "{<<: 1}", "{<<: [1, 2]}", "{<<: {a: 1}}",
    _LAUGHS, _MERGES, f"{{a: {_LAUGHS}, kind: *a11}}", f"{{a: {_LAUGHS}, b: *a11}}",
    "[" * 200 + "]" * 200, "[" * 5_000 + "]" * 5_000, "{a: " * 3_000 + "1" + "}" * 3_000,
    # Kinds, with all or nothing beside.
    "{kind: librispeech, root: /, splits: {train: ''}}", "{kind: csv, path: /dev/null}",
    "{kind: csv, path: {train: .}}",
    "{kind: lhotse, splits: {a: {recordings: x, supervisions: y}}}",
    "{kind: espeak, speakers: {}, utterances_per_speaker: 0}",
    "{kind: espeak, speakers: {train: 1000000000}, utterances_per_speaker: 1}",
    "{kind: espeak, speakers: {train: 2}, utterances_per_speaker: 1000000000}",
    "{kind: kfold, folds: 1000000000}", "{kind: kfold, folds: 3, group: chapter_id}",
    "{kind: kfold, folds: 3, group: chapter_id, allow_speaker_overlap: true}",
    "{kind: splits, train: a, test: a}", "{kind: mlp, seeds: 1000000000}", "{kind: logistic}",
    "{kind: mlp, hidden: [1000000000]}", "{kind: knn}", "{kind: mdl}",
    "[cps, speaker, sex, energy]",
    "{resamples: 100000000}", "{utterances: 1000000000}", "{measures: [cka, cka]}",
)  # fmt: skip
"""What is hardly ever right."""

_ENDS = ("\t", "\r", "\x00", "\x85", "\u2028", "\ufeff", "{", "}", "[", "]", ":", "- ", "? ", "|",
         ">", "&a ", "*a ", "!!", "#", "%", "@", "`", "'", '"', "---\n", "...\n", "<<: *a\n",
         "\n")  # fmt: skip


def mutated(random_: random.Random) -> bytes:
    """One of the project's specs after one to four random edits."""
    text = random_.choice(SPECS).read_text(encoding="utf-8")
    if random_.random() < 0.4:
        for _ in range(random_.choice((0, 1, 1, 2))):
            edit = random_.choice((_replace_gently, _replace_gently, _move_node))
            text = edit(text, random_)
        return text.encode()
    for _ in range(random_.choice((1, 1, 2, 3, 4))):
        edit = random_.choices(
            (
                _replace_node,
                _replace_key,
                _move_node,
                _delete_node,
                _edit_line,
                _insert,
                _add_key,
                _set_number,
            ),
            weights=(8, 2, 3, 2, 3, 2, 2, 2),
        )[0]
        text = edit(text, random_)
    data = text.encode("utf-8", "surrogatepass")
    return _damage_bytes(data, random_) if random_.random() < 0.1 else data


def override(random_: random.Random) -> str:
    """An argument of ``--set``."""
    keys = ("probes.\u00b2.x", "probes.\u0661.kind", f"probes.{'9' * 5000}.x", "probes.-1.kind",
            "probes.0.alphas", "features.pad_to", "similarity.seed", "name", "models.0.name",
             "models.0.seed", "models.9.x", "probes.0", "corpus.root", "",
            "layers", "layers.0", "targets.0.a", "compute.probe.cpus", "a.b.c", ".", "0",
            "bootstrap")  # fmt: skip
    equals = random_.choice(("=", "=", "=", "=", "", "=="))
    return f"{random_.choice(keys)}{equals}{random_.choice(NASTY)}"


def _replace_node(text: str, random_: random.Random) -> str:
    return _with(text, random_, lambda _: random_.choice(NASTY), values=True)


def _replace_gently(text: str, random_: random.Random) -> str:
    return _with(text, random_, lambda _: random_.choice(GENTLE), values=True)


def _replace_key(text: str, random_: random.Random) -> str:
    names = ("kind", "name", "seed", "root", "path", "kinds", "<<", "1", "null", "[a]", "{a: b}",
             "? a", "''", "true", ".nan", "2020-01-01", "\u00e9", '"\\0"')  # fmt: skip
    return _with(text, random_, lambda _: random_.choice(names), values=False)


def _move_node(text: str, random_: random.Random) -> str:
    """Put what stands in one place into another, as a slip with the clipboard does."""
    others = list(_spans(text, values=True))
    if not others:
        return text
    start, end = random_.choice(others)
    return _with(text, random_, lambda _: text[start:end], values=True)


def _delete_node(text: str, random_: random.Random) -> str:
    return _with(text, random_, lambda _: "", values=random_.random() < 0.5)


def _add_key(text: str, random_: random.Random) -> str:
    keys = ("targets", "layers", "features", "pooling", "dtype", "protocol", "controls",
            "baselines", "bootstrap", "similarity", "compute", "save_probes", "models",
            "unknown")  # fmt: skip
    return f"{text}\n{random_.choice(keys)}: {random_.choice(NASTY)}\n"


_PROBES: Mapping[str, tuple[str, ...]] = {
    "ridge": ("alphas", "choose", "name"), "knn": ("k", "metric"),
    "cca": ("variance", "components"), "mdl": ("precision", "seeds"), "logistic": ("alphas",),
    "mlp": ("hidden", "dropout", "learning_rate", "weight_decay", "epochs", "batch_size",
            "patience", "seeds", "standardise"),
}  # fmt: skip
_SECTIONS: Mapping[str, tuple[str, ...]] = {
    "features": ("max_frames", "pad_to", "crop"), "bootstrap": ("resamples",),
    "similarity": ("utterances", "seed", "measures", "part"),
    "tempo": ("factors", "utterances", "seed", "targets"),
    "compute": ("timeout", "give_up_after", "extractor", "probe"),
}  # fmt: skip


def _set_number(text: str, random_: random.Random) -> str:
    """Give a key of a probe or a section, most of which are numbers, a value that is hardly one."""
    if random_.random() < 0.5:
        kind = random_.choice(sorted(_PROBES))
        key = random_.choice(_PROBES[kind])
        return _with_section(text, "probes", f"[{{kind: {kind}, {key}: {random_.choice(NASTY)}}}]")
    section = random_.choice(sorted(_SECTIONS))
    key = random_.choice(_SECTIONS[section])
    return _with_section(text, section, f"{{{key}: {random_.choice(NASTY)}}}")


def _with_section(text: str, section: str, value: str) -> str:
    """Replace a section, as a second one would be refused whatever its value is."""
    kept = re.sub(rf"(?ms)^{section}:.*?(?=^\w|\Z)", "", text)
    return f"{kept}\n{section}: {value}\n"


def _edit_line(text: str, random_: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    at = random_.randrange(len(lines)) if lines else 0
    line = lines[at : at + 1]
    kept = random_.choice(([], line * 2, ["  ", *line], ["\t", *line], ["# ", *line],
                           [one[random_.randrange(5) :] for one in line]))  # fmt: skip
    return "".join([*lines[:at], *kept, *lines[at + 1 :]])


def _insert(text: str, random_: random.Random) -> str:
    at = random_.randrange(len(text) + 1)
    return text[:at] + random_.choice((*_ENDS, chr(random_.randrange(1, 0xD800)))) + text[at:]


def _damage_bytes(data: bytes, random_: random.Random) -> bytes:
    if not data or random_.random() < 0.5:
        return data[: random_.randrange(len(data) + 1)]
    damaged = bytearray(data)
    damaged[random_.randrange(len(data))] = random_.randrange(256)
    return bytes(damaged)


def _with(text: str, random_: random.Random, change: Callable[[str], str], *, values: bool) -> str:
    spans = list(_spans(text, values=values))
    if not spans:
        return text
    start, end = random_.choice(spans)
    return text[:start] + change(text[start:end]) + text[end:]


def _spans(text: str, *, values: bool) -> Iterator[tuple[int, int]]:
    """Where the values of a YAML text stand, or its keys; nowhere if it is no YAML any more."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError):
        return
    seen: set[int] = set()
    stack: list[Any] = [node]
    while stack:
        one = stack.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, yaml.MappingNode):
            for key, value in one.value:
                if not values:
                    yield key.start_mark.index, key.end_mark.index
                stack.append(value)
        elif isinstance(one, yaml.SequenceNode):
            stack.extend(one.value)
        if values and one is not node:
            start, end = one.start_mark.index, one.end_mark.index
            yield start, start + len(text[start:end].rstrip())
