from sweep.executors.inline import InlineExecutor
from sweep.spec.schema import Compute


def test_an_inline_executor_without_jobs_has_nothing_to_tell() -> None:
    executor = InlineExecutor(Compute())
    executor.help_stragglers()
    assert executor.wait(1) == []
