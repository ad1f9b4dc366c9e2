"""The beginning of the one-file program: unpacks itself once for each Python, then runs from there.

    common/…      what all versions of Python share
    cp311/…       compiled for one of them
    DIGEST        of everything else: the name of the directory that it is unpacked to

Only the standard library is there yet. Unpacking is safe beside others and against kills: what is complete gets its
name, and nothing else has it.
"""

import os
import shutil
import sys
import tempfile
import zipfile

VERSIONS = ((3, 11), (3, 12), (3, 13))


def main():
    check_interpreter()
    archive = os.path.abspath(sys.argv[0])
    place = unpacked(archive)
    sys.path[0] = place  # in place of the archive
    sys.argv[0] = archive
    from composer.__main__ import main as program

    program()


def check_interpreter():
    names = ", ".join(f"{major}.{minor}" for major, minor in VERSIONS)
    if sys.implementation.name != "cpython" or sys.version_info[:2] not in VERSIONS:
        found = f"{sys.implementation.name} {sys.version.split()[0]}"
        sys.exit(
            f"composer: this file is for CPython {names}, not {found}: run it with another, or install the package"
        )
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        sys.exit("composer: this file is for Linux on x86-64: install the package instead")


def unpacked(archive):
    """Return the directory that has everything; make it the first time."""
    own = f"cp{sys.version_info[0]}{sys.version_info[1]}/"
    with zipfile.ZipFile(archive) as packed:
        digest = packed.read("DIGEST").decode()
        place = os.path.join(cache(), f"{digest[:16]}-{own[:-1]}")
        if os.path.isdir(place):
            return place
        os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
        fresh = tempfile.mkdtemp(prefix="unpacking-", dir=os.path.dirname(place))
        try:
            unpack(packed, own, fresh)
            os.rename(fresh, place)
        except OSError:
            shutil.rmtree(fresh, ignore_errors=True)
            if not os.path.isdir(place):  # nobody else was faster
                raise
    return place


def unpack(packed, own, target):
    for name in packed.namelist():
        for part in ("common/", own):
            if name.startswith(part) and not name.endswith("/"):
                path = os.path.join(target, name[len(part) :])
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with packed.open(name) as source, open(path, "wb") as file:
                    shutil.copyfileobj(source, file)


def cache():
    base = os.environ.get("XDG_CACHE_HOME")
    if not base:
        home = os.environ.get("HOME") or "/root"
        base = os.path.join(home, ".cache")
    return os.path.join(base, "composer", "program")


main()
