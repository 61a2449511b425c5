"""Numbers fetched many at a time are all different, whoever asks for them."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from engine.workflows.unguessable import hex_digits


def test_no_number_is_handed_out_twice_to_threads_that_ask_at_once() -> None:
    one = hex_digits(16)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: one(), range(5_000)))
    assert len(set(found)) == 5_000
    assert {len(number) for number in found} == {16}
    assert set("".join(found)) == set("0123456789abcdef")


def test_a_forked_process_hands_out_numbers_of_its_own() -> None:
    one = hex_digits(20)
    one()  # the rest of what was fetched with it waits
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, one().encode())
        os._exit(0)
    os.waitpid(child, 0)
    told = os.read(reading, 20).decode()
    os.close(reading)
    os.close(writing)
    assert told not in {one() for _ in range(300)}
