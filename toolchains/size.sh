#!/bin/sh
# size.sh [--json FILE] [--update] TARGET...: where the bytes of the device builds are, held against size_budget.txt.
#
# Measured in build/cross-TARGET, which ./dev size builds first:
#   node       bytes of the stripped static program `pannier`
#   core_text  machine code of the library's folder runtime/ (messages, actors, links, queue): all that its objects
#              hold, templates once, whether a program calls it or not; without constants and unwind tables
#   minimal    machine code that a program which tells, asks, publishes, enqueues and consumes (examples/minimal) takes
#              of Pannier, static and optimised at link time: its functions that our objects define, without ZeroMQ,
#              SQLite, libsodium and the C and C++ libraries; for armhf, the smallest device
#   folder     the same by the folder whose object defines the function; templates that several need: by the first
#   library    bytes of the program by where they come from, from the linker's map; ours is optimised at link time
#   object     machine code of each object of ours before that
# --update writes the budget anew: what is measured now and two per cent.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
budget=$here/size_budget.txt
cd "$here/.."

json=
update=
targets=
while [ $# -gt 0 ]; do
  case $1 in
    --json)
      json=${2:?size.sh: --json needs a file}
      shift
      ;;
    --update) update=yes ;;
    *) targets="$targets $1" ;;
  esac
  shift
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rows=$work/rows

# By library, from GNU ld's map; a long section name stands on a line of its own.
by_library() {
  awk -v target="$1" '
    function hex(text,   i, value) {
      for (i = 3; i <= length(text); i++) value = value * 16 + index("0123456789abcdef", substr(text, i, 1)) - 1
      return value
    }
    function count(section, address, size, file) {
      if (section ~ /^\.(debug|comment|ARM\.attributes|gnu\.lto|note|bss|tbss)/ || hex(address) == 0) return
      if (file ~ /ltrans|libpannier|CMakeFiles/) name = "pannier"
      else if (match(file, /lib(zmq|sodium|sqlite3|flatbuffers|stdc\+\+|gcc|gcc_eh|m|m-[0-9.]+|mvec|c)\.a/))
        name = substr(file, RSTART, RLENGTH - 2)
      else name = "start-up"
      if (name ~ /^lib(m|m-.*|mvec)$/) name = "libm"
      if (name == "libgcc_eh") name = "libgcc"
      bytes[name] += hex(size)
    }
    /^Linker script and memory map/ { on = 1 }
    !on { next }
    /^ \.[^ ]+$/ { section = $1; next }
    /^ \.[^ ]+ +0x/ { count($1, $2, $3, $4); section = ""; next }
    /^ +0x[0-9a-f]+ +0x[0-9a-f]+ [^ ]/ { if (section != "") count(section, $1, $2, $3) }
    { section = "" }
    END { for (name in bytes) print "library", name, target, bytes[name] }' "$2"
}

# code TOOL FILE: bytes of machine code.
code() {
  "$1" -A "$2" | awk '$1 ~ /^\.text/ { sum += $2 } END { print sum + 0 }'
}

# ours_in TARGET BUILD PROGRAM: rows "folder NAME TARGET BYTES" and "minimal - TARGET BYTES". Objects hold machine code
# besides what is optimised at link time (-ffat-lto-objects), so their symbols say which functions are ours. The
# optimiser names copies and parts of a function after it, with a suffix.
ours_in() {
  {
    objects "$2" | grep -v -e pannier_sim -e '^tools/' -e '^run/' | while read -r object; do
      folder=$(echo "$object" | sed 's|CMakeFiles/[^/]*/||; s|/[^/]*$||')
      "$triple-readelf" -sW "$2/$object" | awk -v folder="$folder" '$4 == "FUNC" && $7 != "UND" { print "o", $8, folder }'
    done
    "$triple-readelf" -sW "$3" | awk '$4 == "FUNC" && $7 != "UND" { print "p", $8, $2, $3 }'
  } | awk -v target="$1" '
    { name = $2; sub(/\.(constprop|isra|part|cold|lto_priv|localalias).*$/, "", name) }
    $1 == "o" { if (!(name in home)) home[name] = $3; next }
    # Two names for one piece of code count once.
    name in home && !($3 in seen) { seen[$3] = 1; bytes[home[name]] += $4; sum += $4 }
    END {
      for (folder in bytes) print "folder", folder, target, bytes[folder]
      print "minimal", "-", target, sum + 0
    }'
}

# objects BUILD: those that its programs are made of; a folder that was built before has others as well.
objects() {
  ninja -C "$1" -t inputs all | grep '\.cpp\.o$'
}

