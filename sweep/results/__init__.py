"""A run on disk as Python values: tables, predictions and activations."""
