"""Gain of a layer over nuisance variables: banded ridge regression with and without the layer.

May import everything up to `jobs.probing`. To add a nuisance, add its name to
`settings.NUISANCES`.
"""
