#!/bin/sh
# idle.sh PROGRAM [SECONDS]: what an idle node costs. Starts two nodes of PROGRAM (a static `pannier`, for this machine), a hub and
# a gateway with one encrypted link to it, each with an open store, and one more without links; waits until the link is up; prints
# for each its resident memory and how often the kernel gave a core to one of its threads in SECONDS (30).
set -eu
program=$(realpath "$1")
seconds=${2:-30}
work=$(mktemp -d)
nodes=
trap 'kill $nodes 2>/dev/null; wait; rm -rf "$work"' EXIT
cd "$work"
for name in hub gateway alone; do "$program" keygen $name.key >$name.public; done

node() {
  printf '[node]\nname = "%s"\nkey = "%s.key"\nstore = "%s.db"\nlisten = ["%s"]\n' "$1" "$1" "$1" "$2"
}
{ node hub "ipc://$work/hub.link" && printf '[[peer]]\nname = "gateway"\nkey = '"'%s'"'\n' "$(cat gateway.public)"
  printf '[[lane]]\nname = "orders"\n'; } >hub.toml
{ node gateway "ipc://$work/gateway.sock"
  printf '[[link]]\nnode = "hub"\naddress = "ipc://%s/hub.link"\nkey = '"'%s'"'\n' "$work" "$(cat hub.public)"
  printf '[[lane]]\nname = "orders"\nforward_to = "hub"\n'; } >gateway.toml
node alone "ipc://$work/alone.sock" >alone.toml

for name in hub gateway alone; do
  "$program" node --config $name.toml >$name.out 2>$name.log &
  nodes="$nodes $!"
  until [ -s $name.out ]; do
    kill -0 $! 2>/dev/null || { cat $name.log >&2 && exit 1; }
    sleep 0.1
  done
done
# A message goes the whole way: the link is up, the store in use.
"$program" enqueue --config gateway.toml --raw text orders key >/dev/null
"$program" consume --config hub.toml --count 1 --wait 10 orders >/dev/null

# switches PID: of all threads, whether they gave the core up or lost it.
switches() {
  cat "/proc/$1"/task/*/status | awk '/ctxt_switches/ { sum += $2 } END { print sum }'
}
sleep 3
for pid in $nodes; do switches "$pid"; done >before
sleep "$seconds"
for pid in $nodes; do switches "$pid"; done >after
set -- $nodes
for name in hub gateway alone; do
  awk -v name=$name '/^VmRSS/ { rss = $2 } /^RssAnon/ { anon = $2 } /^Threads/ { threads = $2 }
    END { printf "%-8s resident %5d KiB, of which %5d KiB its own, %d threads", name, rss, anon, threads }' "/proc/$1/status"
  shift
  paste before after | sed -n "$((3 - $#))p" |
    awk -v seconds="$seconds" '{ printf ", %.2f wake-ups a second\n", ($2 - $1) / seconds }'
done
