#!/bin/sh
# prepare.sh FOLDER: fetches the pinned sources (sources.txt), checks them and makes them ready to be built for any
# target, in FOLDER/src. What is ready already stays as it is.
#
# They come from the directory that PANNIER_SOURCES names, where it is set, or else from the distribution's archive by
# apt, with lists and state of its own under FOLDER/apt: the system's own source list is neither read nor changed. What
# was fetched is kept for other checkouts (XDG_CACHE_HOME, ~/.cache), so that a second build needs no network.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "${1:?usage: prepare.sh FOLDER}"
folder=$(cd "$1" && pwd)
pins=$here/sources.txt
mirror=${PANNIER_MIRROR:-http://deb.debian.org}
archives=${XDG_CACHE_HOME:-${HOME:-$folder}/.cache}/pannier/sources-$(sha256sum <"$pins" | cut -c1-16)

fail() {
  echo "prepare.sh: $*" >&2
  exit 1
}

pinned() {
  grep -v -e '^#' -e '^$' "$pins"
}

# correct SHA256 FILE
correct() {
  printf '%s  %s\n' "$1" "$2" | sha256sum --check --status 2>/dev/null
}

copy_sources() {
  pinned | while read -r sum file _; do
    [ -e "$PANNIER_SOURCES/$file" ] || fail "$PANNIER_SOURCES has no $file; toolchains/sources.txt lists all"
    correct "$sum" "$PANNIER_SOURCES/$file" || fail "$PANNIER_SOURCES/$file is not what toolchains/sources.txt pins"
    cp "$PANNIER_SOURCES/$file" .
  done
}

# Whether all files are here already.
complete() {
  pinned | while read -r sum file _; do correct "$sum" "$file" || exit 1; done
}

apt_get() {
  apt-get -qq -o Dir::State="$folder/apt" -o Dir::State::status="$folder/apt/status" -o Dir::Cache="$folder/apt/cache" \
    -o Dir::Etc::sourcelist="$folder/apt/sources.list" -o Dir::Etc::sourceparts=- -o APT::Architecture=amd64 \
    -o APT::Sandbox::User="$(id -un)" "$@"
}

fetch_sources() {
  command -v apt-get >/dev/null ||
    fail "no apt-get here: put the files of toolchains/sources.txt into a directory and set PANNIER_SOURCES to it"
  mkdir -p "$folder/apt/lists/partial" "$folder/apt/cache/archives/partial"
  : >"$folder/apt/status"
  # Without the archive's key, the pinned checksums alone say what is genuine; they are checked in either case.
  trust=signed-by=/usr/share/keyrings/debian-archive-keyring.gpg
  [ -e "${trust#signed-by=}" ] || trust=trusted=yes
  cat >"$folder/apt/sources.list" <<END
deb [arch=amd64 $trust] $mirror/debian bookworm main
deb [arch=amd64 $trust] $mirror/debian-security bookworm-security main
deb-src [$trust] $mirror/debian bookworm main
deb-src [$trust] $mirror/debian-security bookworm-security main
END
  apt_get update || fail "the archive's lists could not be fetched from $mirror (PANNIER_MIRROR names another one)"
  pinned | while read -r sum file package; do
    if correct "$sum" "$file"; then continue; fi
    echo "fetching: ${package#source:}"
    rm -f "$file"
    case $package in
      source:*) apt_get source --download-only "${package#source:}" ;;
      *) apt_get download "$package" ;;
    esac || fail "$package is not to be had from $mirror: put $file into a directory and set PANNIER_SOURCES to it" \
      "(snapshot.debian.org keeps every version)"
    correct "$sum" "$file" || fail "$file came with another checksum than toolchains/sources.txt"
  done
}

# unpack NAME: into src/NAME, with the distribution's fixes.
unpack() {
  rm -rf "$folder/src/$1"
  mkdir -p "$folder/src/$1"
  tar -xf "$(ls "$archives/$1"_*.orig.tar.*)" -C "$folder/src/$1" --strip-components=1
  tar -xf "$(ls "$archives/$1"_*.debian.tar.*)" -C "$folder/src/$1"
  cd "$folder/src/$1"
  grep -v -e '^#' -e '^$' debian/patches/series | while read -r patch _; do
    patch --quiet -p1 <"debian/patches/$patch" || fail "$1: $patch does not apply"
  done
}

# Two targets may be built at the same time.
exec 9>"$folder/lock"
flock 9
ready=$folder/src/ready
now=$(cat "$pins" "$here/dependencies/sqlite_options.txt" "$here/dependencies/text_stream.hpp" "$0" | sha256sum)
if [ "$(cat "$ready" 2>/dev/null)" = "$now" ]; then exit 0; fi

mkdir -p "$archives"
cd "$archives"
exec 8>"$archives/lock"
flock 8
if [ -n "${PANNIER_SOURCES:-}" ]; then copy_sources; else complete || fetch_sources; fi

echo "unpacking the sources of libzmq, libsodium, SQLite and FlatBuffers"
rm -rf "$folder/src"
log=$folder/prepare.log
for name in zeromq3 libsodium sqlite3 flatbuffers; do unpack "$name" >>"$log" 2>&1; done

mkdir -p "$folder/src/headers"
cd "$archives"
for package in *.deb; do dpkg-deb -x "$package" "$folder/src/headers"; done

# Our stand-in for its string streams: see there.
cp "$here/dependencies/text_stream.hpp" "$folder/src/zeromq3/src/"
sed -i 's/#include <sstream>/#include "text_stream.hpp"/; s/std::o\{0,1\}stringstream/zmq::text_stream_t/' \
  "$folder"/src/zeromq3/src/*.[ch]pp

cd "$folder/src/libsodium"
autoreconf -fi >>"$log" 2>&1 || fail "libsodium: autoreconf failed; see $log"

# The parser of SQL is generated: what it leaves out is left out here, and again when sqlite3.c is compiled.
cd "$folder/src/sqlite3"
mkdir -p build
cd build
{ ../configure --disable-tcl && make sqlite3.c OPTS="$(cat "$here/dependencies/sqlite_options.txt")"; } >>"$log" 2>&1 ||
  fail "SQLite: the amalgamation could not be made; see $log"

# flatc writes what its own version's headers read.
cd "$folder/src/flatbuffers"
version=$(sed -n 's/.*FLATBUFFERS_VERSION_\(MAJOR\|MINOR\|REVISION\) //p' include/flatbuffers/base.h | paste -sd.)
if [ "$(flatc --version 2>/dev/null)" != "flatc version $version" ]; then
  echo "building flatc $version for this machine"
  { cmake -S . -B host -G Ninja -DCMAKE_BUILD_TYPE=Release -DFLATBUFFERS_BUILD_TESTS=OFF &&
    cmake --build host --target flatc; } >>"$log" 2>&1 || fail "flatc could not be built; see $log"
  mkdir -p "$folder/host/bin"
  cp host/flatc "$folder/host/bin/"
fi
printf '%s\n' "$now" >"$ready"
