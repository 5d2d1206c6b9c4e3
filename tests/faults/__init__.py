"""What dies, breaks or is damaged while a sweep runs, and what must come out all the same."""
