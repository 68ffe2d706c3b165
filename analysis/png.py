"""A matplotlib figure to PNG bytes, which a command writes and a page carries."""

import io

from matplotlib.figure import Figure


def png(figure: Figure, dpi: int = 120, tight: bool = False) -> bytes:
    """The picture; `tight` cuts or widens it to what is drawn."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=dpi, **({"bbox_inches": "tight", "pad_inches": 0.15} if tight else {}))
    return out.getvalue()
