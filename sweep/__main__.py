"""``python -m sweep``."""

from sweep.commands.app import main

main()
