"""The spool: what was appended is there again, whatever became of the process, the disk or the last line."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import ConfigError
from gateway.ledger.base import Feedback, Record
from gateway.ledger.replay import replay
from gateway.ledger.spool import Damage, Spool, abandoned, claimed, damaged, decode, encode, read_segment
from tests.ledger.entries import answered, entry
from tests.ledger.waiting import until

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def replayed(folder: Path) -> list[Record]:
    """What a start finds in the folder, once it has looked."""
    found: list[Record] = []

    async def write(records: list[Record]) -> None:
        found.extend(records)

    async def scenario() -> None:
        task = asyncio.create_task(replay(folder, write, every_s=100))
        await asyncio.sleep(0.2)
        await until(lambda: not any(is_free(path) for path in abandoned(folder)))
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(scenario())
    return found


def is_free(path: Path) -> bool:
    with claimed(path) as is_ours:
        return is_ours


@given(
    st.builds(entry, texts, tags=st.dictionaries(texts, texts), at=st.floats(0, 4e9))
    | st.builds(Feedback, texts, st.just(1.0), st.floats(-1, 1), texts)
)
def test_a_record_comes_back_as_it_went_in_and_is_one_line(record: Record) -> None:
    line = encode(record)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert decode(line[:-1]) == record


@given(st.binary(max_size=200) | st.binary(max_size=20).map(lambda b: encode(entry("r"))[:-1] + b))
def test_bytes_that_are_no_record_are_a_value_error(line: bytes) -> None:
    try:
        assert encode(decode(line)) == line + b"\n"
    except ValueError:
        pass


@given(st.integers(0, 10_000), st.integers(1, 255))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_one_byte_that_is_wrong_costs_one_record_or_two_and_never_the_rest(tmp_path: Path, place: int, change: int) -> None:
    lines = [encode(entry(f"r-{i}")) for i in range(10)]
    data = bytearray(b"".join(lines))
    data[place % len(data)] ^= change  # where it was or becomes a line's end, two lines are concerned
    path = tmp_path / "one.spool"
    path.write_bytes(data)
    damage = Damage()
    found = [r.request_id for r, _ in read_segment(path, damage)]
    assert len(found) >= 8 and set(found) <= {f"r-{i}" for i in range(10)}
    assert damage.lines or damage.is_torn


def test_a_segment_goes_when_all_of_it_is_stored_and_stays_while_it_is_not(tmp_path: Path) -> None:
    spool = Spool(tmp_path, segment_bytes=1000)
    segments = [spool.append(answered(f"r-{i}", "r", "m", 7)) for i in range(4)]
    assert len(set(segments)) > 1
    assert {s.path for s in segments} == set(abandoned(tmp_path))
    for segment in segments[1:]:
        spool.stored(segment)
    assert abandoned(tmp_path) == sorted({segments[0].path, segments[-1].path})  # the last may get more
    spool.close()
    assert abandoned(tmp_path) == [segments[0].path]
    spool.stored(segments[0])
    assert abandoned(tmp_path) == []


def test_a_living_process_keeps_its_segments_and_a_dead_one_gives_them_up(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    kept = [answered(f"r-{i}", "r", "m", 7) for i in range(3)]
    segment = spool.append(kept[0])
    for record in kept[1:]:
        spool.append(record)
    assert not is_free(segment.path)
    assert replayed(tmp_path) == []
    spool.close()
    assert replayed(tmp_path) == kept
    assert abandoned(tmp_path) == []


def test_a_process_that_is_killed_leaves_all_that_it_appended(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from gateway.ledger.spool import Spool
from tests.ledger.entries import answered
spool = Spool(Path(sys.argv[1]), segment_bytes=5000)
for i in range(10**9):
    spool.append(answered(f"r-{i}", "r", "m", 7))
    print(i, flush=True)
"""
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(200):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    said = [int(line) for line in process.stdout.read().split()]
    process.stdout.close()
    process.wait(10)
    found = [int(r.request_id.removeprefix("r-")) for r in replayed(tmp_path)]
    assert len(found) >= 200 + len(said)
    assert found == list(range(len(found)))


def test_half_a_record_at_the_end_is_passed_over_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "turnout.ledger")
    whole = [encode(entry("a")), encode(entry("b"))]
    (tmp_path / "0.spool").write_bytes(b"".join(whole) + encode(entry("torn"))[:-20])
    (tmp_path / "1.spool").write_bytes(encode(entry("c")))
    assert [r.request_id for r in replayed(tmp_path)] == ["a", "b", "c"]
    assert [r.levelname for r in caplog.records] == ["ERROR", "INFO", "INFO"]
    assert "cannot be read: it breaks off" in caplog.records[0].message
    assert abandoned(tmp_path) == []


