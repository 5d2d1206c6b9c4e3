"""How busy a machine is, from files as Linux writes them."""

from pathlib import Path

from jobs.workers.usage import UsageMeter

STAT = "cpu  {user} 0 100 {idle} 50 0 0 0 0 0\ncpu0 1 0 1 1 0\ncpu1 1 0 1 1 0\nintr 5\n"
MEMORY = "MemTotal:  1000 kB\nMemFree:  100 kB\nMemAvailable:  600 kB\n"


def write(proc: Path, user: int, idle: int) -> None:
    (proc / "stat").write_text(STAT.format(user=user, idle=idle))


def test_busy_is_measured_between_two_looks(tmp_path: Path) -> None:
    (tmp_path / "sys/kernel/random").mkdir(parents=True)
    (tmp_path / "sys/kernel/random/boot_id").write_text("a-machine\n")
    (tmp_path / "meminfo").write_text(MEMORY)
    write(tmp_path, user=100, idle=1000)
    meter = UsageMeter(tmp_path)
    write(tmp_path, user=175, idle=1025)  # 75 of 100 ticks
    usage = meter.look()
    assert usage is not None
    assert (usage.machine, usage.cpus, usage.busy) == ("a-machine", 2, 1.5)
    assert (usage.memory_used, usage.memory) == (400 * 1024, 1000 * 1024)
    write(tmp_path, user=175, idle=2025)
    again = meter.look()
    assert again is not None and again.busy == 0


def test_a_system_that_does_not_say_is_not_guessed(tmp_path: Path) -> None:
    assert UsageMeter(tmp_path).look() is None
    write(tmp_path, user=1, idle=1)
    meter = UsageMeter(tmp_path)
    assert meter.look() is None


def test_this_machine_says() -> None:
    usage = UsageMeter().look()
    assert usage is None or (0 <= usage.busy <= usage.cpus and usage.memory_used <= usage.memory)
