"""Pages of the feed: the newest lines, those before a cursor, and those after one.

Lines of one partition keep the order they have in Kafka. Lines of several partitions are put
together by Kafka's timestamps. A page ends where it has as many lines or bytes as it may, or
where the request has read as much of Kafka as it may: the page's cursor says where to go on,
and ``more`` that it is worth the while at once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from helfy.feed.entry import Entry, Span, Wanted
from helfy.feed.pace import Pace
from helfy.feed.pager import SPAN_RECORDS, BusyError, KafkaAwayError, Pager, Turn
from helfy.feed.reader import StreamReader

PAGE_BYTES: Final = 1024**2
MOST_LINES: Final = 200


@dataclass(frozen=True, slots=True)
class Lost:
    """Records after the cursor that Kafka has no more: the first and the last offset.

    ``last`` is None where the topic was made anew, so that nobody knows how many there were.
    """

    partition: int
    first: int
    last: int | None


@dataclass(slots=True)
class Page:
    """Some lines. ``end`` is where they end: by partition, an offset (see cursor)."""

    entries: list[Entry] = field(default_factory=list)
    end: dict[int, int] = field(default_factory=dict)
    more: bool = False
    lost: list[Lost] = field(default_factory=list)


class Feed:
    """The feed of a process, for all its threads.

    Both methods raise KafkaAwayError or BusyError where what they are asked for is not in
    memory, and Kafka does not answer or others are reading out of it already.
    """

    def __init__(self, reader: StreamReader, pager: Pager) -> None:
        self.reader = reader
        self.pager = pager
        self.pace = Pace()
        reader.each_round = pager.tidy

    def newest(
        self, wanted: Wanted, limit: int, before: Mapping[int, int] | None = None
    ) -> tuple[Page, dict[int, int]]:
        """Give the newest lines (before a cursor), newest first, and where the feed ends now.

        The page's ``end`` is where older lines end; ``more`` is False where there are none.
        """
        now = self.reader.ring.following()
        with self.pager.turn() as turn:
            if before is None and not now:
                now = {number: end for number, (_, end) in turn.bounds().items()}
            start = now if before is None else before
            lanes = [_Down(self, turn, part, offset) for part, offset in sorted(start.items())]
            page = _merge(lanes, wanted, limit, newest_first=True)
        page.more = any(lane.offset > lane.floor for lane in lanes)
        return page, now

    def following(self, wanted: Wanted, limit: int, after: Mapping[int, int]) -> Page:
        """Give the lines after a cursor, oldest first."""
        lost: list[Lost] = []
        with self.pager.turn() as turn:
            # A partition that the cursor does not know is new: it is read from its beginning.
            known = self.reader.ring.following()
            new = {number: self.reader.begins_with(number) or 0 for number in known}
            places = new | dict(after)
            lanes = [_Up(self, turn, part, offset, lost) for part, offset in places.items()]
            page = _merge(lanes, wanted, limit, newest_first=False)
        page.lost = lost
        return page


class _Lane:
    """One partition, read in one direction from ``offset`` on."""

    def __init__(self, feed: Feed, turn: Turn, partition: int, offset: int) -> None:
        self.partition = partition
        self.offset = offset
        self.done = False
        self.entries: list[Entry] = []  # what comes next is at the end
        self._covered = offset  # all between the two offsets that is to come is in entries
        self._begun = False
        self._ring = feed.reader.ring
        self._reader = feed.reader
        self._turn = turn

    def head(self) -> Entry | None:
        """Give the line that comes next; None where there is none, or none may be read for."""
        # Each lane gets somewhere, however slow Kafka is: whoever asks on must not wait for ever.
        while not self.entries and not self.done and not (self._begun and self._turn.spent):
            self.done = not self._fill()
            self._begun = True
        if not self.entries:
            self.offset = self._covered
            return None
        return self.entries[-1]

    def _fill(self) -> bool:
        """Get what comes next; False where there is nothing."""
        raise NotImplementedError

    def took(self) -> None:
        """Go past the head."""
        raise NotImplementedError


class _Down(_Lane):
    """Towards older lines. ``offset`` is that of the last line taken, or of a gap below it."""

    def __init__(self, feed: Feed, turn: Turn, partition: int, offset: int) -> None:
        super().__init__(feed, turn, partition, offset)
        self.floor = feed.reader.begins_with(partition) or 0

    def _fill(self) -> bool:
        self.offset = self._covered
        if self.offset <= self.floor:
            return False
        span = self._ring.below(self.partition, self.offset)
        if span is None:
            bounds = self._turn.bounds().get(self.partition)
            self.floor, end = bounds or (0, 0)
            self.offset = min(self.offset, end)
            if self.offset <= self.floor:
                return False
            first = max(self.floor, self.offset - SPAN_RECORDS)
            span = self._turn.span(self.partition, first, self.offset, keep_first=False)
        self.entries = list(span.entries)
        self._covered = span.first
        return True

    def took(self) -> None:
        self.offset = self.entries.pop().offset
        if not self.entries:
            self.offset = self._covered


class _Up(_Lane):
    """Towards newer lines. ``offset`` is that of the next record."""

    def __init__(
        self, feed: Feed, turn: Turn, partition: int, offset: int, lost: list[Lost]
    ) -> None:
        super().__init__(feed, turn, partition, offset)
        self._lost = lost

    def _fill(self) -> bool:
        self.offset = self._covered
        span = self._ring.above(self.partition, self.offset) or self._from_kafka()
        if span is None or span.stop <= self.offset:
            return False
        self.entries = list(reversed(span.entries))
        self._covered = span.stop
        return True

    def _from_kafka(self) -> Span | None:
        following = self._ring.following().get(self.partition)
        if following is not None and self.offset > following and not self._reader.pulse.caught_up():
            return None  # another process knows more than this one yet
        bounds = self._turn.bounds().get(self.partition)
        first, end = bounds or (0, 0)
        if bounds is None or self.offset > end:
            self._lost.append(Lost(self.partition, self.offset, None))
            self.offset = self._covered = first
        elif self.offset < first:
            self._lost.append(Lost(self.partition, self.offset, first - 1))
            self.offset = self._covered = first
        if self.offset >= end:
            return None
        stop = min(end, self.offset + SPAN_RECORDS)
        return self._turn.span(self.partition, self.offset, stop, keep_first=True)

    def took(self) -> None:
        self.offset = self.entries.pop().offset + 1
        if not self.entries:
            self.offset = self._covered


def _merge(lanes: Sequence[_Lane], wanted: Wanted, limit: int, *, newest_first: bool) -> Page:
    """Take lines from the lanes in order, until there are none or the page is full."""
    page = Page()
    size = 0
    choose: Callable[..., tuple[_Lane, Entry]] = max if newest_first else min
    try:
        while len(page.entries) < limit and size < PAGE_BYTES:
            heads = [(lane, head) for lane in lanes if (head := lane.head()) is not None]
            if not heads or len(heads) + sum(lane.done for lane in lanes) < len(lanes):
                break
            lane, head = choose(heads, key=lambda each: (each[1].at, each[0].partition))
            if size and size + len(head.text) > PAGE_BYTES:
                break
            lane.took()
            if wanted.takes(head):
                page.entries.append(head)
                size += len(head.text)
    except (KafkaAwayError, BusyError):
        # What was found is given; whoever goes on from its end is told then.
        if not page.entries:
            raise
    page.more = any(not lane.done for lane in lanes)
    page.end = {lane.partition: lane.offset for lane in lanes}
    return page
