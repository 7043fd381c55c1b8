#!/bin/sh
# test_packages.sh TARGET: whether the packages of ./dev package TARGET are what a device needs. Their contents for every
# target; for x86_64 also their life: in a clean Debian whose own systemd runs them, from the installation over a message, a
# crash and a hang of the node to the update and the removal. As root, on a kernel with namespaces; docs/operations.md.
set -eu
cd "$(dirname "$0")/.."
target=$1
work=$PWD/build/package
deb=$(echo "$work/$target"/*.deb)
archive=$(echo "$work/$target"/*.tar.gz)

fail() {
  echo "test_packages: $*" >&2
  [ ! -e "${root:-/nowhere}" ] || inside journalctl --no-pager -n 40 >&2 || true
  exit 1
}

passed() {
  echo "ok: $*"
}

# until_true SECONDS COMMAND...: what systemd does by itself has no other end to wait for.
until_true() {
  limit=$(($(date +%s) + $1))
  shift
  until "$@"; do
    [ "$(date +%s)" -le "$limit" ] || return 1
    sleep 0.1
  done
}

# --- What is in them -------------------------------------------------------------------------------------------------

case $target in
  armhf) architecture=armhf machine=ARM ;;
  arm64) architecture=arm64 machine=AArch64 ;;
  x86_64) architecture=amd64 machine=X86-64 ;;
  *) fail "no target '$target'" ;;
esac
content=$(mktemp -d "$work/content.XXXXXX")
root=
started=
group_is_gone() {
  group=/sys/fs/cgroup/systemd/pannier-packages-$started
  [ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null
  [ ! -d "$group" ]
}
finish() {
  # unshare heeds no other signal; the first process of the namespaces ends with it, and all others with that.
  [ -z "$started" ] || { kill -KILL "$started" && wait "$started"; } 2>/dev/null || true
  [ -z "$started" ] || until_true 10 group_is_gone || true
  rm -rf "$content" ${root:+"$root"}
}
trap finish EXIT
trap 'exit 1' INT TERM

dpkg-deb -x "$deb" "$content"
[ "$(dpkg-deb -f "$deb" Architecture)" = "$architecture" ] || fail "the package is not for $architecture"
program=$content/usr/bin/pannier
readelf -h "$program" | grep -q "Machine:.*$machine" || fail "the program is not for $machine"
[ -z "$(readelf -l "$program" | grep INTERP)" ] || fail "the program is not static"
tar -xzf "$archive" -C "$content"
folder=$(basename "$archive" .tar.gz)
cmp -s "$program" "$content/$folder/bin/pannier" || fail "the archive holds another program than the package"
passed "$architecture, static, $(stat -c %s "$program") bytes; $(stat -c %s "$deb") bytes packed"
[ "$target" = x86_64 ] || { echo "not installed here: it is for another machine" && exit 0; }

# --- A clean root ----------------------------------------------------------------------------------------------------

[ "$(id -u)" -eq 0 ] || fail "run it as root: it makes a root of its own and starts systemd in it"
clean=$work/clean-root.tar
if [ ! -e "$clean" ]; then
  echo "making a clean root: debootstrap"
  base=$(mktemp -d "$work/base.XXXXXX")
  debootstrap --variant=minbase --include=systemd bookworm "$base" >"$work/debootstrap.log" 2>&1 ||
    { tail "$work/debootstrap.log" >&2 && fail "debootstrap failed"; }
  tar -C "$base" -cf "$clean.part" . && mv "$clean.part" "$clean"
  rm -rf "$base"
fi
root=$(mktemp -d "$work/root.XXXXXX")
tar -C "$root" -xf "$clean"
chmod 755 "$root"  # The archive's own root may be closed to others, as mktemp made it.
cp "$deb" "$archive" "$root/root"

inside() {
  nsenter --all --target "$first" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 "$@"
}

sh packaging/boot_root.sh "$root" &
started=$!
first_process() {
  first=$(cat "/proc/$started/task/$started/children" 2>/dev/null | tr -d ' ')
  [ -n "$first" ] && inside systemctl is-system-running >/dev/null 2>&1
}
until_true 30 first_process || fail "systemd does not start in namespaces here"
passed "a clean root runs: $(inside systemctl --version | head -1)"

# --- Install, and a message through it -------------------------------------------------------------------------------

# Quicker than on a device, so that its restarts can be waited for.
hurried() {
  mkdir -p "$root/run-drop-in"
  printf '[Service]\nRestartSec=0.1\nWatchdogSec=%s\n' "$1" >"$root/run-drop-in/test.conf"
  inside mkdir -p /run/systemd/system/pannier.service.d
  inside cp /run-drop-in/test.conf /run/systemd/system/pannier.service.d/test.conf
  inside systemctl daemon-reload
}
property() {
  inside systemctl show -P "$1" pannier
}
is_active() {
  inside systemctl is-active --quiet pannier
}
# As the node's own user: who reads its key file is its operator.
program_inside=/usr/bin/pannier
pannier() {
  command=$1
  shift
  inside runuser -u pannier -- "$program_inside" "$command" --config /etc/pannier/node.toml "$@"
}
enqueue() {
  pannier enqueue --raw "text of $1" orders "$1" | grep -q "on disk .*(synced)" || fail "no receipt for $1"
}
take() {
  taken=$(pannier consume --count 1 --wait 10 orders) || fail "$1 is lost"
  [ "$taken" = "$(printf '%s\ttext of %s' "$1" "$1")" ] || fail "$1 is lost: '$taken' came"
}

inside dpkg -i "/root/$(basename "$deb")" >"$work/install.log" 2>&1 || fail "dpkg failed: $(cat "$work/install.log")"
is_active || fail "the service does not run after the installation"
[ "$(inside stat -c '%U %a' /var/lib/pannier/node.key)" = "pannier 600" ] || fail "the key is open to others"
[ "$(inside stat -c '%U' "/proc/$(property MainPID)")" = pannier ] || fail "the node runs as somebody else"
passed "installed and running: $(property StatusText)"

inside systemd-analyze verify pannier.service || fail "systemd-analyze finds fault with the unit"
exposure=$(inside systemd-analyze security --no-pager --threshold=20 pannier.service | tail -1) || fail "$exposure"
passed "unit verified; ${exposure#→ }"
inside runuser -u pannier -- pannier selftest --config /etc/pannier/node.toml || echo "(the verdict is on this machine's disk)"

enqueue order-1
inside systemctl restart pannier
take order-1
passed "a message enqueued before a restart is consumed after it"

# --- It dies, and it hangs -------------------------------------------------------------------------------------------

restarted() {
  [ "$(property NRestarts)" -ge "$1" ] && is_active
}
hurried 120
enqueue order-2
inside systemctl kill --signal=SIGKILL pannier
until_true 30 restarted 1 || fail "a killed node is not started again"
take order-2
passed "kill -9: systemd started it again, and the message was there"

hurried 2
inside systemctl restart pannier
enqueue order-3
before=$(property MainPID)
inside systemctl kill --signal=SIGSTOP pannier
hung_ended() {
  [ "$(property MainPID)" != "$before" ] && is_active
}
until_true 30 hung_ended || fail "a node that hangs is not ended by the watchdog"
inside journalctl -u pannier --no-pager | grep -q "Watchdog timeout" || fail "it was not the watchdog that ended it"
take order-3
quiet=$(property MainPID)
sleep 5
[ "$(property MainPID)" = "$quiet" ] || fail "the watchdog ends a node that does nothing wrong"
passed "a node that hung was ended by the watchdog and started again; an idle one lives on past two of its intervals"

# --- Update, removal, the archive ------------------------------------------------------------------------------------

enqueue order-4
key=$(inside sha256sum /var/lib/pannier/node.key)
inside sed -i 's/^name = "device"/name = "van-7"/' /etc/pannier/node.toml
inside dpkg -i "/root/$(basename "$deb")" >"$work/install.log" 2>&1 || fail "the update failed: $(cat "$work/install.log")"
is_active || fail "the service does not run after an update"
case $(property StatusText) in van-7*) ;; *) fail "the update did not keep the configuration" ;; esac
[ "$key" = "$(inside sha256sum /var/lib/pannier/node.key)" ] || fail "the update changed the key"
take order-4
passed "an update keeps configuration, key and messages, and restarts the node"

enqueue order-5
inside dpkg --purge pannier >"$work/install.log" 2>&1 || fail "the removal failed: $(cat "$work/install.log")"
inside test ! -e /usr/bin/pannier -a ! -e /etc/pannier -a -e /var/lib/pannier/node.db ||
  fail "the removal left too much, or took the messages"
passed "removed; $(grep -o '/var/lib/pannier holds.*' "$work/install.log")"

inside tar -xzf "/root/$(basename "$archive")" -C /opt
inside "/opt/$folder/setup-service" >"$work/install.log" 2>&1 || fail "setup-service failed: $(cat "$work/install.log")"
is_active || fail "the service does not run from the archive"
[ "$(inside readlink "/proc/$(property MainPID)/exe")" = "/opt/$folder/bin/pannier" ] || fail "another program runs"
inside systemd-analyze verify pannier.service || fail "systemd-analyze finds fault with the relocated unit"
program_inside=/opt/$folder/bin/pannier
take order-5
passed "the archive runs from /opt as a service, on what the package left"
inside systemctl stop pannier
[ "$(property Result)" = success ] || fail "it does not end well"
passed "stopped"
