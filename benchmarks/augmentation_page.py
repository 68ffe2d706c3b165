"""One HTML file that lets one hear and see every kind of augmentation and every copy, sounds and pictures inside it."""

import base64
import html
import io
import re
from collections.abc import Callable

import numpy as np
import soundfile
from matplotlib.figure import Figure

from corpus.audio import SAMPLE_RATE, load_audio
from corpus.augmentation.kinds import parameters
from corpus.copies import copied
from corpus.vocoders import stft

SECONDS = 3.0
DRAWS = (1, 2)  # generators' seeds: a kind is shown twice
STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #1d2430;
       background: #fbfbfa; }
h1 { font-size: 1.5rem; margin-bottom: .2rem } h2 { font-size: 1.05rem; margin: 0 }
p { margin: .2rem 0 .6rem; color: #4a5362 } code { font-size: .92em }
section { border-top: 1px solid #dcdfe4; padding: 1rem 0 }
.draws { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1rem }
figure { margin: 0 } img, audio { width: 100%; display: block } audio { height: 2.2rem; margin-top: .3rem }
"""


def page(path: str, kinds: dict[str, Callable], copies: list[str]) -> str:
    """The page, made of one utterance."""
    samples = load_audio(path)
    crop = np.resize(samples, int(SECONDS * SAMPLE_RATE))
    parts = [section("original", f"<code>{html.escape(path)}</code>", [crop])]
    for kind, change in kinds.items():
        made = [change(crop, np.random.default_rng(seed)) for seed in DRAWS]
        parts.append(section(kind, described(kind, change), made))
    for name in copies:
        parts.append(
            section(f"copy {name}", "a class of its own: system@" + name, [copied(samples, name)[: len(crop)]])
        )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Augmentation, heard and seen</title><style>{STYLE}</style></head>
<body><h1>Augmentation, heard and seen</h1>
<p>Every kind at its default parameters, drawn twice, on one synthetic utterance; then the copies. Spectrograms show
80 dB below the loudest; sounds louder than full scale are scaled down.</p>
{"".join(parts)}</body></html>
"""


def described(kind: str, change: Callable) -> str:
    """What a kind does and its parameters' defaults."""
    text = " ".join((change.func.__doc__ or "").split())
    given = [f"{name} {shown(p.default)}" for name, p in parameters(kind).items() if name != "path"]
    text = re.sub("`(.*?)`", r"<code>\1</code>", html.escape(text))
    return text + (f"<br><code>{html.escape(', '.join(given))}</code>" if given else "")


def shown(default: object) -> str:
    """A default as a recipe would have it."""
    several = isinstance(default, tuple) and len(set(default)) > 1
    return f"[{', '.join(map(str, default))}]" if several else str(np.ravel(default)[0])


def section(title: str, text: str, sounds: list[np.ndarray]) -> str:
    figures = "".join(figure(f"{title} {number}", samples) for number, samples in enumerate(sounds, 1))
    return f'<section><h2>{html.escape(title)}</h2><p>{text}</p><div class="draws">{figures}</div></section>\n'


def figure(name: str, samples: np.ndarray) -> str:
    """Spectrogram and sound of (T,) samples."""
    sound = io.BytesIO()
    soundfile.write(sound, samples / max(1.0, np.abs(samples).max()), SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return (
        f'<figure><img alt="spectrogram of {html.escape(name)}" '
        f'src="data:image/webp;base64,{encoded(picture(samples))}">'
        f'<audio controls preload="none" src="data:audio/wav;base64,{encoded(sound.getvalue())}"></audio></figure>'
    )


def picture(samples: np.ndarray) -> bytes:
    """WebP of a spectrogram."""
    level = 20 * np.log10(np.abs(stft(samples)).T + 1e-6)
    drawn = Figure(figsize=(4.6, 1.7), dpi=100, layout="constrained")
    axes = drawn.subplots()
    extent = (0, len(samples) / SAMPLE_RATE, 0, SAMPLE_RATE / 2000)
    top = max(level.max(), -60)
    axes.imshow(level, origin="lower", aspect="auto", extent=extent, vmin=top - 80, vmax=top, cmap="magma")
    axes.set_ylabel("kHz", fontsize=8)
    axes.set_xlabel("s", fontsize=8)
    axes.tick_params(labelsize=7)
    file = io.BytesIO()
    drawn.savefig(file, format="webp", pil_kwargs={"quality": 70})
    return file.getvalue()


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()
