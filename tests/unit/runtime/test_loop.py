"""The supervisor's loop: what is ready is told to who watches it, and to nobody else."""

from __future__ import annotations

import os

from composer.runtime.base.loop import Loop


def _raise(error: BaseException) -> None:
    raise error


def test_what_was_ready_is_not_said_of_the_next_holder_of_its_number() -> None:
    loop, heard = Loop(_raise), list[str]()
    first, second, empty = os.pipe(), os.pipe(), os.pipe()
    os.write(first[1], b"x")
    os.write(second[1], b"x")

    def replace(own: int, other: int) -> None:
        """Whichever comes first closes both, and the number of the other is given to a pipe with nothing in it."""
        for fd in (own, other):
            loop.forget(fd)
            os.close(fd)
        os.dup2(empty[0], other)
        loop.watch(other, lambda _: heard.append("nothing is in there"))
        loop.after(0.02, loop.stop)

    loop.watch(first[0], lambda _: replace(first[0], second[0]))
    loop.watch(second[0], lambda _: replace(second[0], first[0]))
    loop.run()
    loop.close()
    assert heard == []


def test_a_timer_may_be_years_ahead() -> None:
    """Docker's clients say so for a stop that may take for ever."""
    loop, reader, writer = Loop(_raise), *os.pipe()
    years = loop.after(10 * 365 * 86_400, loop.stop)
    os.write(writer, b"x")
    loop.watch(reader, lambda _: loop.stop())
    loop.run()
    loop.close()
    assert years.call is not None


def test_a_descriptor_that_is_watched_anew_is_heard_in_the_next_round() -> None:
    loop, heard = Loop(_raise), list[str]()
    reader, writer = os.pipe()
    os.write(writer, b"x")

    def again(_: int) -> None:
        heard.append("first")
        loop.forget(reader)
        loop.watch(reader, lambda _: (heard.append("second"), loop.stop())[0])

    loop.watch(reader, again)
    loop.run()
    loop.close()
    assert heard == ["first", "second"]
