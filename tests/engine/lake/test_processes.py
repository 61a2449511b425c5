"""A process is known to be dead only where that is certain."""

from __future__ import annotations

import subprocess
import sys

from engine.lake import processes

TELL = "from engine.lake import processes; print(processes.this_process(), flush=True); input()"


def test_another_process_is_alive_until_it_ends_and_dead_from_then_on() -> None:
    other = subprocess.Popen([sys.executable, "-c", TELL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    name = other.stdout.readline().strip()
    assert not processes.is_dead(name)
    other.kill()
    other.wait()
    other.communicate()
    assert processes.is_dead(name)
    assert not processes.is_dead(processes.this_process())


def test_a_number_that_was_given_to_a_later_process_is_not_the_earlier_one() -> None:
    machine, number, began = processes.this_process().rsplit("/", 2)
    assert processes.is_dead(f"{machine}/{number}/{int(began) - 1}")


def test_of_another_machine_nobody_knows() -> None:
    _, number, began = processes.this_process().rsplit("/", 2)
    assert not processes.is_dead(f"elsewhere/{number}/{began}")
    assert not processes.is_dead("no name of a process")
