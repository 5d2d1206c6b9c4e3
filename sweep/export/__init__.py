"""A finished run as the speech-rate study's own files, and what the study left, read back."""
