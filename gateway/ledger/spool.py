"""Records on their way to the store, in files that outlive the process: what was appended is not lost by `kill -9`.

Each process appends to segments of its own in a folder that it may share with others, one `write` a record. What was
written is in the page cache and survives the process, however that ends, so nothing is synced: a machine that loses its
power loses what its kernel had not yet written, of the spool as of the last transactions of the store. The write is made
on the event loop; it waits for a disk only when the machine has more unwritten pages than its kernel allows.

A line is a checksum of the rest in eight hexadecimal digits, a letter for the kind, and the record as JSON. A segment is
deleted once all of its records are in the store; its lock tells the segments of the living from those of the dead. One with
lines that are no records is kept under another name.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import msgspec

from gateway.errors import ConfigError
from gateway.ids import new_uid
from gateway.ledger.base import Entry, Feedback, Record, Template

log = logging.getLogger("turnout.ledger")

SUFFIX = ".spool"
DAMAGED = ".damaged"  # in its place, once all that can be read is in the store
SEGMENT_BYTES = 1024 * 1024  # what a start after a crash reads again at most, of records that were stored already
BYTES_MAX = 1024 * 1024 * 1024  # about a million entries
READ_BYTES = 64 * 1024
PROBE = b" " * READ_BYTES  # more than nearly every record

_encoder = msgspec.json.Encoder()
_decoders: dict[bytes, msgspec.json.Decoder[Entry] | msgspec.json.Decoder[Feedback] | msgspec.json.Decoder[Template]] = {
    b"e": msgspec.json.Decoder(Entry),
    b"f": msgspec.json.Decoder(Feedback),
    b"t": msgspec.json.Decoder(Template),
}
_kinds: dict[type[Record], bytes] = {Entry: b"e", Feedback: b"f", Template: b"t"}


@dataclass(eq=False)
class Segment:
    """A file of this process. last: where its last record begins. waiting: records of it that are not yet in the store."""

    path: Path
    fd: int
    last: int = 0
    size: int = 0
    waiting: int = 0


class Spool:
    """The segments of this process. Use it from one thread. problem: why the last append failed, None if it did not."""

    def __init__(self, folder: Path, bytes_max: int = BYTES_MAX, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Raises ConfigError when the folder cannot be had."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            reason = f"cannot make the spool '{folder}': {exc.strerror}"
            raise ConfigError(f"{reason}; make its parent writable or set TURNOUT_DATA_DIR to a folder that is") from exc
        self.folder = folder
        self._bytes_max, self._segment_bytes = bytes_max, segment_bytes
        self._name, self._number = new_uid(), 0
        self._active: Segment | None = None
        self._full_at = 0  # bytes of the active one, from which on `_with_room` has to look
        self._other_bytes = 0  # of the segments that are there besides
        self.problem: str | None = None
        if not os.access(folder, os.W_OK | os.X_OK):  # said before the first request meets it
            self.problem = f"cannot write the spool '{folder}': the folder is not writable"
            log.error("%s; until it works, records wait in memory", self.problem)

    def append(self, record: Record) -> Segment:
        """Keep a record, and say where: `stored` wants to know. Raises OSError, or ValueError for what JSON cannot say."""
        line = encode(record)
        size = len(line)
        try:
            segment = self._active
            if segment is None or segment.size + size > self._full_at:
                segment = self._with_room(size)
            written = os.write(segment.fd, line)
            if written < size:
                self._torn(segment, written)
        except OSError as exc:
            problem = f"cannot write the spool '{self.folder}': {exc.strerror}"
            if self.problem is None:
                log.error("%s; until it works again, records wait in memory", problem)
            self.problem = problem
            raise
        if self.problem is not None:
            self.problem = None
            log.info("the spool is written again")
        segment.last, segment.size = segment.size, segment.size + size
        segment.waiting += 1
        return segment

    def has_room(self) -> bool:
        """Whether a record could be appended, where the last one could not; tried, and taken back at once."""
        try:
            segment = self._with_room(len(PROBE))
            try:
                return os.write(segment.fd, PROBE) == len(PROBE)
            finally:
                self._take_back(segment)
        except OSError:  # `problem` has said it
            return False

    def stored(self, segment: Segment, count: int = 1) -> None:
        """So many more records of the segment are in the store; it goes when all are and no more come."""
        segment.waiting -= count
        if segment.waiting == 0 and segment is not self._active:
            self._remove(segment)

    def close(self) -> None:
        """End writing. A segment with records that are not in the store stays, for the next start."""
        active = self._put_away()
        if active is not None and active.waiting:
            os.close(active.fd)

    def _with_room(self, size: int) -> Segment:
        """The active segment, a new one if the record would make it too large. Raises OSError if all would be."""
        used = self._other_bytes + (0 if self._active is None else self._active.size)
        if used + size > self._bytes_max:
            raise OSError(errno.ENOSPC, f"it holds {used} bytes, the limit is {self._bytes_max}")
        if self._active is not None and self._active.size + size > self._segment_bytes and self._active.size:
            self._put_away()
        if self._active is None:
            self._active = self._open()
        self._full_at = min(self._segment_bytes, self._bytes_max - self._other_bytes)
        return self._active

    def _put_away(self) -> Segment | None:
        """No more is appended to what was the active segment; it goes if nothing waits in it."""
        segment, self._active = self._active, None
        if segment is not None:
            self._other_bytes += segment.size
            if segment.waiting == 0:
                self._remove(segment)
        return segment

    def _open(self) -> Segment:
        while True:
            self._number += 1
            path = self.folder / f"{self._name}-{self._number:06d}{SUFFIX}"
            fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC, 0o600)
            fcntl.flock(fd, fcntl.LOCK_EX)
            if os.fstat(fd).st_nlink:
                return Segment(path, fd)
            # Between the two calls somebody else took the empty file for one of a dead process, and removed it.
            os.close(fd)

    def _torn(self, segment: Segment, written: int) -> NoReturn:
        """The disk is full: only so many bytes of a record were written."""
        if written:
            self._take_back(segment)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _take_back(self, segment: Segment) -> None:
        """End the segment with its last whole record, or the next one would be part of a torn line."""
        try:
            os.ftruncate(segment.fd, segment.size)
        except OSError as exc:
            log.error("cannot cut the spool's '%s', which gets no more records: %s", segment.path, exc.strerror)
            self._put_away()

    def _remove(self, segment: Segment) -> None:
        try:
            segment.path.unlink(missing_ok=True)
        except OSError as exc:  # the next start reads it again, and finds all of it stored
            log.error("cannot remove the spool's '%s': %s", segment.path, exc.strerror)
        os.close(segment.fd)
        self._other_bytes -= segment.size


def encode(record: Record) -> bytes:
    """One line. Raises ValueError for what JSON cannot say."""
    try:
        rest = _kinds[type(record)] + _encoder.encode(record)
    except (ValueError, TypeError, OverflowError, RecursionError) as exc:
        raise ValueError(f"not a value that the spool can keep: {exc}") from exc
    return b"%08x%b\n" % (zlib.crc32(rest), rest)


def decode(line: bytes) -> Record:
    """What `encode` made the line of, its newline left out. Raises ValueError for anything else."""
    rest = line[8:]
    if line[:8] != b"%08x" % zlib.crc32(rest):
        raise ValueError("its checksum is not that of its text")
    decoder = _decoders.get(rest[:1])
    if decoder is None:
        raise ValueError(f"its kind {rest[:1]!r} is not known")
    return decoder.decode(rest[1:])  # msgspec's own errors are ValueErrors


@dataclass
class Damage:
    """What of a segment is no record. lines: whole ones. first: why, of the first of them. is_torn: the last line breaks off."""

    lines: int = 0
    first: str = ""
    is_torn: bool = False

    def __str__(self) -> str:
        torn = ["its last record cannot be read: it breaks off"] if self.is_torn else []
        return "; ".join(([f"{self.lines} records cannot be read, the first {self.first}"] if self.lines else []) + torn)


def read_segment(path: Path, damage: Damage, start: int = 0, end: int | None = None) -> Iterator[tuple[Record, int]]:
    """The records of a segment from byte `start` to `end`, each with where it ends; what is no record is noted in `damage`.

    A process that was killed as it wrote leaves half a line, the last one.
    """
    with path.open("rb", buffering=READ_BYTES) as file:
        file.seek(start)
        place = start
        for line in file:
            if end is not None and place >= end:
                return
            place += len(line)
            if not line.endswith(b"\n"):
                damage.is_torn = True
                return
            try:
                record = decode(line[:-1])
            except ValueError as exc:
                damage.first = damage.first or f"of {len(line)} bytes up to byte {place}: {exc}"
                damage.lines += 1
            else:
                yield record, place


def damaged(folder: Path) -> list[Path]:
    """What was kept of segments that could not be read whole, the oldest first."""
    return sorted(folder.glob(f"*{DAMAGED}"))


def abandoned(folder: Path) -> list[Path]:
    """The segments there are, the oldest first; whether their process lives is known once they are `claimed`."""
    return sorted(folder.glob(f"*{SUFFIX}"))


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Whether the segment is ours to read and remove: its process has ended, and nobody else reads it. Raises OSError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # somebody else was faster
        yield False
        return
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield os.fstat(fd).st_nlink > 0
    finally:
        os.close(fd)
