"""From a spec to a checked utterance table and a plan."""
