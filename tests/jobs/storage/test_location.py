import sys
from pathlib import Path

import pytest

from jobs.storage.location import LocationError, RemotePath, Stat, parse_location


@pytest.mark.parametrize("text", ["results/x", "/a/b", "s3:/bucket/x", Path("a/b")])
def test_what_is_no_url_is_a_path(text):
    assert parse_location(text) == Path(text)


def test_a_url_is_joined_and_taken_apart_like_a_path():
    place = parse_location("s3://bucket/runs/") / "demo" / "a.csv"
    assert str(place) == "s3://bucket/runs/demo/a.csv"
    assert place.name == "a.csv"
    assert place.parent == parse_location("s3://bucket/runs/demo")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("http://host/x", "http:// is not known: expected a path, s3:// or gs://"),
        ("s3://key:secret@bucket/x", "credentials come from the environment"),
        ("s3://bucket/x?versionId=1", "a query"),
        ("s3://bucket", "names no folder"),
        ("s3://", "names no folder"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_repeating_secrets(text, message):
    with pytest.raises(LocationError, match=message) as refused:
        parse_location(text)
    assert "secret" not in str(refused.value)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(LocationError, match="pip install gcsfs"):
        parse_location("gs://bucket/x")


def test_two_looks_at_a_place_are_the_same_place():
    seen = RemotePath("s3://b/x", {"a": Stat(1, "v")})
    assert seen == RemotePath("s3://b/x")
    assert hash(seen) == hash(RemotePath("s3://b/x"))
    assert (seen / "a").listing == {"": Stat(1, "v")}
    assert (seen / "b").listing == {}
