"""Reading a whole text file, gzipped or not, with errors that name the file and the line."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections import Counter
from pathlib import Path
from typing import IO, Any, AnyStr, NoReturn

from ..errors import FormatError

__all__ = ["MAX_BYTES", "Source", "Text", "parse_json", "read_text"]

Source = str | os.PathLike[str] | IO[str] | IO[bytes]

MAX_BYTES = 2**28
"""The longest text that is read, in bytes after decompression: a guard, not a promise."""

_GZIP_MAGIC = b"\x1f\x8b"


class Text:
    """The text of one file, and the name that its errors carry."""

    def __init__(self, name: str, body: str) -> None:
        self.name = name
        self.body = body

    @property
    def stem(self) -> str:
        """The file's base name without a `.gz` ending and without its format's ending."""
        base = os.path.basename(self.name)
        return Path(base.removesuffix(".gz")).stem

    def fail(self, line: int | None, message: str) -> NoReturn:
        """Raise FormatError for `line` (counted from 1; None where no line is to blame)."""
        where = self.name if line is None else f"{self.name}:{line}"
        raise FormatError(f"{where}: {message}")

    def line_of_token(self, token: int) -> int:
        """The line of the whitespace-separated token number `token`, or the last line.

        Only errors ask, so the lines are counted again instead of being remembered.
        """
        lines = self.body.split("\n")
        seen = 0
        last = 1
        for number, line in enumerate(lines, start=1):
            count = len(line.split())
            seen += count
            if seen > token:
                return number
            if count:
                last = number
        return last


def read_text(source: Source, *, max_bytes: int = MAX_BYTES) -> Text:
    """Read a path or an open file; gzip is recognised by its content, not by its name.

    Raises:
        FormatError: not text, a broken gzip stream, or more than `max_bytes` of text (which
            is never decompressed in full).
        OSError: the file cannot be opened or read.
    """
    if isinstance(source, (str, os.PathLike)):
        name = os.fspath(source)
        with open(name, "rb") as file:
            return _decode(name, _read(name, file, max_bytes))
    name = str(getattr(source, "name", "<file>"))
    raw = source.read(max_bytes + 1)
    if isinstance(raw, str):
        return Text(name, _limited(name, raw, max_bytes))
    return _decode(name, _limited(name, raw, max_bytes))


def parse_json(text: Text) -> Any:
    """The value that a text in JSON is.

    Raises:
        FormatError: broken JSON, a key that an object has twice, brackets too deep or numbers too
            long to be meant.
    """
    try:
        return json.loads(text.body, object_pairs_hook=_distinct)
    except FormatError as error:
        text.fail(None, str(error))
    except json.JSONDecodeError as error:
        text.fail(error.lineno, f"not JSON: {error.msg} (column {error.colno})")
    except RecursionError:
        text.fail(None, "brackets nested too deeply for a network")
    except ValueError:
        text.fail(None, "a number with too many digits")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        repeated = Counter([key for key, _ in pairs]).most_common(1)[0][0]
        raise FormatError(f"the key {repeated[:40]!r} comes twice in one object")
    return found


def _read(name: str, file: IO[bytes], max_bytes: int) -> bytes:
    magic = file.read(len(_GZIP_MAGIC))
    file.seek(0)
    if magic != _GZIP_MAGIC:
        return _limited(name, file.read(max_bytes + 1), max_bytes)
    try:
        with gzip.GzipFile(fileobj=file) as unzipped:
            return _limited(name, unzipped.read(max_bytes + 1), max_bytes)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FormatError(f"{name}: broken gzip stream ({error})") from None


def _limited(name: str, raw: AnyStr, max_bytes: int) -> AnyStr:
    if len(raw) > max_bytes:
        raise FormatError(f"{name}: holds more than {max_bytes} bytes of text, the most accepted")
    return raw


def _decode(name: str, raw: bytes) -> Text:
    try:
        body = raw.decode("utf-8-sig")
        bad = body.find("\0")
    except UnicodeDecodeError as error:
        body, bad = raw[: error.start].decode("utf-8", "replace"), error.start
    if bad >= 0:
        line = raw.count(b"\n", 0, bad) + 1
        raise FormatError(f"{name}:{line}: not a text file")
    return Text(name, body)
