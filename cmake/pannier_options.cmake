# pannier_options(<target>): compile options of our own code. Programs that link the library do not get them.
include_guard(GLOBAL)

function(pannier_options target)
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wnon-virtual-dtor -Wold-style-cast
    -Werror
    # The API needs no RTTI, and a handheld has no room for it.
    -fno-rtti
    # With --gc-sections the linker drops what a program does not call.
    -ffunction-sections -fdata-sections)
  # gcc 12 at -O3 takes `"text" + std::string` for an overlapping copy (gcc bug 105651, fixed in 13).
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    target_compile_options(${target} PRIVATE -Wno-restrict)
  endif()
  # With sanitizers, gcc 12 takes the absent parts of std::variant and std::optional for uninitialised reads, and
  # FlatBuffers' tables, which are views of a buffer, for objects of one byte.
  set(flags "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_MINSIZEREL}")
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND flags MATCHES "-fsanitize")
    target_compile_options(${target} PRIVATE -Wno-maybe-uninitialized -Wno-stringop-overread)
  endif()
  # Objects also contain machine code, so that programs can link without LTO and ./dev size can read them.
  if(CMAKE_INTERPROCEDURAL_OPTIMIZATION AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -ffat-lto-objects)
  endif()
  # Tests count in 64 bits and index what fits into memory; casts for 32 bits would only be noise.
  if(CMAKE_SIZEOF_VOID_P EQUAL 4 AND CMAKE_CURRENT_SOURCE_DIR MATCHES "^${PROJECT_SOURCE_DIR}/tests")
    target_compile_options(${target} PRIVATE -Wno-conversion)
  endif()
  target_link_options(${target} PRIVATE -Wl,--gc-sections)
  # Our own code says #include "runtime/actor/worker.h"; users of the library see <pannier/...> only.
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR})
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  target_compile_features(${target} PRIVATE cxx_std_20)
endfunction()