def test_a_damaged_segment_is_kept_under_another_name_once_the_rest_of_it_is_stored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [encode(entry(name)) for name in ("a", "b", "c", "d")]
    bad = [line.replace(b"dialect", b"dialecf") for line in lines[1:3]]
    written = lines[0] + b"".join(bad) + lines[3] + b"torn"
    (tmp_path / "0.spool").write_bytes(written)
    assert [r.request_id for r in replayed(tmp_path)] == ["a", "d"]
    assert abandoned(tmp_path) == []
    assert [path.read_bytes() for path in damaged(tmp_path)] == [written]
    (said,) = [r.message for r in caplog.records if r.levelname == "ERROR"]
    assert f"2 records cannot be read, the first of {len(bad[0])} bytes up to byte {len(lines[0] + bad[0])}: its checksum" in said
    assert said.endswith(f"the file is kept as '{tmp_path / '0.damaged'}'")
    assert replayed(tmp_path) == []  # and is not read again


def test_a_segment_whose_torn_line_cannot_be_cut_gets_no_more_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    spool = Spool(tmp_path)

    def fail(fd: int, size: int) -> None:
        raise OSError(errno.EIO, "the disk is broken")

    spool.append(entry("before"))
    with monkeypatch.context() as broken:
        broken.setattr(os, "write", lambda fd, line: write(fd, line[:100]))
        broken.setattr(os, "ftruncate", fail)
        with pytest.raises(OSError, match="No space left"):
            spool.append(entry("torn"))
        assert not spool.has_room()  # tears one that holds nothing, which goes at once
    assert len(abandoned(tmp_path)) == 1
    spool.append(entry("after"))
    first, second = abandoned(tmp_path)
    found = [[r.request_id for r, _ in read_segment(path, Damage())] for path in (first, second)]
    assert found == [["before"], ["after"]]
    spool.close()


def test_a_full_disk_is_said_and_tears_no_record(tmp_path: Path) -> None:
    """The limit on a file's size stands in for the disk's: a write ends in the middle of a record."""
    code = """
import resource, signal, sys
from pathlib import Path
from gateway.ledger.spool import Spool
from tests.ledger.entries import entry
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
spool = Spool(Path(sys.argv[1]))
spool.append(entry("before"))
resource.setrlimit(resource.RLIMIT_FSIZE, (1200, resource.RLIM_INFINITY))
try:
    spool.append(entry("too much", error="x" * 2000))
except OSError as exc:
    print(exc.errno, spool.problem)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
spool.append(entry("after"))
print(spool.problem)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True, timeout=15)
    first, last = done.stdout.splitlines()
    assert first == f"{errno.ENOSPC} cannot write the spool '{tmp_path}': {os.strerror(errno.ENOSPC)}"
    assert last == "None"
    assert [r.request_id for r in replayed(tmp_path)] == ["before", "after"]


def test_the_spool_has_a_bound(tmp_path: Path) -> None:
    size = len(encode(entry("r-0")))
    spool = Spool(tmp_path, bytes_max=3 * size, segment_bytes=size)
    segments = [spool.append(entry(f"r-{i}")) for i in range(3)]
    with pytest.raises(OSError, match="the limit is"):
        spool.append(entry("r-3"))
    assert spool.problem is not None
    spool.stored(segments[0])
    spool.append(entry("r-3"))
    assert spool.problem is None
    spool.close()


def test_the_bound_is_of_all_segments_together(tmp_path: Path) -> None:
    size = len(encode(entry("l-0")))
    spool = Spool(tmp_path, bytes_max=3 * size, segment_bytes=2 * size)
    first, *_ = [spool.append(entry(f"l-{i}")) for i in range(3)]  # the second segment has room for one more
    with pytest.raises(OSError, match="the limit is"):
        spool.append(entry("l-3"))
    spool.stored(first, 2)
    spool.append(entry("l-3"))
    spool.close()


def test_what_json_cannot_say_is_a_value_error_and_leaves_the_spool_as_it_was(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    with pytest.raises(ValueError, match="not a value that the spool can keep"):
        spool.append(entry("r", error="\ud800"))
    assert (spool.problem, abandoned(tmp_path)) == (None, [])
    spool.close()


def test_a_folder_that_cannot_be_made_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot make the spool '.*file/spool': .*set TURNOUT_DATA_DIR"):
        Spool(tmp_path / "file" / "spool")


def test_a_segment_that_cannot_be_read_is_said_and_the_others_are_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "0.spool").mkdir()
    (tmp_path / "1.spool").write_bytes(encode(entry("fine")))

    found: list[Record] = []

    async def write(records: list[Record]) -> None:
        found.extend(records)

    async def scenario() -> None:
        task = asyncio.create_task(replay(tmp_path, write))
        await until(lambda: bool(found))
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(scenario())
    assert [r.request_id for r in found] == ["fine"]
    assert "0.spool': Is a directory" in caplog.text
