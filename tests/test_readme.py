"""The examples of README and MIGRATING run, print what is said, and the two commands are there."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

PAGES = [Path(__file__).parents[1] / name for name in ("README.md", "MIGRATING.md")]
README, MIGRATING = [page.read_text(encoding="utf-8") for page in PAGES]
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README + MIGRATING, re.MULTILINE | re.DOTALL)


def run(block: str, folder: Path) -> None:
    script = folder / "readme.py"
    script.write_text(block, encoding="utf-8")
    runpy.run_path(str(script))


def test_the_first_example_prints_what_the_readme_says(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    shown = re.search(r"^prints\n\n```text\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert shown is not None
    run(BLOCKS[0], tmp_path)
    assert capsys.readouterr().out == shown[1]


def test_the_first_example_has_ten_lines() -> None:
    assert len([line for line in BLOCKS[0].splitlines() if line.strip()]) == 10


@pytest.mark.parametrize("number", range(1, len(BLOCKS)))
def test_every_other_example_runs(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # for the files that examples write
    if "import torch" in BLOCKS[number]:
        pytest.importorskip("torch", reason="needs the extra `torch`")
    run(BLOCKS[number], tmp_path)


@pytest.mark.parametrize(
    "command", ["pip install . && python -m tensornet", "pip install -e '.[test]' && pytest"]
)
def test_the_set_up_commands_stand_there_to_be_copied(command: str) -> None:
    assert f"`{command}`" in README
