"""``sweep status``."""

import json

from sweep.commands.options import AsJson, RunPath, exit_codes


def status(run: RunPath, as_json: AsJson = False) -> None:
    """Show where a run stands, from its files."""
    from sweep.commands.print_status import print_status, status_values
    from sweep.results.records import RunRecords

    with exit_codes():
        records = RunRecords.open(run)
        if as_json:
            print(json.dumps(status_values(records), indent=1))
        else:
            print_status(records)
