"""The scheduler: the remaining work of a plan, its order, and the record of its results.

``driver`` moves jobs from queues to an executor, independent of their kind. To add a kind, write a
queue with the methods of ``sweep.work_queue.WorkQueue`` in its own file and add it to the list
in ``work``. Only ``sweep.commands`` imports this package.
"""
