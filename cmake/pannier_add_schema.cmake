# pannier_add_schema(TARGET <target> FILES <x.fbs>...)
#
# Generates <build>/generated/<folder of x.fbs within the project>/x.fbs.h before <target> is compiled, for #include
# "<folder>/x.fbs.h". Several targets may name the same schema.
include_guard(GLOBAL)

function(pannier_add_schema)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "TARGET" "FILES")
  if(NOT arg_TARGET OR NOT arg_FILES OR arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "pannier_add_schema: expected TARGET <target> FILES <x.fbs>...")
  endif()
  find_program(PANNIER_FLATC flatc)
  if(NOT PANNIER_FLATC)
    message(FATAL_ERROR "pannier_add_schema: flatc is missing. Install the package flatbuffers-compiler.")
  endif()

  set(generated ${PROJECT_BINARY_DIR}/generated)
  foreach(file IN LISTS arg_FILES)
    cmake_path(ABSOLUTE_PATH file NORMALIZE OUTPUT_VARIABLE schema)
    cmake_path(RELATIVE_PATH schema BASE_DIRECTORY ${PROJECT_SOURCE_DIR} OUTPUT_VARIABLE relative)
    cmake_path(GET relative PARENT_PATH folder)
    set(header ${generated}/${relative}.h)
    string(MAKE_C_IDENTIFIER "${PROJECT_NAME}_schema_${relative}" schema_target)
    if(NOT TARGET ${schema_target})
      # The same for all schemas: most of these change names in the generated code.
      add_custom_command(
        OUTPUT ${header}
        COMMAND ${PANNIER_FLATC} --cpp --cpp-std c++17 --cpp-static-reflection --gen-object-api --scoped-enums
                --gen-name-strings --keep-prefix --filename-suffix .fbs --filename-ext h
                -I ${PROJECT_SOURCE_DIR} -o ${generated}/${folder}/ ${schema}
        DEPENDS ${schema}
        COMMENT "Generating ${relative}.h"
        VERBATIM)
      add_custom_target(${schema_target} DEPENDS ${header})
    endif()
    add_dependencies(${arg_TARGET} ${schema_target})
  endforeach()

  get_target_property(type ${arg_TARGET} TYPE)
  if(type STREQUAL "INTERFACE_LIBRARY")
    target_include_directories(${arg_TARGET} SYSTEM INTERFACE $<BUILD_INTERFACE:${generated}>)
  else()
    target_include_directories(${arg_TARGET} SYSTEM PUBLIC $<BUILD_INTERFACE:${generated}>)
  endif()
endfunction()
