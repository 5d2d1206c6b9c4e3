"""Make the screenshots of live view and page: ``python -m tests.screenshots [RUN]``.

The live view is an SVG: a run's events are replayed up to the middle of its work; without a run,
constructed events are, so that every machine makes the same images. The page is that of the run, or
the one that ``make demo`` has made.
"""

import argparse
import io
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from rich.console import Console

from sweep.progress.state import Progress
from sweep.progress.view import view
from sweep.state.events import Event, read_events
from sweep.state.run_folder import RunFolder
from tests.screenshots.page import screenshot_of_page
from tests.support.live_states import START, failing, running, state

FOLDER = Path("results/example/screenshots")
DEMO = Path("results/demo")
SIZES = ((80, 24), (120, 30), (200, 50))
MIDDLE = 0.6
"""Share of the time from the plan to the report, at which a run is shown."""


def main() -> None:
    """Write an SVG of each size, and one of a run in which a model fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.screenshots", description=__doc__)
    parser.add_argument("run", nargs="?", type=Path, help="folder of a run")
    parser.add_argument("--to", type=Path, default=FOLDER, help="folder of the images")
    given = parser.parse_args()
    given.to.mkdir(parents=True, exist_ok=True)
    if given.run is None:
        seconds = 130.0
        shown, now = state(running(), seconds), START + timedelta(seconds=seconds)
    else:
        shown, now = middle_of(read_events(RunFolder(given.run).events))
    for width, height in SIZES:
        title = f"sweep run {shown.run}"
        screenshot(shown, now, width, height, title, given.to / f"live-{width}.svg")
    failed, later = state(failing()), START + timedelta(seconds=66)
    screenshot(failed, later, 120, 30, "sweep run demo", given.to / "live-failing.svg")
    page = RunFolder(given.run or DEMO).report
    if page.exists():
        screenshot_of_page(page, given.to / "page.png")
    else:
        print(f"no picture of a page, as there is no {page}: make demo")


def middle_of(events: Iterable[Event]) -> tuple[Progress, datetime]:
    """Replay the last run among ``events`` up to the middle of its work."""
    every = list(events)
    begins = [n for n, event in enumerate(every) if event["kind"] == "planned"]
    times = [datetime.fromisoformat(event["time"]) for event in every[begins[-1] :]]
    now = times[0] + MIDDLE * (times[-1] - times[0])
    progress = Progress()
    for event in every:
        if datetime.fromisoformat(event["time"]) <= now:
            progress.update(event)
    return progress, now


def screenshot(
    progress: Progress, now: datetime, width: int, height: int, title: str, to: Path
) -> None:
    """Draw the view as a terminal of this size shows it."""
    console = Console(
        file=io.StringIO(), width=width, height=height, record=True, force_terminal=True
    )
    console.print(view(progress, now, width, height - 1))
    # An id of its own, not a random one: the same view gives the same file. Fonts are those of the
    # reader's machine: an image asks no server for anything.
    drawn = console.export_svg(title=title, unique_id=to.stem)
    to.write_text(re.sub(r"\s*@font-face \{.*?\}", "", drawn, flags=re.DOTALL), encoding="utf-8")


if __name__ == "__main__":
    main()
