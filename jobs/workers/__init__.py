"""Ray actors and tasks that run any job, and what a node reports about itself.

Only this package and ``sweep.executors`` may import Ray. It is independent of the kinds of jobs: a
new kind needs no change here.
"""
