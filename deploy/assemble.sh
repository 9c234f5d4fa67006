#!/bin/sh
# Rebuilds files of a Colonnade collection that is kept in fragments, without Colonnade: a POSIX shell and coreutils.
LC_ALL=C
export LC_ALL
umask 022
tab=$(printf '\t')

if [ $# -lt 2 ] || [ "$1" = --help ]; then
  cat <<'END'
sh assemble.sh OUT VOLUME... [-- NAME...]

OUT      a folder for the files; each collection gets a folder of its own there
VOLUME   mounts of disks with volumes, or the folders `colonnade` on them: the more disks, the more files
NAME     only these files, written as in the texts below data/files/; without any, all

What a volume knows of a file stands in a text below COLLECTION/data/files/. The newest of all volumes counts; what it
says is deleted stays so. Each fragment and each file is compared with its SHA-256. Files that are there already, and
right, are left alone. The exit code is 1 when some file could not be rebuilt.
END
  exit 2
fi
out=$1
shift
mkdir -p "$out" || exit 2
work=$(mktemp -d "$out/.assemble.XXXXXX") || exit 2
trap 'rm -rf "$work"' EXIT
trap 'exit 2' HUP INT TERM

sum_of() {
  sum=$(sha256sum <"$1" 2>/dev/null) || return 1
  sum=${sum%% *}
}

# ---- Which volumes, which names -----------------------------------------------------------------------------
: >"$work/names"
: >"$work/texts"
named=no
count=0
for one in "$@"; do
  if [ $named = yes ]; then
    printf '%s\n' "$one" >>"$work/names"
  elif [ "$one" = -- ]; then
    named=yes
  else
    [ -d "$one/colonnade" ] && one=$one/colonnade
    if [ ! -d "$one" ]; then
      printf 'no folder %s\n' "$one" >&2
      exit 2
    fi
    count=$((count + 1))
    # A link without odd characters in its name stands for the volume from here on.
    place=$(cd "$one" && pwd -P && echo .)
    ln -s "${place%??}" "$work/v$count" || exit 2
  fi
done

# ---- What the volumes say: collection, name, version, text ---------------------------------------------------
for text in "$work"/v*/*/data/files/??/*.txt; do
  [ -f "$text" ] || continue
  hash=${text##*/}
  sum_of "$text" && [ "$sum.txt" = "$hash" ] || {
    printf 'damaged, passed over: %s\n' "$text" >&2
    continue
  }
  {
    IFS= read -r line
    [ "$line" = 'colonnade file 1' ] || continue
    IFS= read -r line
    collection=${line#collection }
    IFS= read -r line
    name=${line#name }
    IFS= read -r line
    version=${line#version }
  } <"$text"
  case $version in '' | *[!0-9]*) continue ;; esac
  case $collection in '' | *[!a-z0-9-]*) continue ;; esac
  printf '%s\t%s\t%s\t%s\n' "$collection" "$name" "$version" "${text#"$work"/}" >>"$work/texts"
done
sort -t "$tab" -k1,1 -k2,2 -k3,3n "$work/texts" >"$work/sorted"

# ---- One file ------------------------------------------------------------------------------------------------
# Sets `found` to a copy of the fragment $2 of the collection $1 with the right bytes.
find_fragment() {
  rest=${2#??}
  for found in "$work"/v*/"$1"/data/"${2%"${2#??}"}/${rest%"${rest#??}"}/$2"; do
    [ -f "$found" ] && sum_of "$found" && [ "$sum" = "$2" ] && return 0
  done
  return 1
}

complain() {
  printf '%s: %s\n' "$1" "$2" >&2
  failed=yes
}

# By the text $3: the file with the (escaped) name $2 of the collection $1.
assemble() {
  state= size= sha= mtime= whole=no
  : >"$work/file"
  while IFS= read -r line; do
    case $line in
    'state '*) state=${line#state } ;;
    'size '*) size=${line#size } ;;
    'sha256 '*) sha=${line#sha256 } ;;
    'mtime '*) mtime=${line#mtime } ;;
    end) whole=yes ;;
    esac
  done <"$work/$3"
  [ $whole = yes ] || { complain "$2" 'its text is cut off'; return; }
  [ "$state" = stored ] || return 0
  # The dot keeps a line feed at the end, which $() would take away.
  id=$(printf '%b.' "$2")
  id=${id%.}
  case /$id/ in
  */../* | */./* | *//*) complain "$2" 'a name that leads elsewhere'; return ;;
  esac
  path=$out/$1/$id
  if [ -e "$path" ]; then
    if sum_of "$path" && [ "$sum" = "$sha" ]; then
      kept=$((kept + 1))
    else
      complain "$2" 'another file is there already'
    fi
    return
  fi
  while IFS= read -r line; do
    case $line in 'fragment '*) ;; *) continue ;; esac
    hash=${line#fragment }
    hash=${hash%% *}
    case $hash in *[!0-9a-f]*) complain "$2" 'its text is wrong'; return ;; esac
    if ! find_fragment "$1" "$hash"; then
      complain "$2" "fragment $hash is on none of these volumes"
      return
    fi
    cat "$found" >>"$work/file" || { complain "$2" 'can not be written'; return; }
  done <"$work/$3"
  if ! sum_of "$work/file" || [ "$sum" != "$sha" ]; then
    complain "$2" 'its bytes are not those that were stored'
    return
  fi
  folder=${path%/*}
  mkdir -p "$folder" && mv "$work/file" "$path" || { complain "$2" 'can not be written'; return; }
  set_time "$path" "$mtime"
  built=$((built + 1))
}

# 2026-01-02T03:04:05.678Z; without fractions where touch knows none.
set_time() {
  touch -c -d "$2" "$1" 2>/dev/null && return
  day=${2%%T*}
  clock=${2#*T}
  clock=${clock%%.*}
  year=${day%%-*}
  day=${day#*-}
  hour=${clock%%:*}
  clock=${clock#*:}
  TZ=UTC0 touch -c -t "$year${day%-*}${day#*-}$hour${clock%:*}.${clock#*:}" "$1" 2>/dev/null ||
    printf 'the time of %s could not be set to %s\n' "$1" "$2" >&2
}

wanted() {
  [ $named = no ] && return 0
  while IFS= read -r line; do
    [ "$line" = "$1" ] && return 0
  done <"$work/names"
  return 1
}

# ---- All of them: of each name the last line is the newest ---------------------------------------------------
built=0
kept=0
failed=no
last=
while IFS= read -r line || [ -n "$line" ]; do
  key=${line%"$tab"*}
  key=${key%"$tab"*}
  if [ -n "$last" ] && [ "$key" != "$lastkey" ]; then
    name=${lastkey#*"$tab"}
    wanted "$name" && assemble "${lastkey%%"$tab"*}" "$name" "${last##*"$tab"}"
  fi
  last=$line
  lastkey=$key
done <"$work/sorted"
if [ -n "$last" ]; then
  name=${lastkey#*"$tab"}
  wanted "$name" && assemble "${lastkey%%"$tab"*}" "$name" "${last##*"$tab"}"
fi
printf '%s files rebuilt, %s were there already\n' "$built" "$kept"
[ $failed = no ]
