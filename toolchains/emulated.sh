#!/bin/sh
# emulated.sh TARGET COMMAND [ARGUMENT...]: runs COMMAND where the kernel starts the target's programs as it starts its
# own, by qemu-user. A test that starts other programs, and kills them, needs no more than that.
#
# Where the system is set up so already (package qemu-user-binfmt), this adds nothing. Elsewhere the kernel is told
# within a namespace of this command's own (Linux 6.7 or newer): the machine stays as it is.
set -eu
target=$1
shift
case $target in
  armhf)
    emulator=$(command -v qemu-arm) || emulator=
    elf_class='\x01'
    elf_machine='\x28'
    ;;
  arm64)
    emulator=$(command -v qemu-aarch64) || emulator=
    elf_class='\x02'
    elf_machine='\xb7'
    ;;
  *)
    exec "$@"
    ;;
esac
[ -n "$emulator" ] || { echo "emulated.sh: no qemu-user here; ./dev setup cross installs it" >&2 && exit 2; }

binfmt=/proc/sys/fs/binfmt_misc
name=${emulator##*/}
if grep -qs '^enabled' "$binfmt/$name"; then exec "$@"; fi

if [ "${PANNIER_NAMESPACE:-}" != "$target" ]; then
  PANNIER_NAMESPACE=$target exec unshare --user --map-root-user --mount "$0" "$target" "$@"
fi
# An executable ELF file, little endian, for the machine; any system.
magic="\\x7fELF$elf_class\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00$elf_machine\\x00"
mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
{ mount -t binfmt_misc binfmt_misc "$binfmt" &&
  printf '%s' ":$name:M::$magic:$mask:$emulator:FP" >"$binfmt/register"; } 2>/dev/null || {
  echo "emulated.sh: this kernel (before 6.7, or without user namespaces) starts no $target programs for us;" \
    "install the package qemu-user-binfmt" >&2
  exit 2
}
exec "$@"
