# What the toolchain files for devices have in common. They set PANNIER_TARGET, PANNIER_TRIPLE,
# PANNIER_FLAGS and PANNIER_LINK_FLAGS.

# Programs are static, so that they run whatever the device's system is; and not position-independent, which saves a few
# per cent.
set(CMAKE_C_FLAGS_INIT "${PANNIER_FLAGS} -fno-pie")
set(CMAKE_CXX_FLAGS_INIT "${PANNIER_FLAGS} -fno-pie")
# glibc warns that getaddrinfo and getpwuid may load the system's own plugins for names: docs/devices.md.
set(CMAKE_EXE_LINKER_FLAGS_INIT "-static -Wl,--no-warnings ${PANNIER_LINK_FLAGS}")

# Libraries and headers come from where the dependencies were installed (toolchains/dependencies), from
# CMAKE_PREFIX_PATH and from the compiler, never from this machine's system; programs are this machine's.
cmake_path(SET PANNIER_SDK_DEFAULT NORMALIZE ${CMAKE_CURRENT_LIST_DIR}/../build/sdk-${PANNIER_TARGET})
set(PANNIER_SDK ${PANNIER_SDK_DEFAULT} CACHE PATH "Pannier's dependencies for the target")
list(APPEND CMAKE_FIND_ROOT_PATH ${PANNIER_SDK} ${CMAKE_PREFIX_PATH})
list(APPEND CMAKE_PROGRAM_PATH ${CMAKE_CURRENT_LIST_DIR}/../build/dependencies/host/bin)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES PANNIER_SDK)
