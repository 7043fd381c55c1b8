# 64-bit ARM: Debian's cross compiler, package g++-aarch64-linux-gnu.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(PANNIER_TARGET arm64)
set(PANNIER_TRIPLE aarch64-linux-gnu)
set(CMAKE_C_COMPILER ${PANNIER_TRIPLE}-gcc)
set(CMAKE_CXX_COMPILER ${PANNIER_TRIPLE}-g++)
set(CMAKE_FIND_ROOT_PATH /usr/${PANNIER_TRIPLE})
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L /usr/${PANNIER_TRIPLE})

set(PANNIER_FLAGS "")
# Kernels with pages of 4 and of 16 KiB; the linker's default of 64 KiB pads the file for servers.
set(PANNIER_LINK_FLAGS "-Wl,-z,max-page-size=16384")
include(${CMAKE_CURRENT_LIST_DIR}/device.cmake)
