"""The modules of the package from one file: found by a look into a table, and read in one call.

    composer/__pycache__/modules.cpython-311.bundle     a table {module: where, and of which source}, and their code

Finding and reading modules one by one is a tenth of a short command. A module is loaded from here only while its
source has the size and modification time in the table. Any other is imported as usual, and the command adds it to the
bundle when it ends, where it may write there. The code is that of the ``.pyc`` files, in whose directory it lies, and
as trustworthy as these.
"""

from __future__ import annotations

import _frozen_importlib
import _frozen_importlib_external
import atexit
import marshal
import os
import sys
import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.machinery import ModuleSpec
    from typing import Any

    Entry = tuple[bool, int, int, int, int, int]
    Table = dict[str, Entry]

_PACKAGE = __name__.partition(".")[0]
_BELOW = f"{_PACKAGE}."
_HEAD = 16
"""Bytes before the table: the interpreter's magic number, the checksum of the table, and its length."""
_MOST_BYTES = 1 << 26


class _Loader(_frozen_importlib_external.SourceFileLoader):
    """Loads a module's code from the bundle; all else is as for any module."""

    def __init__(self, name: str, path: str, code: bytes) -> None:
        super().__init__(name, path)
        self._code = code

    def get_code(self, fullname: str) -> Any:
        data, self._code = self._code, b""  # once: a long command need not keep it
        return marshal.loads(data) if data else super().get_code(fullname)


class Bundle:
    """A finder (https://docs.python.org/3/reference/import.html) for the modules in a bundle."""

    def __init__(self, root: str, path: str) -> None:
        self._root, self._path = root, path
        self._fd, self._begin = -1, 0
        self._table: Table = {}
        self._missed: set[str] = set()
        try:
            self._fd, self._begin, self._table = _opened(path)
        except (OSError, ValueError):
            pass  # there is none yet, or none of this interpreter, or the disk has torn it

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if not name.startswith(_BELOW):
            return None
        entry = self._table.get(name)
        source = source_of(self._root, name, is_package=entry[0]) if entry is not None else ""
        code = self._code(source, entry) if entry is not None else None
        if entry is None or code is None:
            self._missed.add(name)
            return None
        is_package = entry[0]
        spec = _frozen_importlib.ModuleSpec(
            name, _Loader(name, source, code), origin=source, is_package=is_package
        )
        spec.has_location = True
        if is_package:
            spec.submodule_search_locations = [os.path.dirname(source)]
        return spec

    def _code(self, source: str, entry: Entry) -> bytes | None:
        _, mtime_ns, size, offset, length, checksum = entry
        try:
            found = os.stat(source)
            if (found.st_mtime_ns, found.st_size) != (mtime_ns, size):
                return None
            code = os.pread(self._fd, length, self._begin + offset)
        except OSError:
            return None
        return code if len(code) == length and zlib.crc32(code) == checksum else None

    def renew(self) -> None:
        """Write a bundle that also has what this command had to import from elsewhere."""
        missed = dict(self._codes(self._missed & sys.modules.keys()))
        if not missed:
            return
        known = {*self._table, *_names(self._path)}  # others may have added theirs meanwhile
        try:
            _write(self._path, {**dict(self._codes(known - missed.keys())), **missed})
        except OSError:
            return  # the package belongs to somebody else, or there is no room: it goes without

    def _codes(self, names: set[str]) -> Iterator[tuple[str, tuple[bool, int, int, bytes]]]:
        for name in sorted(names):
            for is_package in (True, False):
                source = source_of(self._root, name, is_package=is_package)
                try:
                    found = os.stat(source)
                    with open(_frozen_importlib_external.cache_from_source(source), "rb") as file:
                        compiled = file.read()
                except OSError:
                    continue
                head = (int(found.st_mtime) & 0xFFFFFFFF, found.st_size & 0xFFFFFFFF)
                stated = tuple(int.from_bytes(compiled[at : at + 4], "little") for at in (4, 8, 12))
                if compiled[:4] == _magic()[:4] and stated == (0, *head):
                    yield name, (is_package, found.st_mtime_ns, found.st_size, compiled[16:])


def use() -> None:
    """Load the package's modules from its bundle from now on, and update the bundle when this process ends."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    cached = _frozen_importlib_external.cache_from_source(f"{root}/{_PACKAGE}/modules.py")
    made = Bundle(root, f"{cached.removesuffix('.pyc')}.bundle")
    sys.meta_path.insert(0, made)
    if not sys.dont_write_bytecode and os.access(os.path.dirname(cached), os.W_OK):
        atexit.register(made.renew)


def source_of(root: str, name: str, *, is_package: bool) -> str:
    path = f"{root}/{name.replace('.', '/')}"
    return f"{path}/__init__.py" if is_package else f"{path}.py"


def _magic() -> bytes:
    return _frozen_importlib_external.MAGIC_NUMBER.ljust(8, b"\0")


def _opened(path: str) -> tuple[int, int, Table]:
    """Return a bundle's descriptor, where its code begins, and its table. Raises OSError or ValueError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        head = os.pread(fd, _HEAD, 0)
        length = int.from_bytes(head[12:], "little")
        if head[:8] != _magic() or not 0 < length < _MOST_BYTES:
            raise ValueError("it is of another interpreter")
        data = os.pread(fd, length, _HEAD)
        if zlib.crc32(data).to_bytes(4, "little") != head[8:12]:
            raise ValueError("it is damaged")
        table: Table = marshal.loads(data)
    except BaseException:
        os.close(fd)
        raise
    return fd, _HEAD + length, table


def _names(path: str) -> Iterator[str]:
    """Yield the names of the modules in the bundle as it is now."""
    try:
        fd, _, table = _opened(path)
    except (OSError, ValueError):
        return
    os.close(fd)
    yield from table


def _write(path: str, codes: dict[str, tuple[bool, int, int, bytes]]) -> None:
    if not codes:
        return
    table: Table = {}
    offset = 0
    for name, (is_package, mtime_ns, size, code) in codes.items():
        table[name] = (is_package, mtime_ns, size, offset, len(code), zlib.crc32(code))
        offset += len(code)
    data = marshal.dumps(table)
    temporary = f"{path}.{os.getpid()}"
    if os.path.lexists(temporary):
        os.unlink(temporary)  # of a process of that number that was killed
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        with open(fd, "wb") as file:
            file.write(
                _magic() + zlib.crc32(data).to_bytes(4, "little") + len(data).to_bytes(4, "little") + data
            )
            for *_, code in codes.values():
                file.write(code)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
