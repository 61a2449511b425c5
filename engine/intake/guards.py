"""What a text file must survive before any of it is believed: unpacking, encoding, line length.

Everything is checked while the bytes stream by, so a bomb, a 2 GB line or a cut archive is refused after a few
megabytes, and no file is ever held in memory.
"""

from __future__ import annotations

import codecs
import gzip
import io
import zipfile
import zlib
from pathlib import Path
from typing import IO, Final

from engine.config.intake import Limits
from engine.domain.errors import UnreadableSource

_CHUNK: Final = 1 << 20
_CUT: Final = "Fetch the file again; it was cut while it was written or sent."


class GuardedStream:
    """The text of one file as UTF-8 bytes, unpacked; raises UnreadableSource at the first breach.

    After the last read, `newlines`, `quotes` and `ends_with_newline` tell what went by.
    """

    def __init__(self, path: Path, name: str, encoding: str, limits: Limits, quote: str = '"') -> None:
        self.name, self._limits = name, limits
        self._packed = path.open("rb")
        self._source = _unpacked(self._packed, name)
        self._compressed = self._source is not self._packed
        self._encoding = encoding
        self._decoder = _decoder(encoding, name)
        self._recode = codecs.lookup(encoding).name != "utf-8"
        self._quote = quote.encode() or None
        self._pending = b""
        self._run = 0
        self._read = 0
        self._expanded = 0
        self.newlines = 0
        self.quotes = 0
        self.ends_with_newline = True
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        """Return `size` bytes, fewer at the end of the file only; with a negative size whatever comes next.

        A reader takes what one read gives for a block, in which a row must end: a short read would cut the long ones.
        """
        parts = [self._pending or self._next_chunk()]
        while parts[-1] and sum(map(len, parts)) < size:
            parts.append(self._next_chunk())
        self._pending = b"".join(parts)
        part = self._pending if size < 0 else self._pending[:size]
        self._pending = self._pending[len(part) :]
        return part

    def first_line(self) -> bytes:
        """Return the first line without its end, leaving the stream where it is."""
        while b"\n" not in self._pending:
            more = self._next_chunk()
            if not more:
                break
            self._pending += more
        return self._pending.partition(b"\n")[0].rstrip(b"\r")

    def close(self) -> None:
        """Close the file; what was learnt stays."""
        self._source.close()
        self._packed.close()
        self.closed = True

    def readable(self) -> bool:
        """Say that this is for reading."""
        return True

    def seekable(self) -> bool:
        """Say that there is no way back."""
        return False

    def writable(self) -> bool:
        """Say that nothing is written."""
        return False

    def _next_chunk(self) -> bytes:
        try:
            raw = self._source.read(min(_CHUNK, self._limits.line_bytes))
        except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as fault:
            raise UnreadableSource(self.name, f"the archive ends early or is damaged ({fault})", _CUT) from None
        self._judge_size(len(raw))
        text = self._decode(raw)
        self._judge_lines(text)
        return text

    def _judge_size(self, length: int) -> None:
        self._expanded += length
        if not self._compressed:
            return
        limits = self._limits
        packed = max(self._packed.tell(), 1)
        if self._expanded > limits.expanded_bytes or (
            self._expanded > limits.expansion_free_bytes and self._expanded > limits.expansion_ratio * packed
        ):
            raise UnreadableSource(
                self.name,
                f"unpacks to more than {self._expanded:,} bytes from {packed:,}, as a zip bomb does",
                "If it is genuine, unpack it yourself, or raise [intake.limits] in wayline.toml.",
            )

    def _decode(self, raw: bytes) -> bytes:
        try:
            text = self._decoder.decode(raw, final=not raw)
        except UnicodeDecodeError as fault:
            raise self._undecodable(fault, len(raw)) from None
        self._read += len(raw)
        if self._recode:
            raw = text.encode()
        if b"\0" in raw:
            raise UnreadableSource(
                self.name,
                "holds zero bytes, which no text file does",
                'If it is UTF-16, say encoding = "utf-16" under [<table>.csv]; else it is not the format it claims.',
            )
        return raw

    def _undecodable(self, fault: UnicodeDecodeError, length: int) -> UnreadableSource:
        seen = bytes(fault.object)
        offset = self._read + length - len(seen) + fault.start
        line = self.newlines + seen[: fault.start].count(b"\n") + 1
        # enough text before the byte to tell Chinese from Western, aligned to the line so that no character is split
        start = seen.rfind(b"\n", 0, fault.start) + 1
        return UnreadableSource(
            self.name,
            f"line {line}, byte {offset}: not valid {self._encoding}",
            f'If the file is in another encoding, say so under [<table>.csv], such as encoding = "'
            f'{likely_encoding(seen[start : start + 4000])}".',
        )

    def _judge_lines(self, text: bytes) -> None:
        if not text:
            return
        first, last = text.find(b"\n"), text.rfind(b"\n")
        run = self._run + (first if first >= 0 else len(text))
        if run > self._limits.line_bytes:
            raise UnreadableSource(
                self.name,
                f"line {self.newlines + 1} is longer than {self._limits.line_bytes:,} bytes",
                "Check the line ends; if lines really are that long, raise [intake.limits] line_bytes in wayline.toml.",
            )
        self._run = run if first < 0 else len(text) - last - 1
        self.newlines += text.count(b"\n")
        self.quotes += text.count(self._quote) if self._quote else 0
        self.ends_with_newline = text.endswith(b"\n")


