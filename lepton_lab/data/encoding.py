"""Finds out how a file's bytes are text, or what else they are."""

from __future__ import annotations

import codecs
import re

_SIGNATURES = (
    (b"PAR1", "a Parquet file", "Give it the ending .parquet, or set --format parquet."),
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook", "Unpack it, or save the sheet as CSV."),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "Save the sheet as CSV."),
    (b"ARROW1", "an Arrow file", "Read it in the notebook and use var:NAME, or save it as Parquet."),
    (b"%PDF", "a PDF document", "Save its rows as CSV."),
    (b"SQLite format 3", "an SQLite database", "Read the table in the notebook and use var:NAME."),
    (b"\x80\x02", "a Python pickle", "Pickles can run code; save the rows as Parquet."),
    (b"\x80\x03", "a Python pickle", "Pickles can run code; save the rows as Parquet."),
    (b"\x80\x04", "a Python pickle", "Pickles can run code; save the rows as Parquet."),
    (b"\x80\x05", "a Python pickle", "Pickles can run code; save the rows as Parquet."),
    (b"\x93NUMPY", "a NumPy file", "Save the rows as Parquet or CSV."),
    (b"\x89PNG", "a picture", "Name a file with rows of text."),
    (b"\xff\xd8\xff", "a picture", "Name a file with rows of text."),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive", "Unpack it first."),
    (b"BZh", "a bzip2 archive", "Unpack it first."),
    (b"\xfd7zXZ", "an XZ archive", "Unpack it first."),
    (b"7z\xbc\xaf", "a 7-Zip archive", "Unpack it first."),
    (b"version https://git-lfs", "a Git LFS pointer, not the data", "Fetch the data with: git lfs pull"),
    (b"<!DOCTYPE", "a web page", "Download the data file itself, not the page about it."),
    (b"<!doctype", "a web page", "Download the data file itself, not the page about it."),
    (b"<html", "a web page", "Download the data file itself, not the page about it."),
)

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_LEGACY = (
    "gb18030", "big5", "shift_jis", "euc_jp", "euc_kr", "cp1251", "koi8_r", "cp1252", "cp1250", "cp1253", "cp1255",
    "cp1256", "latin_1",
)  # fmt: skip
_SAMPLE_BYTES = 1 << 15
_CHUNK = 1 << 22


def find_signature(head: bytes) -> tuple[str, str] | None:
    """What a file that is not text is, and what to do about it; None if ``head`` may be text."""
    for mark, name, do in _SIGNATURES:
        if head.startswith(mark):
            return name, do
    if any(head.startswith(mark) for mark, _ in _MARKS) or _utf16_order(head):
        return None
    # Text has tabs and line ends, and hardly another control character.
    control = sum(head.count(bytes([code])) for code in (*range(9), *range(14, 27), *range(28, 32)))
    if b"\0" in head or control > len(head) / 100:
        return "a binary file", "Give a CSV, TSV, JSON, JSONL or Parquet file."
    return None


def find_encoding(content: memoryview) -> tuple[str, bool]:
    """The name of a codec that reads all of ``content``, and whether it is sure (not a guess)."""
    head = bytes(content[:_SAMPLE_BYTES])
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name, True
    order = _utf16_order(head)
    if order:
        return order, True
    if reads_as(content, "utf-8"):
        return "utf-8", True
    for name in _guesses(_telling_lines(content)):
        if reads_as(content, name):
            return name, False
    return "latin_1", False


def _utf16_order(head: bytes) -> str:
    """UTF-16 without a mark: most second (or first) bytes of mainly Western text are zero."""
    pairs = len(head) // 2
    if pairs < 8:
        return ""
    first, second = head[0 : 2 * pairs : 2].count(0), head[1 : 2 * pairs : 2].count(0)
    if second > pairs * 0.4 and first < pairs * 0.05:
        return "utf-16-le"
    if first > pairs * 0.4 and second < pairs * 0.05:
        return "utf-16-be"
    return ""


def reads_as(content: memoryview, encoding: str, whole: bool = True) -> bool:
    """Whether a codec reads all of ``content``, which may end within a letter unless it is ``whole``."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for start in range(0, len(content), _CHUNK):
            decoder.decode(content[start : start + _CHUNK], whole and start + _CHUNK >= len(content))
    except UnicodeDecodeError:
        return False
    return True


def _telling_lines(content: memoryview) -> bytes:
    """Different lines that have bytes beyond ASCII: the rest says nothing about the encoding."""
    lines: dict[bytes, None] = {}
    size = 0
    for match in re.finditer(rb"[^\n]*[\x80-\xff][^\n]*\n?", content):
        line = match.group()[:2000]
        if line not in lines:
            lines[line] = None
            size += len(line)
        if size > _SAMPLE_BYTES:
            break
    return b"".join(lines)


def _guesses(sample: bytes) -> list[str]:
    """Codecs to try, likeliest first."""
    import charset_normalizer

    if _is_simplified_chinese(sample):
        return ["gb18030"]
    if _is_polish(sample):
        return ["cp1250"]
    matches = charset_normalizer.from_bytes(sample, cp_isolation=list(_LEGACY))
    found = [match.encoding for match in matches]
    best = matches.best()
    if best is None or best.encoding in ("cp1250", "cp1252", "cp1254", "latin_1"):
        # The Western code pages differ in few places; cp1252 is the one that programs write.
        return ["cp1252", *found]
    return found


def _is_polish(sample: bytes) -> bool:
    """The bytes of ą, ł and ż, which Western text (¹, ³, ¿) has not within words."""
    within = len(re.findall(rb"(?<=[A-Za-z])[\xb3\xb9\xbf]|[\xb3\xb9\xbf](?=[a-z])", sample))
    return within > 0.1 * sum(byte >= 0x80 for byte in sample)


def _is_simplified_chinese(sample: bytes) -> bool:
    """GB 2312: pairs of high bytes, nearly all led by B0–D7 (common characters) or A1–A3 (signs).

    Korean EUC stays under C9, Japanese EUC has A4 and A5, Big5 has low second bytes.
    """
    pairs = re.findall(rb"[\x80-\xff][\x00-\xff]", sample)
    if not pairs or any(pair[1] < 0xA1 for pair in pairs):
        return False
    leads = [pair[0] for pair in pairs]
    common = sum(0xB0 <= lead <= 0xD7 or 0xA1 <= lead <= 0xA3 for lead in leads)
    beyond_korean = sum(0xC9 <= lead <= 0xD7 for lead in leads)
    return bool(common > 0.9 * len(leads) and beyond_korean > 0.05 * len(leads))
