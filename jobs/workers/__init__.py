"""Ray actors and tasks that run any job, and what a node reports about itself.

With ``sweep.executors`` the only package that may import Ray. It knows no kind of job: a new one
needs nothing here.
"""
