"""Targets: the quantities that probes predict, from transcripts and from audio."""
