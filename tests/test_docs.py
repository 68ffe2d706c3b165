"""README and docs are true: commands run, options exist, links lead somewhere."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from settings import plugins
from tests import documents
from tests.conftest import ROOT, tone
from tests.documents import PAGES, blocks

SHORT = {"--max_epoch": "2", "--warmup_epochs": "1", "--test_interval": "1", "--max_frames": "40", "--batch_size": "16"}
SHELL = [block for page in PAGES for block in blocks(page) if block.language == "sh"]
MARKS = re.compile(r"|quick|not run: .+")


def slug(heading: str) -> str:
    """The anchor that a heading gets on the page."""
    kept = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
    return kept.strip().replace(" ", "-")


def test_the_readme_is_short_and_has_its_parts():
    text = documents.read("README.md")
    assert len(text.splitlines()) <= 200
    assert text.count("![") == 1 and "](docs/pictures/" in text
    hooks = ("on_epoch", "parameter_groups", "convert_state_dict", "weights_follow", "lengths", "min_utterances")
    assert all(hook in text for hook in hooks)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", documents.prose(page)):
        if target.startswith(("http://", "https://")):
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / page).parent / file if file else ROOT / page
        assert path.exists(), f"{page}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.M)
            assert anchor in map(slug, headings), f"{page}: {target}"


def test_every_page_is_reached_from_the_readme():
    text = documents.read("README.md")
    assert not [page for page in PAGES if page != "README.md" and page not in text and page.count("/") < 2]


@pytest.mark.parametrize("folder", ["models", "loss"])
def test_every_model_and_loss_has_a_line(folder):
    tracked = subprocess.run(["git", "ls-files", folder], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    missing = [name for name in plugins.names(folder) if f"{folder}/{name}.py" in tracked.split()]
    missing = [name for name in missing if f"| `{name}` |" not in documents.read("docs/training.md")]
    assert not missing, f"docs/training.md has no line for {missing}"


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_every_command_has_options_that_exist(block):
    assert MARKS.fullmatch(block.mark), f"{block}: <!-- {block.mark} --> means nothing"
    for words in block.commands():
        known = documents.options_of(words)
        if known is not None:
            given = {match[1] for word in words if (match := documents.OPTION.match(word))}
            assert given <= known | {"nproc_per_node"}, f"{block}: {sorted(given - known)} of {' '.join(words)}"


@pytest.mark.parametrize("page", PAGES)
def test_every_option_in_the_text_exists(page):
    named = {
        name for code in re.findall(r"`([^`]+)`", documents.prose(page)) for name in documents.OPTION.findall(code)
    }
    unknown = named - documents.all_options() - documents.NOT_OURS
    assert not unknown, f"{page}: {sorted(unknown)}"


@pytest.mark.parametrize("block", [block for block in SHELL if block.mark == "quick"], ids=str)
def test_quick_commands_run(block):
    run(block.text, ROOT)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A fresh copy of the project with what the pages take for granted: lists in my/, exps/mine and exps/demo."""
    folder = tmp_path_factory.mktemp("checkout")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "my").mkdir()
    (folder / "my/audio").symlink_to(folder / "data/demo")
    for name in ("train", "dev", "test"):
        header, *rows = (ROOT / f"data_lists/demo/{name}.csv").read_text().splitlines()
        (folder / f"my/{name}.csv").write_text("\n".join([header, *rows[:: 6 if name == "train" else 2], ""]))
    listed = [line.split(",") for line in (folder / "my/test.csv").read_text().splitlines()[1:]]
    trials = [f"{int(a[1] == b[1])} {a[0]} {b[0]}" for a, b in zip(listed, listed[1:], strict=False)]
    (folder / "my/trials.txt").write_text("\n".join(trials) + "\n")
    for name in ("a.wav", "b.flac"):
        soundfile.write(folder / name, tone(1, len(name)), 16_000)
    lists = "--train_list my/train.csv --dev_list my/dev.csv --test_list my/test.csv"
    run(shortened(f"python trainSpeakerNet.py --config configs/demo.yaml {lists}"), folder)
    shutil.copytree(folder / "exps/demo", folder / "exps/mine")
    return folder


def shortened(text: str) -> str:
    """Commands with trainings of seconds: the options of SHORT after each that trains and does not give them itself."""
    lines = text.replace("\\\n", " ").splitlines()
    for number, line in enumerate(lines):
        if "trainSpeakerNet.py " in line and "--eval" not in line and "--help" not in line:
            command, _, comment = line.partition("  #")
            words = [f"{name} {value}" for name, value in SHORT.items() if name not in command]
            lines[number] = " ".join([command, *words])
    return "\n".join(lines) + "\n"


def run(text: str, folder: Path) -> None:
    """Run a block as a shell with this Python first on the path would."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


@pytest.mark.docs
@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_run_in_order(page, checkout):
    if page == "README.md":
        shutil.rmtree(checkout / "exps/mine")  # the page makes it
    for block in blocks(page):
        if block.mark.startswith("not run"):
            continue
        if block.language == "sh":
            run(shortened(block.text), checkout)
        elif block.language == "python" and not block.mark.startswith("not run"):
            (checkout / "block.py").write_text(block.text)
            run("python block.py", checkout)


@pytest.mark.docs
def test_the_notebook_runs_from_top_to_bottom(checkout):
    cells = json.loads((checkout / "docs/first_steps.ipynb").read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert not [cell for cell in cells if cell.get("outputs")], "outputs are not stored: they would grow old"
    (checkout / "docs/cells.py").write_text("\n\n".join(code))
    run("cd docs && MPLBACKEND=Agg python cells.py", checkout)
