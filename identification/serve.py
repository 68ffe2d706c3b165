"""A page on 127.0.0.1 to drop recordings on. Nothing leaves the machine: no analytics, no fonts from elsewhere."""

import argparse
import logging
import os
import tempfile
from pathlib import Path

from identification.answers import Answer, read_prior
from identification.bank import Bank
from identification.examine import NEAREST, Examined, Limits, as_html, audible, examine, over_time, spectrogram
from identification.output import as_csv, header, limits
from identification.scores import prepare
from identification.verbal import read_scale
from settings.errors import ConfigError
from SpeakerNet import TracingModel

log = logging.getLogger(__name__)

TITLE = "Which system made this recording?"
LARGEST = "100mb"  # of a file
MOST = 200  # files at once
KEPT = 3600  # seconds that uploaded files stay on the disk
OFFLINE = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
STYLE = "table td, table th { padding: .25rem .8rem; } footer { display: none !important; }"


POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self'; object-src 'none'"


class OwnOriginOnly:
    """ASGI middleware: a Content-Security-Policy by which the browser fetches nothing from elsewhere.

    Gradio's page asks for a script of a content network; the page does without.
    """

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        async def with_policy(message):
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (b"content-security-policy", POLICY.encode())]}
            await send(message)

        await self.app(scope, receive, with_policy if scope["type"] == "http" else send)


def imported_gradio():
    """The gradio package, set to stay offline before it is imported. Raises ConfigError where it is not installed."""
    os.environ.update(OFFLINE)
    try:
        import gradio
    except ImportError:
        raise ConfigError("the page needs gradio: pip install -r requirements-serve.txt") from None
    return gradio


class Page:
    """What the page's buttons do.

    Parameters
    ----------
    bank : Bank
    model : TracingModel
    options : argparse.Namespace
        `bank`, `scale`, `audio`, `most_seconds`.
    """

    def __init__(self, bank: Bank, model: TracingModel, options: argparse.Namespace):
        self.model, self.prepared, self.audio = model, prepare(bank), options.audio
        self.scale = read_scale(*[options.scale] * bool(options.scale))
        self.limits = Limits(options.most_seconds)
        self.prior = None if bank.calibration is None else read_prior(bank, "uniform")
        self.header = header(limits(bank, options.bank), self.scale)

    def examined(self, path: str) -> Examined:
        """The answer to one file."""
        return examine(self.model, self.prepared, path, Path(path).name, self.prior, self.limits)

    def one(self, path: str | None) -> list:
        """HTML, two figures and the nearest files, each (title, sound), of one recording."""
        if not path:
            return ["<p>Drop or record something first.</p>", None, None, *[None] * NEAREST]
        found = self.examined(path)
        sounds = [
            (f"near: {system}, cosine {cosine:.3f}", audible(file, self.audio))
            for file, system, cosine in found.answer.nearest
        ]
        figures = [over_time(self.model, self.prepared, found), spectrogram(found.samples)]
        return [as_html(found.answer, self.scale), *figures, *sounds, *[None] * (NEAREST - len(sounds))]

    def several(self, paths: list[str] | None) -> tuple[str, str | None]:
        """HTML and a CSV file of several recordings."""
        if not paths:
            return "<p>Drop some recordings first.</p>", None
        if len(paths) > MOST:
            return f"<p>At most {MOST} recordings at once; python identify.py identify takes any number.</p>", None
        answers: list[Answer] = [self.examined(path).answer for path in paths]
        table = Path(tempfile.mkdtemp(prefix="identify_")) / "answers.csv"
        table.write_text("\n".join(as_csv(iter(answers))) + "\n", encoding="utf-8")
        return "".join(as_html(answer, self.scale) for answer in answers), str(table)


def blocks(page: Page):
    """The page as gradio has it."""
    gr = imported_gradio()
    from html import escape

    with gr.Blocks(
        title="Which system made this recording?", analytics_enabled=False, delete_cache=(KEPT, KEPT)
    ) as made:
        gr.HTML("<h2>Which known system made this recording, or none of them?</h2>")
        gr.HTML(f"<pre style='white-space: pre-wrap; font-size: 12px'>{escape(page.header)}</pre>")
        with gr.Tab("One recording"):
            given = gr.Audio(
                sources=["upload", "microphone"], type="filepath", label="drop a file, or record", buttons=[]
            )
            gr.HTML(f"<small>Up to {page.limits.seconds:.0f} s and {LARGEST}. Nothing leaves this machine.</small>")
            ask = gr.Button("Examine", variant="primary", elem_id="examine")
            answer = gr.HTML(elem_id="answer")
            figures = [gr.Plot(show_label=False), gr.Plot(show_label=False)]
            near = [gr.Audio(label="near", interactive=False, visible=False, buttons=[]) for _ in range(NEAREST)]

            def shown(path: str | None) -> list:
                html, first, second, *sounds = page.one(path)
                players = [
                    gr.Audio(visible=False) if s is None or s[1] is None else gr.Audio(s[1], label=s[0], visible=True)
                    for s in sounds
                ]
                return [html, first, second, *players]

            ask.click(shown, given, [answer, *figures, *near], api_name="examine")
        with gr.Tab("Several recordings"):
            files = gr.File(file_count="multiple", type="filepath", label="drop files", elem_id="files")
            ask_all = gr.Button("Examine all", variant="primary", elem_id="examine_all")
            table = gr.File(label="table (CSV)", interactive=False)
            answers = gr.HTML(elem_id="answers")
            ask_all.click(page.several, files, [answers, table], api_name="examine_all")
    return made


def serve(bank: Bank, model: TracingModel, options: argparse.Namespace, block: bool = True):
    """Serve on 127.0.0.1 until stopped; not blocking, returns what `close()` ends.

    Raises
    ------
    ConfigError
        gradio is not installed, or the port is taken.
    """
    gr = imported_gradio()
    made = blocks(Page(bank, model, options))
    theme = gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
    from starlette.middleware import Middleware  # which gradio is made of

    try:
        made.launch(
            server_name="127.0.0.1",
            server_port=options.port,
            share=False,
            max_file_size=LARGEST,
            theme=theme,
            css=STYLE,
            footer_links=[],
            ssr_mode=False,
            quiet=True,
            app_kwargs={"middleware": [Middleware(OwnOriginOnly)]},
            prevent_thread_lock=not block,
        )
    except OSError as error:
        raise ConfigError(
            f"port {options.port} of 127.0.0.1 cannot be used ({error}): choose one with --port"
        ) from None
    return made
