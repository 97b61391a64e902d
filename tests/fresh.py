"""An environment as a user has it: fresh, with artgen and torch in it, and without a network."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ARTGEN = "from artgen.cli.main import main\nif __name__ == '__main__':\n    main()\n"
PIP = """import importlib.util, runpy, sys
if sys.argv[1] == "install":
    sys.argv.insert(2, "--no-build-isolation")  # hatchling is here already
    if "-e" in sys.argv and not importlib.util.find_spec("editables"):
        sys.argv.remove("-e")  # for which hatchling wants one package more; with a network, pip would fetch it
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""
# Pictures, steps and networks so small that a run takes a second or two.
TINY = (
    *("--device", "cpu", "--set", "data.atelier.count=24", "--set", "phase=[{images=48,batch=8}]"),
    *("--set", "run.preview_images=16", "--set", "run.preview_pictures=4", "--set", "run.evaluate_samples=16"),
    *("--set", "run.precision=fp32"),
)


class Fresh:
    """A virtual environment that borrows what the running interpreter has, and in which packages may be installed.

    Borrowing is a line in a `.pth` file: torch need not be installed again, and artgen is found as it is installed
    here, editable or not, with its entry points.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        venv.create(folder / "venv", with_pip=importlib.util.find_spec("pip") is None, symlinks=os.name != "nt")
        paths = sysconfig.get_paths("venv", {"base": str(folder / "venv"), "platbase": str(folder / "venv")})
        self.bin, site = Path(paths["scripts"]), Path(paths["purelib"])
        lent = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
        lines = [f"import site; site.addsitedir({path!r})" for path in lent]
        (site / "lent.pth").write_text("\n".join(lines), encoding="utf-8")
        for name, code in (("artgen", ARTGEN), ("pip", PIP)):
            script = self.bin / name
            script.write_text(f"#!{self.bin / 'python'}\n{code}")
            script.chmod(0o755)
        own = {key: value for key, value in os.environ.items() if not key.startswith(("ARTGEN_", "PIP_"))}
        self.environment = own | {
            "PATH": f"{self.bin}{os.pathsep}{own['PATH']}",
            "VIRTUAL_ENV": str(folder / "venv"),
            "ARTGEN_CACHE": str(folder / "cache"),
            "NO_COLOR": "1",
            "OMP_NUM_THREADS": "1",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_CACHE_DIR": "1",
            "PIP_NO_INDEX": "1",
        }

    def run(self, command: str, where: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Type a command; stdout and stderr come together, as a reader sees them."""
        return subprocess.run(
            command, shell=True, cwd=where, env=self.environment | environment, text=True, timeout=300,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def shown(self, command: str, where: Path, **environment: str) -> str:
        """What a command prints that must succeed."""
        done = self.run(command, where, **environment)
        assert done.returncode == 0, f"$ {command}\n{done.stdout}"
        return done.stdout
