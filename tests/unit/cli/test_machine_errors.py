"""What the machine refuses is said in one line with a remedy, and is no bug of ours."""

from __future__ import annotations

import errno

import pytest

from composer.errors import MachineFailed, OperationFailed, of_the_machine


@pytest.mark.parametrize(
    "number",
    [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EMFILE, errno.EIO, errno.ENAMETOOLONG, errno.EDQUOT],
)
def test_what_the_machine_refuses_names_the_file_and_a_remedy(number: int) -> None:
    found = of_the_machine(OSError(number, "x", "/some/where"))
    assert isinstance(found, MachineFailed)
    assert "'/some/where'" in str(found) and found.hint and "Errno" not in str(found)
    failed = OperationFailed("create container a", OSError(number, "x", b"/some/where"))
    assert isinstance(failed.cause, MachineFailed) and "'/some/where'" in str(failed)


def test_what_nobody_foresaw_stays_what_it_is() -> None:
    for error in (OSError(errno.EBADF, "x"), ValueError("x"), KeyError("x")):
        assert of_the_machine(error) is error