for target in $targets; do
  case $target in
    armhf) triple=arm-linux-gnueabihf ;;
    arm64) triple=aarch64-linux-gnu ;;
    x86_64) triple=x86_64-linux-gnu ;;
    *) echo "size.sh: no target $target" >&2 && exit 2 ;;
  esac
  build=build/cross-$target
  [ -e "$build/tools/pannier" ] || { echo "size.sh: $build is not built: ./dev cross $target" >&2 && exit 2; }

  "$triple-strip" -o "$work/node" "$build/tools/pannier"
  echo "node - $target $(stat -c %s "$work/node")"
  # Linked into one object, which keeps one copy of each template.
  objects "$build" | grep '^CMakeFiles/pannier.dir/runtime/' | sed "s|^|$build/|" >"$work/core"
  # shellcheck disable=SC2046 # a list of files
  "$triple-ld" -r -o "$work/core.o" $(cat "$work/core")
  echo "core_text - $target $(code "$triple-size" "$work/core.o")"
  by_library "$target" "$build/tools/pannier.map"
  [ "$target" != armhf ] || ours_in "$target" "$build" "$build/examples/minimal/minimal"
  objects "$build" | grep -v pannier_sim | while read -r object; do
    name=$(echo "$object" | sed 's|CMakeFiles/[^/]*/||; s|\.o$||')
    echo "object $name $target $(code "$triple-size" "$build/$object")"
  done
done >"$rows"

# One table a kind, a column a target, the largest first.
for kind in library folder object; do
  echo
  awk -v kind=$kind -v targets="$targets" '
    BEGIN {
      count = split(targets, column, " ")
      printf "%-42s", kind
      for (i = 1; i <= count; i++) printf "%12s", column[i]
      print ""
    }
    $1 == kind { bytes[$2, $3] = $4; if (!($2 in largest) || $4 > largest[$2]) largest[$2] = $4; sum[$3] += $4 }
    END {
      for (name in largest) {
        line = sprintf("%-42s", name)
        for (i = 1; i <= count; i++) line = line sprintf("%12d", bytes[name, column[i]])
        print line | "sort -k2,2nr"
      }
      close("sort -k2,2nr")
      printf "%-42s", "sum"
      for (i = 1; i <= count; i++) printf "%12d", sum[column[i]]
      print ""
    }' "$rows"
done

if [ -n "$update" ]; then
  # The lines of targets that were not measured stay.
  { sed -n '/^#/p' "$budget"
    awk 'NR == FNR { if ($1 != "object" && $1 != "folder") printf "%-10s %-12s %-8s %9d\n", $1, $2, $3, int($4 * 1.02 / 1000 + 1) * 1000
                     measured[$3] = 1; next }
         !/^#/ && NF == 4 && !($3 in measured) { printf "%-10s %-12s %-8s %9d\n", $1, $2, $3, $4 }' "$rows" "$budget" |
      sort; } >"$work/budget"
  cp "$work/budget" "$budget"
fi

if [ -n "$json" ]; then
  awk -v targets="$targets" '
    $1 == "node" || $1 == "core_text" || $1 == "minimal" { bytes[$1, $3] = $4 }
    END {
      count = split(targets, column, " ")
      for (k = 1; k <= 3; k++) {
        kind = k == 1 ? "node" : k == 2 ? "core_text" : "minimal"
        printf "%s\"%s\": {", k == 1 ? "{" : ", ", kind
        before = ""
        for (i = 1; i <= count; i++) {
          if (!((kind, column[i]) in bytes)) continue
          printf "%s\"%s\": %d", before, column[i], bytes[kind, column[i]]
          before = ", "
        }
        printf "}"
      }
      print "}"
    }' "$rows" >"$json"
fi

echo
awk 'NR == FNR { if (!/^#/ && NF == 4) budget[$1, $2, $3] = $4; next }
  $1 == "object" || $1 == "folder" { next }
  {
    allowed = budget[$1, $2, $3]
    verdict = allowed == "" ? "has no budget" : $4 > allowed ? "OVER BUDGET" : "ok"
    if (verdict != "ok") over = 1
    printf "%-10s %-12s %-8s %9d of %9d  %s\n", $1, $2, $3, $4, allowed, verdict
  }
  END { exit over }' "$budget" "$rows" || {
  echo "size.sh: something has outgrown toolchains/size_budget.txt: make it smaller, or say in the commit why it may" \
    "grow and run ./dev size --update" >&2
  exit 1
}
