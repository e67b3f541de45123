"""Takes named members out of wheels and source distributions. Nothing else is unpacked, nothing is run.

No path of the archive reaches the disk: each member is read by the name we know and written
under the name we give it.
"""

from __future__ import annotations

import io
import shutil
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO


def unpack(archive: Path, members: Mapping[str, str], folder: Path) -> None:
    """Write each of ``members`` (path in the archive -> our name) into ``folder``.

    Raises :class:`KeyError` when the archive lacks one.
    """
    for member, name in members.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open("rb") as file, _member(file, member) as source, target.open("wb") as out:
            shutil.copyfileobj(source, out, 1 << 20)


@contextmanager
def _member(file: IO[bytes], member: str) -> Iterator[IO[bytes]]:
    """One file in an archive; ``a.tar.gz!b`` is ``b`` in the archive ``a.tar.gz`` in it."""
    outer, _, inner = member.partition("!")
    with _open(file, outer) as found:
        if inner:
            with _member(io.BytesIO(found.read()), inner) as deeper:
                yield deeper
        else:
            yield found


@contextmanager
def _open(file: IO[bytes], member: str) -> Iterator[IO[bytes]]:
    start = file.read(4)
    file.seek(0)
    if start.startswith(b"PK"):
        with zipfile.ZipFile(file) as wheel, wheel.open(member) as found:
            yield found
        return
    with tarfile.open(fileobj=file) as tar:
        entry = tar.getmember(member)
        found_file = tar.extractfile(entry) if entry.isreg() else None  # a link is followed nowhere
        if found_file is None:
            raise KeyError(f"{member} is not a file")
        with found_file:
            yield found_file
