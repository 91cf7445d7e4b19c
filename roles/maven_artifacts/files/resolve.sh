#!/usr/bin/env bash
# resolve.sh POM SHA256SUMS CACHE FOLDER: prints the path of a tar below CACHE that holds, in FOLDER,
# exactly the files named in SHA256SUMS, each with its checksum; resolves them with Maven where they
# are not in the cache yet.
set -euo pipefail
pom=$1 sums=$2 cache=$3 folder=$4
dir=$cache/$(sha256sum "$sums" | cut -c1-16)

complete() {
  [ -d "$dir" ] && (cd "$dir" && sha256sum --quiet --strict --check "$sums" >&2) &&
    [ "$(find "$dir" -type f | wc -l)" = "$(wc -l <"$sums")" ]
}

if ! complete 2>/dev/null; then
  command -v mvn >/dev/null || { echo "mvn is missing on the control machine: run 'make setup'" >&2; exit 1; }
  rm -rf "$dir"
  mkdir -p "$dir"
  mvn --batch-mode --quiet --file "$pom" \
    org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
    -DincludeScope=runtime -Dmdep.useBaseVersion=true -DoutputDirectory="$dir" >&2
  if ! complete; then
    rm -rf "$dir"
    echo "what Maven resolved differs from $sums: nothing of it is used, and it is removed" >&2
    exit 1
  fi
fi
tar --directory "$dir" --sort=name --owner=0 --group=0 --mode=u=rwX,go=rX --transform "s,^\.,$folder," \
  -cf "$dir.tar" .
echo "$dir.tar"
