"""The scheduler: what is left to do, in which order, and what becomes of it."""
