"""From a spec to a plan: the corpus and the models are read, and everything is checked.

It may import ``sweep.spec``, ``sweep.plan`` and ``sweep.analyses``. To add a check, see
`sweep.prepare.checks`.
"""
