#!/bin/bash
# Managed by Ansible. TiUP as its own user, with nothing to ask, on the path for root.
# It has no lock of its own, so two runs that change something are kept apart here.
set -euo pipefail
[ "$(id -u)" = 0 ] || { echo "tiup: only root runs TiUP's commands here: sudo tiup $*" >&2; exit 1; }
home=/home/tiup
lock=(flock --wait 10 --conflict-exit-code 75 "$home/.lock")
busy() { [ "$1" != 75 ] || echo "Error: another run of TiUP's is at work here: wait for its end (pgrep -u tiup -a)" >&2; exit "$1"; }
case " $* " in
  *" display "* | *" list "* | *" audit "* | *" mirror show "* | *" --version "* | *" --help "*) lock=() ;;
esac
cd /
runuser -u tiup -- env HOME="$home" TIUP_HOME="$home/.tiup" NO_COLOR=1 \
  "${lock[@]}" "$home/.tiup/bin/tiup" "$@" </dev/null || busy $?
