"""Speech encoders of the transformers library.

To add a model type, add a row to `model.MODEL_TYPES`.
"""
