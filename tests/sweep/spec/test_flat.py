"""Values of a spec by dotted key."""

from sweep.spec.flat import flat_values


def test_items_are_called_by_name_or_kind_where_these_tell_them_apart() -> None:
    values = {
        "models": [{"name": "a", "seed": 1}, {"name": "b", "seed": None}],
        "probes": [{"kind": "ridge", "name": None}, {"kind": "mlp", "hidden": [8, 4]}],
        "same": [{"kind": "x"}, {"kind": "x"}],
        "targets": ["cps", "duration"],
        "empty": {},
    }
    assert dict(flat_values(values)) == {
        "models.a.name": "a", "models.a.seed": "1", "models.b.name": "b", "models.b.seed": "null",
        "probes.ridge.kind": "ridge", "probes.ridge.name": "null", "probes.mlp.kind": "mlp",
        "probes.mlp.hidden": "[8, 4]", "same.0.kind": "x", "same.1.kind": "x",
        "targets": "[cps, duration]", "empty": "{}",
    }  # fmt: skip


def test_secrets_are_masked() -> None:
    found = dict(flat_values({"a": {"api_token": "opensesame", "url": "http://me:pw@host/x"}}))
    assert found == {"a.api_token": "***", "a.url": "http://***@host/x"}
