"""The page that recordings are dropped on: its parts, and the whole of it in a real browser."""

import importlib.util
import json
import shutil
import socket
import time
import warnings
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from identification import serve
from identification.calibrate import calibrate
from identification.enrol import new_bank
from identification.examine import Limits, bounded
from identification.scores import prepare
from scoring.backends import learn
from settings.errors import ConfigError, DataError
from tests.browser import BROWSER
from tests.conftest import tone
from tests.identification.stub import StubModel

DRIVER = shutil.which("chromedriver")
MISSING = [name for name in ("gradio", "selenium") if importlib.util.find_spec(name) is None]
MISSING += [what for what, path in (("chromium", BROWSER), ("chromium-driver", DRIVER)) if path is None]


@pytest.fixture
def page_parts(tmp_path):
    """A calibrated bank of tones, the model, options, and the files known.wav, strange.wav, broken.wav and long.wav."""
    model, rows = StubModel(), {}
    for system in range(6):
        for utterance in range(8):
            path = tmp_path / f"{system}_{utterance}.wav"
            soundfile.write(path, tone(system, utterance, 1.0), 16_000)
            rows[str(path)] = (f"system {system}", model.embed_waveforms([soundfile.read(path, dtype="float32")[0]])[0])
    paths = list(rows)
    embeddings, labels = np.stack([rows[p][1] for p in paths]), [rows[p][0] for p in paths]
    enrolled = [n for n, path in enumerate(paths) if int(path[-5]) < 5 and labels[n] < "system 4"]
    others = [n for n, path in enumerate(paths) if int(path[-5]) >= 5]
    part = [[column[n] for n in enrolled] for column in (labels, paths)]
    backend = learn("cosine", embeddings[enrolled], part[0])
    bank = new_bank(embeddings[enrolled], *part, backend=backend, checkpoint="d1", model="m")
    dev = calibrate(prepare(bank), embeddings[others], [labels[n] for n in others], source="dev")
    soundfile.write(tmp_path / "known.wav", tone(2, 40, 3.0), 16_000)
    soundfile.write(tmp_path / "strange.wav", tone(5, 40, 3.0), 16_000)
    soundfile.write(tmp_path / "long.wav", tone(2, 41, 30.0), 16_000)
    (tmp_path / "broken <b>.wav").write_bytes(b"RIFF" + bytes(100))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = Namespace(bank="bank.npz", scale=None, audio=None, most_seconds=20.0, port=port)
    return replace(bank, calibration=dev), model, options


def test_one_recording_becomes_an_answer_pictures_and_neighbours(page_parts, tmp_path):
    page = serve.Page(*page_parts)
    html, over_time, spectrum, *near = page.one(str(tmp_path / "known.wav"))
    assert "supports system 2 over another system" in html and "made by" not in html
    assert over_time.axes and spectrum.axes
    assert all("near: system 2" in title and sound[0] == 16_000 for title, sound in near)
    assert "unknown: no system" in page.one(str(tmp_path / "strange.wav"))[0]


def test_broken_and_long_files_are_answered_kindly(page_parts, tmp_path):
    page = serve.Page(*page_parts)
    html, *rest = page.one(str(tmp_path / "broken <b>.wav"))
    assert "broken &lt;b&gt;.wav</b> cannot be examined" in html and "<b>.wav" not in html
    assert str(tmp_path) not in html and rest == [None] * 5
    assert "at most 20 s are taken" in page.one(str(tmp_path / "long.wav"))[0]
    assert "first" in page.one(None)[0]


def test_several_recordings_become_a_table(page_parts, tmp_path):
    page = serve.Page(*page_parts)
    html, table = page.several([str(tmp_path / name) for name in ("known.wav", "broken <b>.wav")])
    assert "cannot be examined" in html
    lines = Path(table).read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("path,seconds,verdict") and any(
        "known.wav,3.000,system 2,1,system 2" in x for x in lines
    )
    assert page.several(["x"] * 201)[1] is None


def test_a_header_that_claims_little_is_not_believed(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(0, 0, 3.0), 16_000)
    with pytest.raises(DataError, match="at most 2 s"):
        bounded(str(tmp_path / "a.wav"), Limits(2.0))


def test_without_gradio_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gradio", None)
    with pytest.raises(ConfigError, match="requirements-serve.txt"):
        serve.imported_gradio()


@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
def test_a_browser_drops_a_file_and_reads_the_answer(page_parts, tmp_path):
    from selenium import webdriver
    from selenium.webdriver.common.by import By

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1100,2000"):
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={tmp_path / 'profile'}")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # gradio's and its libraries' own
        made = serve.serve(*page_parts, block=False)
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
        try:
            driver.get(f"http://127.0.0.1:{page_parts[2].port}/")
            wait(lambda: driver.find_elements(By.CSS_SELECTOR, "input[type=file]"))
            assert "genuine speech is not excluded" in driver.page_source
            driver.find_elements(By.CSS_SELECTOR, "input[type=file]")[0].send_keys(str(tmp_path / "known.wav"))
            wait(lambda: driver.find_elements(By.CSS_SELECTOR, "#waveform, audio, canvas"))
            time.sleep(1)
            driver.find_element(By.ID, "examine").click()
            wait(lambda: "supports system 2" in driver.find_element(By.ID, "answer").text)
            time.sleep(1)
            driver.save_screenshot(str(tmp_path / "page.png"))
            asked = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
        finally:
            driver.quit()
            made.close()
    requested = [m["params"] for m in asked if m["method"] == "Network.requestWillBeSent"]
    own = f"http://127.0.0.1:{page_parts[2].port}/"
    away = {p["requestId"]: p["request"]["url"] for p in requested if p["request"]["url"].startswith("http")}
    away = {number: url for number, url in away.items() if not url.startswith(own)}
    failed = {m["params"]["requestId"]: m["params"] for m in asked if m["method"] == "Network.loadingFailed"}
    for number, url in away.items():  # gradio's page asks for it elsewhere; the browser must not fetch it
        assert failed[number].get("blockedReason") == "csp", url
    assert len(requested) > len(away)


def wait(until, seconds=40):
    """Raises where `until()` is not true in time."""
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "the page did not answer in time"
        time.sleep(0.2)
