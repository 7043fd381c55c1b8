# Linux with musl: a cross compiler with a C++ library, as musl-cross-make builds one, on the PATH. PANNIER_TRIPLE in
# the environment says which one; ./dev cross musl takes arm-linux-musleabihf where nothing is said.
#
# Not tried: Debian packages musl for C alone. Two things to know: musl gives threads a stack of 128 KiB, hence the
# linker's option below; and it reads names by DNS itself, so that nothing of the system's is needed at run time.
#
# A Yocto or OpenEmbedded SDK brings a toolchain file of its own, and needs none of these (not tried either):
#     . /opt/poky/.../environment-setup-...
#     cmake -B build/yocto --toolchain "$OE_CMAKE_TOOLCHAIN_FILE" -DCMAKE_BUILD_TYPE=MinSizeRel
# where the image's recipes have zeromq, libsodium, sqlite3, flatbuffers and cppzmq (meta-openembedded). Or build
# toolchains/dependencies with the same file, -DPANNIER_TRIPLE=... and a prefix within the SDK's sysroot.
set(CMAKE_SYSTEM_NAME Linux)
set(PANNIER_TARGET musl)
set(PANNIER_TRIPLE $ENV{PANNIER_TRIPLE})
if(NOT PANNIER_TRIPLE)
  set(PANNIER_TRIPLE arm-linux-musleabihf)
endif()
string(REGEX REPLACE "-.*" "" CMAKE_SYSTEM_PROCESSOR ${PANNIER_TRIPLE})
set(CMAKE_C_COMPILER ${PANNIER_TRIPLE}-gcc)
set(CMAKE_CXX_COMPILER ${PANNIER_TRIPLE}-g++)

set(PANNIER_FLAGS "")
set(PANNIER_LINK_FLAGS "-Wl,-z,stack-size=1048576")
include(${CMAKE_CURRENT_LIST_DIR}/device.cmake)