def likely_encoding(sample: bytes) -> str:
    """Return gb18030 for bytes that read as everyday Chinese, else cp1252.

    Everyday characters are pairs of high bytes (GB 2312); a Western letter with an accent stands alone.
    """
    wide = [letter for letter in sample.decode("gb2312", errors="replace") if ord(letter) > 127]
    chinese = sum("一" <= letter <= "鿿" for letter in wide)
    return "gb18030" if wide and chinese >= 0.8 * len(wide) else "cp1252"


def refuse_other_formats(path: Path, name: str, expected: str) -> None:
    """Raise UnreadableSource when the first bytes are those of another format than text."""
    with path.open("rb") as handle:
        head = handle.read(8)
    other = {b"PAR1": "Parquet", b"SQLi": "SQLite", b"\xd0\xcf\x11\xe0": "old Excel", b"%PDF": "PDF"}.get(head[:4])
    if other is not None:
        raise UnreadableSource(name, f"is a {other} file, not {expected}", "Mend `format` or `source` in the mapping.")


def _unpacked(packed: IO[bytes], name: str) -> IO[bytes]:
    head = packed.read(4)
    packed.seek(0)
    if head[:2] == b"\x1f\x8b":
        return io.BufferedReader(gzip.GzipFile(fileobj=packed))
    if head == b"PK\x03\x04":
        return _only_member(packed, name)
    return packed


def _only_member(packed: IO[bytes], name: str) -> IO[bytes]:
    try:
        archive = zipfile.ZipFile(packed)
    except zipfile.BadZipFile:
        raise UnreadableSource(name, "the archive ends early or is damaged", _CUT) from None
    members = [member for member in archive.namelist() if not member.endswith("/")]
    if "[Content_Types].xml" in members:
        raise UnreadableSource(name, "is an Excel workbook", 'Say format = "excel" in the mapping.')
    if len(members) != 1:
        raise UnreadableSource(
            name, f"holds {len(members)} files where one is expected", "Unpack it and name the file."
        )
    try:
        return archive.open(members[0])
    except (RuntimeError, NotImplementedError):
        remedy = "Unpack it and name the file."
        raise UnreadableSource(name, "is encrypted, or packed in a way that is not known here", remedy) from None


def _decoder(encoding: str, name: str) -> codecs.IncrementalDecoder:
    try:
        return codecs.getincrementaldecoder(encoding)("strict")
    except LookupError:
        raise UnreadableSource(
            name, f'"{encoding}" is no encoding', 'Name one such as "utf-8", "gb18030" or "cp1252".'
        ) from None
