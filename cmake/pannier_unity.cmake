# pannier_unity(<target>): compiles a folder's sources together, eight at a time, if PANNIER_UNITY is on.
#
# Most of a source's compile time goes into headers that its neighbours need too. Presets that build tests switch it on;
# names in anonymous namespaces must then be unique within a folder. Optimised builds, and builds that use this project
# as a subproject, compile each source alone (docs/ci.md).
include_guard(GLOBAL)

option(PANNIER_UNITY "Compile the sources of a folder together: faster builds of everything" OFF)
set(PANNIER_UNITY_SOURCES 8 CACHE STRING "How many sources at most")
mark_as_advanced(PANNIER_UNITY_SOURCES)

function(pannier_unity target)
  if(NOT PANNIER_UNITY)
    return()
  endif()
  # gcc warns about each type of an anonymous namespace in an included file, as if the file were a header.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -Wno-subobject-linkage)
  endif()
  # clang reports a local name as shadowing one that a neighbour declares in an anonymous namespace.
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    target_compile_options(${target} PRIVATE -Wno-shadow)
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  get_target_property(sources ${target} SOURCES)
  list(FILTER sources INCLUDE REGEX "^[^$]*\\.cpp$")
  set(folders)
  foreach(source IN LISTS sources)
    cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} NORMALIZE OUTPUT_VARIABLE file)
    cmake_path(RELATIVE_PATH file BASE_DIRECTORY ${PROJECT_SOURCE_DIR} OUTPUT_VARIABLE folder)
    cmake_path(GET folder PARENT_PATH folder)
    string(MAKE_C_IDENTIFIER "${folder}" folder)
    list(APPEND folders ${folder})
    list(LENGTH sources_of_${folder} before)
    math(EXPR part "${before} / ${PANNIER_UNITY_SOURCES} + 1")
    list(APPEND sources_of_${folder} ${file})
    set_source_files_properties(${source} TARGET_DIRECTORY ${target} PROPERTIES UNITY_GROUP ${folder}_${part})
    set_property(GLOBAL APPEND PROPERTY PANNIER_UNITY_${target}_${folder}_${part} ${file})
    set_property(GLOBAL PROPERTY PANNIER_UNITY_${target}_OF_${file} ${folder}_${part})
  endforeach()
endfunction()

# pannier_unity_neighbours(<out> <target> <source>): a source and those compiled together with it.
function(pannier_unity_neighbours out target source)
  get_property(group GLOBAL PROPERTY PANNIER_UNITY_${target}_OF_${source})
  set(sources ${source})
  if(group)
    get_property(sources GLOBAL PROPERTY PANNIER_UNITY_${target}_${group})
  endif()
  set(${out} ${sources} PARENT_SCOPE)
endfunction()
