"""Targets: the quantities that probes predict, computed from transcripts or measured in audio.

Imports ``jobs.audio``, ``jobs.corpus`` and ``jobs.storage``. To add a target, add a row to
``registry.TARGETS`` with its unit and, if it needs the waveform, a row to
``measurements.MEASUREMENTS``.
"""
