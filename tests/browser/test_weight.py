"""What the whole page weighs, as it is sent: every view of it, not only the first."""

from pathlib import Path

import requests

CLIENT = Path(__file__).parents[2] / "client"
MAX_BYTES = 150_000
SECONDS = 30


def sent(url: str) -> int:
    """The bytes of a body as they come, compressed where the server does that."""
    answer = requests.get(url, headers={"accept-encoding": "gzip"}, stream=True, timeout=SECONDS)
    answer.raise_for_status()
    return len(answer.raw.read(decode_content=False))


def test_all_of_it_is_light(base_url: str) -> None:
    files = [path for path in sorted(CLIENT.rglob("*")) if path.is_file()]
    sizes = {
        str(path.relative_to(CLIENT)): sent(f"{base_url}/{path.relative_to(CLIENT)}")
        for path in files
    }
    plain = sum(path.stat().st_size for path in files)
    print(f"{len(files)} files: {sum(sizes.values())} bytes sent, {plain} bytes as they are")
    assert sum(sizes.values()) < MAX_BYTES, sizes
