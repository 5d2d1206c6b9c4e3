"""Optional analyses, one module each."""
