#!/usr/bin/env bash
# resolve.sh POM SHA256SUMS CACHE FOLDER: prints the path of a tar below CACHE that holds, in FOLDER,
# exactly the files named in SHA256SUMS, each with its checksum; resolves them with Maven where they
# are not in the cache yet. However it ends, no half of a download stays behind.
set -euo pipefail
pom=$1 sums=$2 cache=$3 folder=$4
dir=$cache/$(sha256sum "$sums" | cut -c1-16)
part=$dir.part

complete() {
  [ -d "$1" ] && (cd "$1" && sha256sum --quiet --strict --check "$sums" >&2) &&
    [ "$(find "$1" -type f | wc -l)" = "$(wc -l <"$sums")" ]
}

fail() {
  echo "$*" >&2
  exit 1
}

if ! complete "$dir" 2>/dev/null; then
  command -v mvn >/dev/null || fail "mvn is missing on the control machine. Run 'make setup'."
  trap 'rm -rf "$part"' EXIT
  trap 'exit 130' HUP INT TERM
  rm -rf "$dir" "$part"
  mkdir -p "$part/files"
  if ! mvn --batch-mode --quiet --file "$pom" \
    org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
    -DincludeScope=runtime -Dmdep.useBaseVersion=true -DoutputDirectory="$part/files" >"$part/log" 2>&1; then
    cat "$part/log" >&2
    repository=$(grep -oE 'from/to [^ ]+ \([^)]*\)' "$part/log" | head -n 1 | cut -d' ' -f2-) || repository=''
    fail "Maven could not fetch what $pom names${repository:+ from $repository}: see its words above." \
      "Nothing of it is kept. Check that this machine reaches the repository (proxies and mirrors: Maven's" \
      "settings.xml), and run again: it goes on from there."
  fi
  complete "$part/files" ||
    fail "what Maven resolved differs from $sums: nothing of it is used, and it is removed." \
      "Run again, and look at your Maven mirror if it stays so."
  mv "$part/files" "$dir"
fi
tar --directory "$dir" --sort=name --owner=0 --group=0 --mode=u=rwX,go=rX --transform "s,^\.,$folder," \
  -cf "$dir.tar" .
echo "$dir.tar"
