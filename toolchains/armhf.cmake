# 32-bit ARM with hardware floating point (ARMv7, VFPv3-D16): Debian's cross compiler, package g++-arm-linux-gnueabihf.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR armv7l)
set(PANNIER_TARGET armhf)
set(PANNIER_TRIPLE arm-linux-gnueabihf)
set(CMAKE_C_COMPILER ${PANNIER_TRIPLE}-gcc)
set(CMAKE_CXX_COMPILER ${PANNIER_TRIPLE}-g++)
set(CMAKE_FIND_ROOT_PATH /usr/${PANNIER_TRIPLE})
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-arm -L /usr/${PANNIER_TRIPLE})

# Files beyond 2 GB and times beyond 2038 need to be asked for on this architecture.
# gcc notes that it passes some arguments otherwise than before version 7: nothing here was built by an older one.
set(PANNIER_FLAGS "-D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64 -Wno-psabi")
set(PANNIER_LINK_FLAGS "")
include(${CMAKE_CURRENT_LIST_DIR}/device.cmake)
