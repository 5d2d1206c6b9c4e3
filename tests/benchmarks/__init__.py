"""The project's speed as ratios measured in one run: a report, never a test."""
