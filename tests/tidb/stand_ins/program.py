#!/usr/bin/python3
"""A stand-in; which, says the name that it is called by: pd-server, tikv-server, tidb-server, cdc.

It is none of the programs of these names. It answers what TiUP and Helfy's roles ask of them.
"""

import importlib
import sys
import tomllib
from pathlib import Path

sys.dont_write_bytecode = True
MODULES = {"pd-server": "pd", "tikv-server": "tikv", "tidb-server": "tidb", "cdc": "ticdc"}


def main() -> None:
    """See the module's text."""
    here = Path(sys.argv[0]).resolve()
    sys.path.insert(0, str(here.parent / "stand-in"))
    if "--help" in sys.argv:
        print("a stand-in; it knows --config-check")
    elif "--config-check" in sys.argv:
        named = next(a.partition("=")[2] for a in sys.argv if a.startswith("--config="))
        tomllib.loads(Path(named).read_text())
    else:
        importlib.import_module(MODULES[here.name]).main(sys.argv[1:])


if __name__ == "__main__":
    main()
