"""How groups (systems, languages, conditions) look: 20 colours times 4 shapes, for 80 of them."""

from settings.text import for_picture

COLOURS = (
    *("#3366cc", "#dc3912", "#109618", "#990099", "#e69f00", "#0099a8", "#8b4513", "#dd4477", "#66aa00", "#44475a"),
    *("#7aa6ff", "#ff8f6b", "#5fd08a", "#c78bff", "#c9b400", "#6fd6e0", "#c4936a", "#ff9ecb", "#a8d957", "#9aa0ae"),
)
SHAPES = ("circle", "square", "triangle", "diamond")
LONGEST = 48  # letters of a name in a picture


def look(index: int) -> tuple[str, str]:
    """Colour and shape of the index-th group. All colours are used before the second shape is."""
    return COLOURS[index % len(COLOURS)], SHAPES[index // len(COLOURS) % len(SHAPES)]


def shortened(name: str) -> str:
    """A name for a picture, a long one without its middle: of `tts_models/…/xtts_v2` both ends matter."""
    if len(name) > LONGEST:
        end = LONGEST * 2 // 3
        name = f"{name[: LONGEST - end - 1]}…{name[-end:]}"
    return for_picture(name)
