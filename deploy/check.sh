#!/bin/sh
# Checks a Colonnade volume, or a folder of it, without Colonnade: a POSIX shell, coreutils, find, sed and awk.
LC_ALL=C
export LC_ALL

if [ "$1" = --help ]; then
  cat <<'END'
sh check.sh [FOLDER...]

FOLDER   a collection on this disk, or the folder `colonnade` of one; without any, the one in which this script lies

Each collection is a BagIt bag (RFC 8493). Compared are: every file with manifest-sha256.txt, the lists themselves with
tagmanifest-sha256.txt, number and bytes of all files with Payload-Oxum in bag-info.txt. Files that stand in no list are
named. Nothing is changed. The exit code is 1 when something is wrong. While the archive runs, lists follow within a minute.
END
  exit 2
fi
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
trap 'exit 2' HUP INT TERM
wrong=0

complain() {
  printf '%s: %s\n' "$1" "$2"
  wrong=1
}

check_bag() {
  (cd "$1" && sha256sum -c --quiet --strict manifest-sha256.txt) 2>"$work/errors" >"$work/bad" ||
    complain "$1" 'files differ from manifest-sha256.txt, or are not there:'
  cat "$work/bad"
  [ -s "$work/bad" ] || grep -v WARNING "$work/errors"
  if [ -f "$1/tagmanifest-sha256.txt" ]; then
    (cd "$1" && sha256sum -c --quiet --strict tagmanifest-sha256.txt) >"$work/bad" 2>/dev/null ||
      complain "$1" 'lists differ from tagmanifest-sha256.txt:'
    cat "$work/bad"
  fi
  cut -c 67- "$1/manifest-sha256.txt" | sort -u >"$work/listed"
  (cd "$1" && find data ! -type d) | sort >"$work/there"
  comm -13 "$work/listed" "$work/there" >"$work/strange"
  if [ -s "$work/strange" ]; then
    complain "$1" 'files that stand in no list, put by hand or not compared yet:'
    cat "$work/strange"
  fi
  said=$(sed -n 's/^Payload-Oxum: //p' "$1/bag-info.txt" 2>/dev/null)
  bytes=$(find "$1/data" -type f -exec wc -c {} + | awk '$2 != "total" || NF > 2 { sum += $1 } END { print sum + 0 }')
  files=$(find "$1/data" -type f | wc -l)
  now=$bytes.$((files))
  [ -z "$said" ] || [ "$said" = "$now" ] || [ -s "$work/strange" ] ||
    complain "$1" "bytes and files are $now, and bag-info.txt says $said"
  printf '%s: %s files checked\n' "$1" "$(wc -l <"$work/listed" | tr -d ' ')"
}

[ $# -gt 0 ] || set -- "$(dirname "$0")"
for place in "$@"; do
  [ -d "$place/colonnade" ] && place=$place/colonnade
  if [ -f "$place/manifest-sha256.txt" ]; then
    check_bag "$place"
    continue
  fi
  none=yes
  for bag in "$place"/*/; do
    [ -f "${bag}manifest-sha256.txt" ] || continue
    none=no
    check_bag "${bag%/}"
  done
  [ $none = no ] || printf '%s: no collection here\n' "$place"
done
exit $wrong
