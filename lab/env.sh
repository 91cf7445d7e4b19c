# shellcheck shell=bash
# What the scripts and make take from the caller's environment: each bash sources it, by BASH_ENV or by lab/lib.sh.

set +o noglob +o noclobber +o posix +o allexport
shopt -u nullglob failglob dotglob nocaseglob nocasematch xpg_echo
export -n SHELLOPTS BASHOPTS
unset -f cd
unset CDPATH GREP_OPTIONS GREP_COLORS IFS
umask 022

root=$(cd -P -- "${BASH_SOURCE[0]%/*}/.." >/dev/null && pwd)
: "${HOME:=$(eval echo ~)}"
cache=${HELFY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/helfy}
export HOME root cache

# Not every tool on the way quotes a path: make, Vagrant's box build, ssh's tokens (%h), the first line of a script
# (127 bytes). So a path that one of them would break is rejected here, for all.
for helfy_path in "$root" "$cache"; do
  if [ ${#helfy_path} -gt 100 ] || [[ $helfy_path == *[!a-zA-Z0-9/._+@,-]* ]]; then
    printf '%s: %q: %s. %s\n' error "$helfy_path" \
      "a path must be at most 100 characters long and consist of ASCII letters, digits and / . _ - + @ ," \
      "Clone the repository to such a path, and keep the cache in one (HELFY_CACHE=/such/a/path)" >&2
    exit 1
  fi
done
unset helfy_path

# Ansible rejects a locale that the machine lacks, and one that is not UTF-8.
unset LANGUAGE "${!LC_@}"
LC_ALL=C.UTF-8
case $(locale -a 2>/dev/null) in *C.utf8* | *C.UTF-8*) ;; *) LC_ALL=en_US.UTF-8 ;; esac
export LC_ALL

# Settings are those of ansible.cfg, which Ansible would ignore in a folder that everybody may write to. Passwords for
# vaults and sudo, and how much is printed, are the caller's.
if [ -z "${HELFY_ENVIRONMENT:-}" ]; then
  for helfy_name in "${!ANSIBLE_@}"; do
    case $helfy_name in
      ANSIBLE_VAULT_* | ANSIBLE_BECOME_PASS* | ANSIBLE_VERBOSITY | ANSIBLE_NOCOLOR | ANSIBLE_FORCE_COLOR) ;;
      *) unset "$helfy_name" ;;
    esac
  done
  unset helfy_name
  # Some machines keep Python from storing what it compiled: each task of Ansible would take 20 ms longer.
  unset PYTHONDONTWRITEBYTECODE PYTHONPATH PYTHONHOME
  export ANSIBLE_CONFIG=$root/ansible.cfg HELFY_ENVIRONMENT=1
  # The lab's own addresses are never asked through a proxy.
  helfy_direct=$(sed -n 's/.*\(ansible_host\|gateway\): *\([0-9.]*\).*/\2/p' "${HELFY_INVENTORY:-$root/inventory/current}/hosts.yml" \
    "$root"/inventory/*/hosts.yml 2>/dev/null | sort -u | paste -sd, || :)
  no_proxy=${no_proxy:-${NO_PROXY:-}}
  no_proxy=${no_proxy:+$no_proxy,}localhost,127.0.0.1${helfy_direct:+,$helfy_direct}
  export no_proxy NO_PROXY=$no_proxy
  unset helfy_direct
fi
