"""Speech encoders of the transformers library."""
