# shellcheck shell=bash
# Shared by the scripts in lab/: paths, messages with their time, long commands, sudo.

# shellcheck source=lab/env.sh
. "${BASH_SOURCE[0]%/*}/env.sh"
logs=$root/.cache/logs
: "${started:=$(date +%s)}"
export started

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
  bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' off=$'\e[0m'
else
  bold='' dim='' red='' green='' off=''
fi

# elapsed: time since the first of these scripts began, as m:ss.
elapsed() {
  local s=$(($(date +%s) - started))
  printf '%d:%02d' $((s / 60)) $((s % 60))
}
say() { printf '%s%s%s   %s\n' "$dim" "$(elapsed)" "$off" "$*"; }
step() { printf '%s%s%s %s%s%s\n' "$dim" "$(elapsed)" "$off" "$bold" "$*" "$off"; }
good() { printf '%s%s %s%s\n' "$green" "$(elapsed)" "$*" "$off"; }
die() {
  printf '%serror:%s %s\n' "$red" "$off" "$*" >&2
  exit 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -- "$@"; fi
}

# logged NAME COMMAND...: runs it with its output in a log; says every 20 seconds that it still runs,
# and shows the log's end where it fails.
logged() {
  local log=$logs/$1.log pid
  shift
  mkdir -p "$logs"
  "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  while :; do
    for _ in $(seq 40); do
      kill -0 "$pid" 2>/dev/null || break 2
      sleep 0.5
    done
    say "still at it: $(tail -n 1 "$log" | tr -d '\r\033' | cut -c1-90)"
  done
  wait "$pid" || {
    tail -n 30 "$log" >&2
    die "'$*' failed; its whole output is in $log"
  }
}
