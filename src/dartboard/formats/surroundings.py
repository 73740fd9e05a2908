"""Text as people bring it, made plain: UTF-16, colour codes, prompts, curly quotes, odd spaces, escapes of web pages.

`as_utf8` is for a complete text, of up to 64 MB; `plain` for the piece of it that holds an architecture.
"""

import codecs
import html
import re

from dartboard.errors import InputError

MARKS = (  # byte order marks, the longer ones first
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
PIECE = 1024 * 1024  # bytes decoded at a time
COLOUR = rb"(?:\x1b|\\(?:u001[bB]|x1[bB]|033|e))(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]{0,500}(?:\x07|\x1b\\))"
COLOUR_TEXT = re.compile(COLOUR.decode())
# The beginning of a line that was quoted in a mail, or typed on at a prompt: "> ", "... ", "   ...: ".
QUOTED = re.compile(r"\n[ \t]*(?:>[> \t]*|\.\.\.:?(?=[ \t]))")
LETTERS = {
    **dict.fromkeys(map(ord, "‘’‚‛′‵`´ʼ"), "'"),
    **dict.fromkeys(map(ord, "“”„‟″‶«»"), '"'),
    **dict.fromkeys(map(ord, "\u00a0\u1680\u202f\u205f\u3000"), " "),
    **dict.fromkeys(range(0x2000, 0x200B), " "),
    **dict.fromkeys([0x85, 0x2028, 0x2029], "\n"),
    **dict.fromkeys([0xAD, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2060, 0xFEFF, *range(0x202A, 0x202F)], None),
    **{0xFF01 + offset: chr(0x21 + offset) for offset in range(94)},  # letters, digits and marks in full width
    ord("、"): ",",
}


def as_utf8(data: bytes) -> bytes:
    """The text in UTF-8, whichever encoding its first bytes have; others that share ASCII stay as they are.

    Raises InputError for what is binary.
    """
    mark, encoding = next(((mark, name) for mark, name in MARKS if data.startswith(mark)), (b"", ""))
    if not mark:
        encoding = without_mark(data[:200])
    if encoding and encoding != "utf-8":
        data = transcoded(data[len(mark) :], encoding)
    elif mark:
        data = data[len(mark) :]
    if b"\0" in data:
        raise InputError("this is binary, not text; give an architecture as text")
    return data


def without_mark(start: bytes) -> str:
    """The encoding of a text in UTF-16 that has no mark, by the zeros next to its ASCII letters; else nothing."""
    even, odd = start[0::2], start[1::2]
    if len(start) < 4:
        return ""
    if odd.count(0) > 0.5 * len(odd) and even.count(0) < 0.1 * len(even):
        return "utf-16-le"
    return "utf-16-be" if even.count(0) > 0.5 * len(even) and odd.count(0) < 0.1 * len(odd) else ""


def transcoded(data: bytes, encoding: str) -> bytes:
    """The same text in UTF-8, made piece by piece. Raises InputError."""
    pieces = (data[start : start + PIECE] for start in range(0, len(data), PIECE))
    try:
        return b"".join(piece.encode("utf-8", "replace") for piece in codecs.iterdecode(pieces, encoding))
    except UnicodeDecodeError as error:
        raise InputError("this is binary, not text; give an architecture as text") from error


def plain(data: bytes) -> str:
    """The piece as text: straight quotes, ordinary spaces and marks, no colour codes, each line end one "\\n"."""
    text = data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    text = html.unescape(text) if "&" in text else text
    text = COLOUR_TEXT.sub("", text).translate(LETTERS).replace("\\_", "_")  # \_ as LaTeX and Markdown write it
    return QUOTED.sub("\n", text)
