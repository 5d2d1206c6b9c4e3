"""A run on disk while it is written: folder, ledger, events, leases."""
