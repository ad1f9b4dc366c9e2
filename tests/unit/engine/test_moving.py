"""The digest of a volume's files: what counts, and what is only the archive's."""

from __future__ import annotations

import io
import tarfile
from typing import Any

import pytest

from composer.engine.moving.content import Summed, digest
from composer.errors import CopyFailed

Files = list[tuple[str, dict[str, Any], bytes]]
FILES: Files = [
    ("volume", {"type": tarfile.DIRTYPE, "mode": 0o755}, b""),
    ("volume/a", {"mode": 0o640, "uid": 5, "gid": 6, "mtime": 7}, b"text"),
    ("volume/b", {"type": tarfile.LNKTYPE, "linkname": "volume/a"}, b""),
    ("volume/l", {"type": tarfile.SYMTYPE, "linkname": "a"}, b""),
    ("volume/p", {"type": tarfile.FIFOTYPE}, b""),
]


def archive(files: Files) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, attributes, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in attributes.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def of(files: Files) -> str:
    return digest([archive(files)])


def test_the_order_and_the_form_do_not_count() -> None:
    swapped: Files = [
        FILES[0],
        ("volume/b", FILES[1][1], b"text"),
        ("volume/a", {"type": tarfile.LNKTYPE, "linkname": "volume/b"}, b""),
        *FILES[3:],
    ]
    data = archive(FILES)
    assert of([FILES[0], *reversed(FILES[3:]), *FILES[1:3]]) == of(FILES)
    assert digest(data[at : at + 7] for at in range(0, len(data), 7)) == of(FILES)
    assert of([(name, {**attributes, "uname": "x"}, text) for name, attributes, text in FILES]) == of(FILES)
    # which of the names has the contents is the archive's choice, and the digest knows the file under that name
    assert of(swapped) != of([FILES[0], *FILES[3:]])


@pytest.mark.parametrize(
    "change",
    [
        {"mode": 0o600},
        {"uid": 0},
        {"gid": 0},
        {"mtime": 8},
        {"pax_headers": {"SCHILY.xattr.security.capability": "x"}},
    ],
)
def test_every_attribute_counts(change: dict[str, Any]) -> None:
    name, attributes, text = FILES[1]
    assert of([FILES[0], (name, {**attributes, **change}, text), *FILES[2:]]) != of(FILES)


def test_contents_links_and_names_count() -> None:
    name, attributes, _ = FILES[1]
    others: list[Files] = [
        [FILES[0], (name, attributes, b"test"), *FILES[2:]],
        [*FILES[:2], *FILES[3:]],
        [*FILES[:3], ("volume/l", {"type": tarfile.SYMTYPE, "linkname": "b"}, b""), FILES[4]],
        [*FILES[:4], ("volume/q", {"type": tarfile.FIFOTYPE}, b"")],
        FILES[:4],
    ]
    found = {of(files) for files in others}
    assert len(found) == len(others)
    assert of(FILES) not in found


def test_a_stream_is_summed_on_its_way() -> None:
    data = archive(FILES)
    summed = Summed([data[:100], data[100:]])
    assert b"".join(summed) == data
    assert summed.digest == of(FILES)
    broken = Summed([b"no archive" * 100])
    assert b"".join(broken) == b"no archive" * 100  # who receives it says so too
    with pytest.raises(CopyFailed, match="cannot read the archive"):
        _ = broken.digest
