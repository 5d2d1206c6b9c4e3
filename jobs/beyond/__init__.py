"""What a layer adds to nuisances: banded ridge regression on the nuisances with and without it.

May import everything up to `jobs.probing`. To add a nuisance, add its name to
`settings.NUISANCES`.
"""
