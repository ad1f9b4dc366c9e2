"""Filling an empty volume with what the image has at its mount point (copy-up).

Runs in a container's first process, where blocking hurts nobody. Copies by descriptor: names of an image are
never looked up as paths.
"""

from __future__ import annotations

import fcntl
import os
import stat

TYPE_CHECKING = False

_CHUNK_BYTES = 1 << 20


def copy_up(source: int, volume: str) -> None:
    """Copy the directory ``source`` (an O_PATH descriptor) into ``volume`` where that is empty.

    Two containers that start on one new volume take turns: the second finds it filled.
    """
    target = os.open(volume, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(target, fcntl.LOCK_EX)
        with os.scandir(target) as entries:
            if next(entries, None) is not None:
                return
        readable = os.open(f"/proc/self/fd/{source}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            copy_tree(readable, target)
        finally:
            os.close(readable)
    finally:
        os.close(target)


def copy_tree(source: int, target: int) -> None:
    """Copy all below one directory into another: owner, mode, times, xattrs, links, devices."""
    hard_links: dict[tuple[int, int], str] = {}
    _copy_children(source, target, "", hard_links, target)
    _copy_attributes(os.fstat(source), source, target)


def _copy_children(
    source: int, target: int, prefix: str, hard_links: dict[tuple[int, int], str], top: int
) -> None:
    for name in sorted(os.listdir(source)):
        state = os.stat(name, dir_fd=source, follow_symlinks=False)
        path = f"{prefix}{name}"
        kind = stat.S_IFMT(state.st_mode)
        if kind != stat.S_IFDIR and state.st_nlink > 1:
            earlier = hard_links.setdefault((state.st_dev, state.st_ino), path)
            if earlier != path:
                os.link(earlier, name, src_dir_fd=top, dst_dir_fd=target, follow_symlinks=False)
                continue
        if kind == stat.S_IFDIR:
            _copy_directory(source, target, name, path, hard_links, top, state)
        elif kind == stat.S_IFREG:
            _copy_file(source, target, name, state)
        elif kind == stat.S_IFLNK:
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
            os.chown(name, state.st_uid, state.st_gid, dir_fd=target, follow_symlinks=False)
        else:
            # The exact mode at once: chmod would follow a symlink put in its place by another who has the volume.
            umask = os.umask(0)
            os.mknod(name, state.st_mode, state.st_rdev, dir_fd=target)
            os.umask(umask)
            os.chown(name, state.st_uid, state.st_gid, dir_fd=target, follow_symlinks=False)


def _copy_directory(
    source: int,
    target: int,
    name: str,
    path: str,
    hard_links: dict[tuple[int, int], str],
    top: int,
    state: os.stat_result,
) -> None:
    os.mkdir(name, 0o700, dir_fd=target)
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    child = os.open(name, flags, dir_fd=source)
    try:
        copy = os.open(name, flags, dir_fd=target)
        try:
            _copy_children(child, copy, f"{path}/", hard_links, top)
            _copy_attributes(state, child, copy)
        finally:
            os.close(copy)
    finally:
        os.close(child)


def _copy_file(source: int, target: int, name: str, state: os.stat_result) -> None:
    reader = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source)
    try:
        writer = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=target)
        try:
            offset = 0
            while sent := os.sendfile(writer, reader, offset, _CHUNK_BYTES):
                offset += sent
            _copy_attributes(state, reader, writer)
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def _copy_attributes(state: os.stat_result, source: int, target: int) -> None:
    os.fchown(target, state.st_uid, state.st_gid)
    for name in os.listxattr(source):
        if not name.startswith("trusted.overlay."):
            try:
                os.setxattr(target, name, os.getxattr(source, name))
            except OSError:
                pass  # a file system without this attribute: the content is what matters
    os.fchmod(target, stat.S_IMODE(state.st_mode))
    os.utime(target, ns=(state.st_atime_ns, state.st_mtime_ns))
