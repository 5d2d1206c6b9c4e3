"""Probing: fits and scores every cell of a layer.

`ProbeJob` is the job of one layer. Optional analyses add parts to it, see `jobs.probing.parts`; a
new part is a dataclass with ``start``, in a module of its own.
"""
