"""A synthetic corpus, spoken by espeak-ng."""
