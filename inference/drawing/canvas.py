"""Lettering and pictures on a black page: text that is measured and never runs off.

Pillow's built-in typeface holds few glyphs, so text is ASCII; anything else becomes "?".
"""

from functools import cache
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from inference.drawing.colours import Rgb, blend
from inference.findings import FloatArray

Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

WHITE: Colour = (240, 240, 240)
GREY: Colour = (165, 165, 165)
LINE: Colour = (70, 70, 70)
PAGE: Colour = (0, 0, 0)
PANEL: Colour = (22, 22, 24)
YELLOW: Colour = (255, 214, 64)
CYAN: Colour = (0, 225, 255)
GREEN: Colour = (130, 255, 110)


def plain(text: str) -> str:
    """Keep ASCII and single spaces: the typeface has no other glyphs."""
    return " ".join(text.encode("ascii", "replace").decode().split())


@cache
def font_of(size: int) -> Font:
    """Return Pillow's built-in typeface at a size in pixels."""
    return ImageFont.load_default(size=size)


class Canvas:
    """A page on which everything is measured in units of 1/1500 of its long edge.

    Drawing gets the same proportions whatever the size of the page.
    """

    def __init__(self, columns: int, rows: int, unit: float) -> None:
        self.image = Image.new("RGB", (columns, rows), PAGE)
        self.pen = ImageDraw.Draw(self.image)
        self.unit = unit

    def px(self, units: float) -> int:
        """Return a length in pixels."""
        return round(units * self.unit)

    def box(self, x: int, y: int, columns: int, rows: int, colour: Colour) -> None:
        """Fill a rectangle."""
        self.pen.rectangle((x, y, x + columns - 1, y + rows - 1), fill=colour)

    def paste(self, picture: Rgb, x: int, y: int) -> None:
        """Put a picture (h, w, 3) down with its upper left corner at x, y."""
        self.image.paste(Image.fromarray(picture), (x, y))

    def text(
        self,
        x: int,
        y: int,
        text: str,
        size: float,
        colour: Colour = WHITE,
        *,
        width: int,
        align: Literal["left", "right", "center"] = "left",
    ) -> None:
        """Write one line with its top at y, inside [x, x + width].

        A line that is too long gets smaller, to 70 % of its size, then loses its end to "...".
        """
        text, font = self.fitted(text, size, width)
        left = 0 if align == "left" else width - round(font.getlength(text))
        shift = left // 2 if align == "center" else left
        self.pen.text((x + shift, y), text, font=font, fill=colour)

    def fitted(self, text: str, size: float, width: int) -> tuple[str, Font]:
        """Return what of a line fits the width, and its font."""
        text = plain(text)
        largest, smallest = max(6, self.px(size)), max(6, self.px(0.7 * size))
        for pixels in range(largest, smallest - 1, -1):
            if font_of(pixels).getlength(text) <= width:
                return text, font_of(pixels)
        font = font_of(smallest)
        while text and font.getlength(text + "...") > width:
            text = text[:-1]
        return text + "..." if text else "", font

    def paragraph(
        self, x: int, y: int, text: str, size: float, colour: Colour, *, width: int, bottom: int
    ) -> int:
        """Write wrapped text downwards from y; return where it ended.

        What would pass ``bottom`` is left out, and the last line then ends in "...".
        """
        lines, step = self.wrapped(text, size, width), self.step(size)
        room = max(0, (bottom - y) // step)
        if len(lines) > room:
            lines = [*lines[: room - 1], lines[room - 1] + " ..."] if room else []
        for line in lines:
            self.text(x, y, line, size, colour, width=width)
            y += step
        return y

    def wrapped(self, text: str, size: float, width: int) -> list[str]:
        """Return the lines that a paragraph takes."""
        return _wrapped(plain(text), font_of(max(6, self.px(size))), width)

    def step(self, size: float) -> int:
        """Return the distance of a paragraph's lines in pixels."""
        return self.px(1.32 * size)

    def colour_bar(self, x: int, y: int, width: int, table: Rgb) -> None:
        """Draw a colour table (colours, 3) from left to right, `BAR` units high."""
        columns = np.linspace(0, len(table) - 1, width).astype(np.intp)
        self.paste(np.repeat(table[columns][None], self.px(BAR), axis=0), x, y)

    def done(self) -> Rgb:
        """Return the page: (rows, columns, 3)."""
        return np.asarray(self.image)


BAR = 16  # height of a colour bar in units


def _wrapped(text: str, font: Font, width: int) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def stroke(
    picture: Rgb, ring: FloatArray, colour: Colour, width: float, *, dash: float | None = None
) -> Rgb:
    """Draw a smooth closed line with a dark rim; ``ring`` is (n, 2), x then y in pixels.

    ``dash`` is the length in pixels of a dash and of the gap after it; None draws no gaps.
    """
    edge = 2 * width + 2
    low = np.maximum(ring.min(axis=0) - edge, 0).astype(int)  # x, y
    high = np.minimum(ring.max(axis=0) + edge, picture.shape[1::-1]).astype(int)
    part = (slice(low[1], high[1]), slice(low[0], high[0]))
    drawn = picture.copy()
    for shade, thickness in ((PAGE, 2.2 * width), (colour, width)):
        # twice the size, then halved: smooth edges
        mask = Image.new("L", (int(2 * (high[0] - low[0])), int(2 * (high[1] - low[1]))))
        pen = ImageDraw.Draw(mask)
        for piece in _dashes(2 * (ring - low), None if dash is None else 2 * dash):
            pen.line([(x, y) for x, y in piece.tolist()], 255, round(2 * thickness), joint="curve")
        opacity = np.asarray(mask.reduce(2), dtype=np.float32) / 255
        drawn[part] = blend(drawn[part], np.full_like(drawn[part], shade), opacity)
    return drawn


def _dashes(ring: FloatArray, dash: float | None) -> list[FloatArray]:
    if dash is None:
        return [ring]
    travelled = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(ring, axis=0), axis=1))])
    pairs = max(2, round(travelled[-1] / (2 * dash)))
    pieces = []
    for k in range(pairs):
        s = np.linspace(k, k + 0.5, 8) * travelled[-1] / pairs
        pieces.append(np.stack([np.interp(s, travelled, ring[:, i]) for i in (0, 1)], axis=-1))
    return pieces
