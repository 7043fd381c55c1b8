#!/bin/sh
# boot_root.sh ROOT: starts the systemd of a root directory as the first process of namespaces of its own, and stays until
# that ends. Killing this process ends all of them. For test_packages.sh; a container manager would do the same.
set -eu
root=$1

if [ "${2:-}" != inside ]; then
  # A control group of our own, so that what systemd makes beneath goes with it. Tried with the legacy hierarchy only.
  if [ -d /sys/fs/cgroup/systemd ]; then
    group=/sys/fs/cgroup/systemd/pannier-packages-$$
    mkdir "$group"
    echo $$ >"$group/cgroup.procs"
  fi
  exec unshare --mount --pid --uts --ipc --net --cgroup --fork --kill-child sh "$0" "$root" inside
fi

bind_device() {
  touch "dev/$1"
  mount --bind "/dev/$1" "dev/$1"
}

mount --make-rprivate /
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs tmpfs dev
mkdir dev/pts dev/shm
for device in null zero full random urandom tty; do bind_device "$device"; done
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
if [ -d /sys/fs/cgroup/systemd ]; then
  mount -t tmpfs tmpfs sys/fs/cgroup
  mkdir sys/fs/cgroup/systemd
  mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
else
  mount -t cgroup2 cgroup2 sys/fs/cgroup
fi
pivot_root . mnt
umount -l /mnt
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd >/dev/null 2>&1
