"""Moments as a line says them: RFC 3339 in UTC."""

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def utc(moment: datetime, digits: int) -> str:
    """Write ``moment`` as RFC 3339 in UTC with 0 to 6 digits of a second."""
    moment = moment.astimezone(UTC)
    fraction = f".{moment.microsecond:06}"[: digits + 1] if digits else ""
    return f"{moment.replace(tzinfo=None, microsecond=0).isoformat()}{fraction}Z"


def since_epoch(microseconds: int) -> datetime:
    """Give the moment. Raises OverflowError beyond the years 1 to 9999."""
    return EPOCH + timedelta(microseconds=microseconds)
