"""The tar parser: wherever the stream is cut, the same entries come out."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landbridge.errors import CopyFailed
from landbridge.migration.copying.tar import Entry, Kind, TarReader, parse_header


class Collector:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.entries: list[tuple[Entry, bytes]] = []
        self.ended = 0

    def begin(self, entry: Entry) -> None:
        self.entries.append((entry, b""))

    def data(self, piece: memoryview) -> None:
        entry, content = self.entries[-1]
        self.entries[-1] = entry, content + bytes(piece)

    def end(self) -> None:
        self.ended += 1


def archive(files: list[tuple[str, bytes | None]]) -> bytes:
    """A ustar archive; content None makes a folder."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in files:
            info = tarfile.TarInfo(name)
            if content is None:
                info.type = tarfile.DIRTYPE
            else:
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content or b""))
    return target.getvalue()


names = st.text("abcXYZ019_./", min_size=1, max_size=90).map(lambda n: "x" + n.strip("/"))
files = st.lists(st.tuples(names, st.none() | st.binary(max_size=2000)), max_size=6)


@given(files, st.lists(st.integers(1, 5000), max_size=60))
def test_cuts_anywhere_give_the_same_entries(
    wanted: list[tuple[str, bytes | None]], cuts: list[int]
) -> None:
    stream = memoryview(archive(wanted))
    sink = Collector()
    reader = TarReader(sink)
    for cut in cuts:
        reader.feed(stream[:cut])
        stream = stream[cut:]
    reader.feed(stream)
    reader.close()
    found = [
        (e.name.rstrip("/"), content if e.kind is Kind.FILE else None)
        for e, content in sink.entries
    ]
    assert found == [(name.rstrip("/"), content) for name, content in wanted]
    assert sink.ended == len(wanted)


@given(st.binary(min_size=1, max_size=3000), st.integers(1, 3000))
def test_stream_that_ends_too_early_is_noticed(content: bytes, missing: int) -> None:
    whole = archive([("file", content)])[: 512 + len(content)]
    cut = whole[: -min(missing, len(whole) - 1)]
    reader = TarReader(Collector())
    reader.feed(memoryview(cut))
    with pytest.raises(CopyFailed, match="too early"):
        reader.close()


def test_noise_is_no_tar_header() -> None:
    with pytest.raises(CopyFailed) as caught:
        parse_header(bytes(range(256)) * 2)
    assert caught.value.id == "copy.bad_stream"


def test_sizes_beyond_eight_gigabytes_are_read() -> None:
    info = tarfile.TarInfo("base/1/2")
    info.size = 9 * 1024**3
    assert parse_header(info.tobuf(tarfile.GNU_FORMAT)).size == info.size
