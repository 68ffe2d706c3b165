"""A checkpoint alone is enough to analyse with it, and Ctrl-C ends a command with one line."""

import signal
import subprocess
import sys

import pytest

import analyse
import trainSpeakerNet
from tests.conftest import ROOT, command
from tests.models.speech_models import save_tiny

SLOW = """
import sys, time
sys.path.insert(0, {root!r})
import {command}
import {module} as module

def started(*words):
    print("started", flush=True)
    time.sleep(60)

module.{name} = started
sys.exit({command}.main(sys.argv[1:]))
"""


def test_a_speech_model_s_checkpoint_needs_no_pretrained_weights(options, corpus, tmp_path):
    pretrained = tmp_path / "pretrained"
    pretrained.mkdir()
    save_tiny(pretrained)
    speech = {"model": "Wav2Vec2AASIST", "ssl_path": pretrained, "max_frames": 100, "batch_size": 4}
    assert trainSpeakerNet.main(command(options | speech)) == 0
    for file in pretrained.glob("*.safetensors"):  # the configuration stays: it says what to build
        file.unlink()
    words = ["--checkpoint", options["save_path"] / "model" / "best.model", "--list", corpus / "dev.csv"]
    words += ["--path", corpus, "--device", "cpu", "--out", tmp_path / "out"]
    assert analyse.main(["confusions", *map(str, words)]) == 0
    assert (tmp_path / "out" / "cosines.png").exists()


@pytest.mark.parametrize(
    ("command", "module", "name", "words"),
    [
        ("dataprep", "preparation.commands", "measure_all", ["audit", "l.csv", "--path", "."]),
        ("analyse", "analysis.embeddings", "read", ["confusions", "x.npz"]),
    ],
)
def test_ctrl_c_is_status_130_and_one_line(tmp_path, command, module, name, words):
    (tmp_path / "l.csv").write_text("path,model_name\na.wav,x\n")
    code = SLOW.format(root=str(ROOT), command=command, module=module, name=name)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": tmp_path}
    heard = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731 whoever started the tests may ignore it
    with subprocess.Popen([sys.executable, "-c", code, *words], preexec_fn=heard, **pipes) as process:
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "interrupted\n")
