"""Jobs as Ray actors and tasks. The only package of ``jobs`` that imports ray."""
