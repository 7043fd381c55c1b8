# Android, by the NDK's own toolchain file: ANDROID_NDK_ROOT in the environment, r25 (clang 14) or newer. ./dev cross
# android, or -DANDROID_ABI=armeabi-v7a for the 32-bit one.
#
# Not tried: no NDK was at hand where this was written. It is as far as the NDK's documents lead. What may need a hand:
# the warnings of newer clang versions, which are errors in our code (CXXFLAGS=-Wno-error); and that an app loads a
# shared library of its own, for which it adds -fPIC and links pannier::pannier into it.
if(NOT DEFINED ENV{ANDROID_NDK_ROOT})
  message(FATAL_ERROR " toolchains/android.cmake: set ANDROID_NDK_ROOT to where the NDK is")
endif()
set(ANDROID_ABI arm64-v8a CACHE STRING "Processor")
# posix_spawn came with version 28.
set(ANDROID_PLATFORM android-28 CACHE STRING "Oldest version of Android")
set(ANDROID_STL c++_static CACHE STRING "The C++ library goes into the program")
include($ENV{ANDROID_NDK_ROOT}/build/cmake/android.toolchain.cmake)

if(ANDROID_ABI STREQUAL "armeabi-v7a")
  set(PANNIER_TRIPLE armv7a-linux-androideabi)
else()
  set(PANNIER_TRIPLE aarch64-linux-android)
endif()
cmake_path(SET PANNIER_SDK_DEFAULT NORMALIZE ${CMAKE_CURRENT_LIST_DIR}/../build/sdk-android)
set(PANNIER_SDK ${PANNIER_SDK_DEFAULT} CACHE PATH "Pannier's dependencies for the target")
list(APPEND CMAKE_FIND_ROOT_PATH ${PANNIER_SDK} ${CMAKE_PREFIX_PATH})
