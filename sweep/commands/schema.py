"""``sweep schema``."""

from sweep.commands.options import exit_codes


def schema() -> None:
    """Print the JSON schema of specs, by which editors complete and check them."""
    with exit_codes():
        from sweep.commands.print_schema import schema_text

        print(schema_text(), end="")
