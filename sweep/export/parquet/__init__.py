"""A finished run as parquet and safetensors, with a card: a folder that is ready for a data hub.

`write` decides what is written, `folder` guards what is already there, and the other modules write
one kind of file each.
"""
