"""Makes a browser's screenshot a third of its size: 256 colours are plenty for a page of text."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

SIGNATURE = b"\x89PNG\r\n\x1a\n"

# The browser unpacks the picture; the commonest colours stay as they are, the others become the nearest of those.
REDUCE = """async (png) => {
  const image = await createImageBitmap(await (await fetch("data:image/png;base64," + png)).blob());
  const context = new OffscreenCanvas(image.width, image.height).getContext("2d");
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, image.width, image.height);
  const colours = [];
  for (let i = 0; i < data.length; i += 4) colours.push((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
  const counts = new Map();
  for (const colour of colours) counts.set(colour, (counts.get(colour) ?? 0) + 1);
  const palette = [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a)).slice(0, 256);
  const channels = (colour) => [colour >> 16, (colour >> 8) & 255, colour & 255];
  const distance = (a, b) => channels(a).reduce((sum, value, i) => sum + (value - channels(b)[i]) ** 2, 0);
  const nearest = new Map(palette.map((colour, index) => [colour, index]));
  const find = (colour) => palette.reduce((best, other, index) =>
    distance(colour, other) < distance(colour, palette[best]) ? index : best, 0);
  let pixels = "";
  for (const colour of colours) {
    if (!nearest.has(colour)) nearest.set(colour, find(colour));
    pixels += String.fromCharCode(nearest.get(colour));
  }
  return { width: image.width, height: image.height, palette, pixels: btoa(pixels) };
}"""


def reduced(context: BrowserContext, png: bytes) -> bytes:
    """The same picture with at most 256 colours."""
    page = context.new_page()
    try:
        found = page.evaluate(REDUCE, base64.b64encode(png).decode())
    finally:
        page.close()
    width, height = found["width"], found["height"]
    pixels = base64.b64decode(found["pixels"])
    rows = b"".join(b"\x00" + pixels[y * width : (y + 1) * width] for y in range(height))
    palette = b"".join(colour.to_bytes(3, "big") for colour in found["palette"])
    return (
        SIGNATURE
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0))
        + _chunk(b"PLTE", palette)
        + _chunk(b"IDAT", zlib.compress(rows, 9))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
