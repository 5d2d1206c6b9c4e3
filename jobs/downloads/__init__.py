"""Downloads: verified and resumed transfers, safe unpacking, and the catalogue of names."""
