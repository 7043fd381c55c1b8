# pannier_options(<target>): how our own code is compiled. Nothing of it reaches who links the library.
include_guard(GLOBAL)

function(pannier_options target)
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wnon-virtual-dtor -Wold-style-cast
    -Werror
    # The API needs no type information at run time, and a handheld has no room for it.
    -fno-rtti
    # With --gc-sections the linker leaves out what a program does not call.
    -ffunction-sections -fdata-sections)
  # gcc 12 at -O3 takes `"text" + std::string` for an overlapping copy (gcc bug 105651, mended in 13).
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    target_compile_options(${target} PRIVATE -Wno-restrict)
  endif()
  # Under sanitizers gcc 12 takes the absent parts of std::variant and std::optional for uninitialised reads, and
  # FlatBuffers' tables, which are views of a buffer, for objects of one byte.
  set(flags "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_MINSIZEREL}")
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND flags MATCHES "-fsanitize")
    target_compile_options(${target} PRIVATE -Wno-maybe-uninitialized -Wno-stringop-overread)
  endif()
  # Objects that also hold machine code: who links the library need not optimise at link time, and ./dev size reads
  # them.
  if(CMAKE_INTERPROCEDURAL_OPTIMIZATION AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -ffat-lto-objects)
  endif()
  # Tests count in 64 bits and index what fits into memory; on 32 bits a cast at each place would say nothing.
  if(CMAKE_SIZEOF_VOID_P EQUAL 4 AND CMAKE_CURRENT_SOURCE_DIR MATCHES "^${PROJECT_SOURCE_DIR}/tests")
    target_compile_options(${target} PRIVATE -Wno-conversion)
  endif()
  target_link_options(${target} PRIVATE -Wl,--gc-sections)
  # Our own code says #include "runtime/actor/worker.h"; who links the library sees <pannier/...> alone.
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR})
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  target_compile_features(${target} PRIVATE cxx_std_20)
endfunction()
