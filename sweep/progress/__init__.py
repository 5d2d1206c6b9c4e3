"""Progress of a run, from its events to a terminal."""
