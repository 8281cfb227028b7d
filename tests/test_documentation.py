"""The API reference is built from the docstrings, without a warning."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import stream

ROOT = Path(__file__).parents[1]


def test_api_reference(tmp_path: Path) -> None:
    (command,) = re.findall(r"\$\(PYTHON\) (-m pdoc .+)", (ROOT / "Makefile").read_text())
    (modules,) = re.findall(r"^DOCUMENTED := (.+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    command = command.replace("docs/api", str(tmp_path)).replace("$(DOCUMENTED)", modules)
    done = subprocess.run(
        [sys.executable, "-W", "error", *command.split()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    pages = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.html")}
    assert {f"{module.replace('.', '/')}.html" for module in modules.split()} <= pages
    page = (tmp_path / "stream.html").read_text()
    for name in stream.__all__:
        assert f'id="{name}"' in page
