"""Files that are there as a whole: written beside their place, then moved into it."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

__all__ = ["replacing"]


@contextlib.contextmanager
def replacing(
    path: str | os.PathLike[str], draft: Path | None = None, *, last: bool = True
) -> Iterator[Path]:
    """A block that writes a draft, which at its end takes the place of `path` at once.

    Whoever reads `path` meanwhile, or after a crash, finds the old file or the new one. If the
    block raises, the draft is removed and `path` is as it was. A symbolic link stays one, and
    permissions stay; what is no file (a device, a pipe) is written to directly.

    Args:
        path: the file to write.
        draft: where to write first, in the same folder; a name of its own if left out.
        last: wait until the new file would survive a loss of power.

    Yields:
        the path to write to.

    Raises:
        OSError: the folder cannot be written to.
    """
    place = Path(path)
    if draft is None:
        place = Path(os.path.realpath(place))
        draft = place.with_name(f".{uuid.uuid4().hex}.tmp")
    if place.exists() and not place.is_file():
        yield place
        return
    try:
        yield draft
        if place.exists():
            shutil.copymode(place, draft)
        if last:
            _sync(draft)
        os.replace(draft, place)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    if last:
        with contextlib.suppress(OSError):  # not every system can do that with a folder
            _sync(place.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
