"""The page of measured results."""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).with_name("RESULTS.md")


def write_section(name: str, text: str) -> None:
    """Replace what stands between the two comments of this name in RESULTS.md."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    before, rest = PAGE.read_text().split(begin)
    PAGE.write_text(before + begin + text + end + rest.split(end)[1])
