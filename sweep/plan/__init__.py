"""The plan of a run: its cells, activation sets and identities."""
