"""Gives competitors their environments: FOLDER/.venv with what FOLDER/requirements.txt pins.

python install.py [FOLDER ...]    folders below this one; without any, those of the personalisation benchmark
"""

import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PERSONALISATION = ("loop", "flower", "pfl")


def install(folder: Path) -> None:
    """Create the environment anew and install into it; paths in the requirements start at the repository's root."""
    environment = folder / ".venv"
    venv.create(environment, clear=True, with_pip=True)
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "--requirement", str(folder / "requirements.txt")], cwd=ROOT, check=True)


def main() -> None:
    """Install what the command line names."""
    folders = [HERE / name for name in sys.argv[1:] or PERSONALISATION]
    for folder in folders:
        if not (folder / "requirements.txt").is_file():
            sys.exit(f"{folder}: holds no requirements.txt")
    for folder in folders:
        print(f"{folder.relative_to(HERE)} ...", file=sys.stderr, flush=True)
        install(folder)


if __name__ == "__main__":
    main()
