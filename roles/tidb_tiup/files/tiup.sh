#!/bin/bash
# Managed by Ansible. TiUP as its own user, with nothing to ask, on the path for root.
# It has no lock of its own, so two runs that change something are kept apart here.
set -euo pipefail
home=/home/tiup
lock=(flock --wait 10 --conflict-exit-code 75 "$home/.lock")
case " $* " in
  *" display "* | *" list "* | *" audit "* | *" mirror show "* | *" --version "* | *" --help "*) lock=() ;;
esac
cd /
exec runuser -u tiup -- env HOME="$home" TIUP_HOME="$home/.tiup" NO_COLOR=1 \
  "${lock[@]}" "$home/.tiup/bin/tiup" "$@" </dev/null
