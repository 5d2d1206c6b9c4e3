"""Statistics: scores, intervals, differences and the tables made of them. Pure functions.

May import `jobs.arrays`, `jobs.protocol` and `jobs.ties`. A new statistic is a row of
`jobs.statistics.scores.SCORES` and its function.
"""
