"""The one scheduler: what is left of a plan, in which order it is done, and what is recorded.

``driver`` moves jobs from queues to an executor and knows no kind of work. To add a kind, write a
queue with the methods of ``sweep.work_queue.WorkQueue`` in a file of its own and add it to the list
in ``work``. Only ``sweep.commands`` imports this package.
"""
