"""Pieces of recordings: what a path says is what was meant, to the sample."""

from pathlib import Path

import pytest

from jobs.audio.segments import Span, at_tempo, split_span, split_tempo


@pytest.mark.parametrize(
    ("start", "end"), [(0.0, 1.5), (1 / 3, 2 / 3), (12.000_000_4, 13.7), (3600.123456, 3601.5)]
)
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_a_span_comes_back_from_its_path(start, end, rate):
    span = Span(start, end)
    file, found = split_span(span.of(Path("/a/b.flac")))
    assert (file, found) == (Path("/a/b.flac"), span)
    assert found.samples(rate, 10**9) == span.samples(rate, 10**9)
    assert span.samples(rate, 10**9)[0] == pytest.approx(start * rate, abs=0.6)


@pytest.mark.parametrize("path", ["/a/b.wav", "/a/b.wav#t=", "b#t=1", "#t=1,2", "b#t=1,2.wav"])
def test_other_paths_are_files(path):
    assert split_span(path) == (Path(path), None)


def test_a_span_that_exceeds_its_file_by_a_little_is_cut_at_both_ends():
    assert Span(0.5, 1.1).samples(16_000, 16_000) == (8_000, 8_000)
    assert Span(-0.001, 0.5).samples(16_000, 16_000) == (0, 8_000)
    assert Span(-0.1, 1.1).samples(16_000, 16_000) == (0, 16_000)
    with pytest.raises(ValueError, match="beyond the end"):
        Span(0.5, 1.11).samples(16_000, 16_000)
    with pytest.raises(ValueError, match="before the start: expected a piece from 0 s on"):
        Span(-0.11, 0.5).samples(16_000, 16_000)


def test_a_span_that_was_cut_at_its_start_comes_back_from_its_path():
    assert split_span(Span(-0.05, 0.5).of(Path("/a/b.wav"))) == (Path("/a/b.wav"), Span(0.0, 0.5))


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_a_span_without_ends_is_refused(odd):
    with pytest.raises(ValueError, match="no piece: expected seconds"):
        Span(0.0, odd).samples(16_000, 16_000)


@pytest.mark.parametrize(("start", "end"), [(0.5, 0.5), (0.7, 0.5), (1.01, 1.02)])
def test_an_empty_span_is_refused(start, end):
    with pytest.raises(ValueError, match="empty piece"):
        Span(start, end).samples(16_000, 16_000)


@pytest.mark.parametrize("path", ["/a/b.flac", "/a/b.flac#t=0.500000,1.250000", "/a/tempo=2"])
@pytest.mark.parametrize("factor", [0.5, 0.8, 1.1, 1.25, 2.0])
def test_a_tempo_comes_back_from_its_path_and_leaves_the_piece_as_it_is(path, factor):
    named = at_tempo(path, factor)
    assert split_tempo(named) == (path, factor)
    assert split_span(named) == split_span(path)
    assert split_tempo(path) == (path, None)


def test_a_file_that_is_called_so_is_a_file(tmp_path):
    path = tmp_path / "a#tempo=0.8"
    path.touch()
    assert split_tempo(str(path)) == (str(path), None)
    assert split_span(path) == (path, None)
