"""WeSpeaker's speaker networks."""
