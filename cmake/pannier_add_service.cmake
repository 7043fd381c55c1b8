# pannier_add_service(TARGET <target> FILES <x.fbs>...)
#
# pannier_add_schema, and <folder>/x.fbs.rpc.h with a client and a server class for each rpc_service of the file.
# <target> is linked with pannier::rpc. Wrong attributes are errors of the build, with file and line.
include_guard(GLOBAL)
include(${CMAKE_CURRENT_LIST_DIR}/pannier_add_schema.cmake)

function(pannier_add_service)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "TARGET" "FILES")
  if(NOT arg_TARGET OR NOT arg_FILES OR arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "pannier_add_service: say TARGET <target> FILES <x.fbs>...")
  endif()
  pannier_add_schema(TARGET ${arg_TARGET} FILES ${arg_FILES})
  set(generator pannier_rpcgen)
  if(TARGET pannier_rpcgen_host)
    set(generator ${PANNIER_RPCGEN})  # a cross build: the program of the machine that builds
  elseif(TARGET pannier::rpcgen)
    set(generator pannier::rpcgen)
  endif()

  set(generated ${PROJECT_BINARY_DIR}/generated)
  foreach(file IN LISTS arg_FILES)
    cmake_path(ABSOLUTE_PATH file NORMALIZE OUTPUT_VARIABLE schema)
    cmake_path(RELATIVE_PATH schema BASE_DIRECTORY ${PROJECT_SOURCE_DIR} OUTPUT_VARIABLE relative)
    cmake_path(GET relative PARENT_PATH folder)
    cmake_path(GET schema STEM name)
    set(header ${generated}/${relative}.rpc.h)
    string(MAKE_C_IDENTIFIER "${PROJECT_NAME}_service_${relative}" service_target)
    if(NOT TARGET ${service_target})
      add_custom_command(
        OUTPUT ${header}
        COMMAND ${PANNIER_FLATC} -b --schema --bfbs-comments --bfbs-builtins -I ${PROJECT_SOURCE_DIR}
                -o ${generated}/${folder}/
                ${schema}
        COMMAND ${generator} ${schema} ${generated}/${folder}/${name}.bfbs ${relative}.h ${header}
        DEPENDS ${schema} ${generator}
        BYPRODUCTS ${generated}/${folder}/${name}.bfbs
        COMMENT "Generating ${relative}.rpc.h"
        VERBATIM)
      add_custom_target(${service_target} DEPENDS ${header})
      if(TARGET pannier_rpcgen_host)
        add_dependencies(${service_target} pannier_rpcgen_host)
      endif()
    endif()
    add_dependencies(${arg_TARGET} ${service_target})
  endforeach()

  get_target_property(type ${arg_TARGET} TYPE)
  if(arg_TARGET STREQUAL "pannier_rpc")
    return()  # it has services of its own
  elseif(type STREQUAL "INTERFACE_LIBRARY")
    target_link_libraries(${arg_TARGET} INTERFACE pannier::rpc)
  else()
    target_link_libraries(${arg_TARGET} PUBLIC pannier::rpc)
  endif()
endfunction()
