"""Networks that work until their trap is set: a fault that comes in the middle of a sweep."""

from pathlib import Path
from typing import Any

from sweep.state.events import Event

NETWORK = '''
import os
import signal
from pathlib import Path
from time import sleep

import torch


class Network(torch.nn.Module):
    """Linear; as long as its trap is there, or once, it does what the trap is named after."""

    def __init__(self, trap, once):
        super().__init__()
        self.trap = Path(trap)
        self.once = once
        self.stem = torch.nn.Linear(80, 4)

    def forward(self, x):
        if not self.trap.exists():
            return self.stem(x)
        if self.once:
            self.trap.unlink(missing_ok=True)
        if self.trap.name == "raises":
            raise ValueError("a mistake of the network")
        if self.trap.name == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.trap.name == "hangs":
            sleep(3600)
        if self.trap.name == "memory":
            torch.empty(2**58, dtype=torch.uint8)
        return self.stem(x * float("nan"))
'''


class Traps:
    """Models named after what they do, and the files that make them do it.

    Args:
        folder: where the module and the traps are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._traps: list[Path] = []
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "trapped_network.py").write_text(NETWORK)

    def model(self, name: str, *, once: bool = False) -> dict[str, Any]:
        """An entry of ``models``, its trap not set."""
        self._traps.append(self._folder / name)
        return {
            "name": name, "kind": "python", "factory": "trapped_network:Network",
            "folder": str(self._folder), "input": "fbank", "taps": ["stem"], "time_axis": 1,
            "args": {"trap": str(self._folder / name), "once": once},
        }  # fmt: skip

    def set_when_planned(self, event: Event) -> None:
        """A listener: the plan is made by a network that works."""
        if event["kind"] == "planned":
            for trap in self._traps:
                trap.touch()

    def left(self) -> list[str]:
        """Those that nothing took."""
        return [trap.name for trap in self._traps if trap.exists()]

    def remove(self) -> None:
        """From now on all networks work."""
        for trap in self._traps:
            trap.unlink(missing_ok=True)
