"""A run on disk as Python values: tables, predictions and activations.

`Run` reads a run folder and never writes to it. It imports the plan, the state and the analyses of
`sweep`; reports and exports read runs through it alone.
"""
