"""A program in the sandbox of a unit: its own unit file, with nothing but the program exchanged."""

import base64
import json
import re
from typing import Any, Final

from machine import Machine

NAME: Final = "helfy-probe.service"
# What belongs to the program that is exchanged: how it is started, watched and ended.
_EXCHANGED: Final = (
    *("ExecStart", "Type", "NotifyAccess", "WatchdogSec", "Restart", "RestartSec"),
    *("RestartPreventExitStatus", "StateDirectory", "SyslogIdentifier", "LogNamespace"),
)


def run_in_sandbox(machine: Machine, unit: str, program: str, given: Any) -> Any:
    """Run a Python program as the unit would run: JSON is its argument, and what it prints.

    Its state folder is a new one of its own, ``helfy-probe``. The unit must run with what its
    file says: not changed since, and with nothing added elsewhere.
    """
    shown = machine.run(f"systemctl show -p NeedDaemonReload,DropInPaths,FragmentPath '{unit}'")
    facts = dict(line.split("=", 1) for line in shown.splitlines())
    assert (facts["NeedDaemonReload"], facts["DropInPaths"]) == ("no", ""), shown
    text = machine.run(f"cat '{facts['FragmentPath']}'")
    text = text.replace("\\\n", " ").replace("%i", unit.partition("@")[2].removesuffix(".service"))
    kept = [x for x in text.splitlines() if not re.match(f"({'|'.join(_EXCHANGED)})=", x)]
    code = base64.b64encode(program.encode()).decode()
    argument = base64.b64encode(json.dumps(given).encode()).decode()
    start = (
        f'ExecStart=/usr/bin/python3 -I -c "import base64,sys;'
        f"sys.argv[1]=base64.b64decode('{argument}').decode();"
        f"exec(base64.b64decode('{code}'))\" given"
    )
    section = kept.index("[Service]") + 1
    kept[section:section] = [
        *("Type=oneshot", "StateDirectory=helfy-probe", "SyslogIdentifier=helfy-probe", start),
    ]
    path = f"/run/systemd/system/{NAME}"
    script = (
        f"cat >{path} && systemctl daemon-reload && since=$(date +%s) && "
        f"systemctl start {NAME}; code=$?; journalctl --sync; "
        f"journalctl -q -a -o cat --since=@$since -t helfy-probe; "
        f"rm -rf {path} /var/lib/helfy-probe /var/lib/private/helfy-probe; "
        f"systemctl reset-failed {NAME} 2>/dev/null; systemctl daemon-reload; exit $code"
    )
    return json.loads(machine.run(script, "\n".join(kept) + "\n").splitlines()[-1])
