"""A real headless browser, where there is one, to open pages with."""

import shutil
import subprocess
from pathlib import Path

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def rendered(path: Path, profile: Path, width: int = 1280) -> str:
    """The document as the browser has it after its scripts ran."""
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
    flags.append(f"--window-size={width},900")
    command = [BROWSER, *flags, "--virtual-time-budget=3000", "--dump-dom", path.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, check=True).stdout
