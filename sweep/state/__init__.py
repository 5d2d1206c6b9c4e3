"""A run on disk while it is written: folder, ledger, events, leases, mirror on an object store.

Imports ``sweep.spec``, ``sweep.errors`` and ``jobs.storage``, and no package that computes. To keep
leases elsewhere, write another ``lease.LeaseStore``.
"""
