"""Protocols: their settings, the folds they make, cells and the files of predictions.

May import `jobs.arrays`, `jobs.settings` and `jobs.storage`. A new protocol is a settings class in
`settings.py` and its branch of `make_folds` and `check_speakers` in `folds.py`.
"""
