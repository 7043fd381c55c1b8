# pannier_add_test(NAME <name> SOURCES <a.cpp>... LABELS <unit|contract|sim|system|tidy|device|threads|campaign>...
#                  [LIBS <target>...] [DEFINITIONS <NAME=value>...] [TIMEOUT <seconds>])
#
# A doctest program `test_<name>`, run by CTest as <name>. doctest's main is in tests/support/main.cpp.
include_guard(GLOBAL)

function(pannier_add_test)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME;TIMEOUT" "SOURCES;LABELS;LIBS;DEFINITIONS")
  if(NOT arg_NAME OR NOT arg_SOURCES OR NOT arg_LABELS OR arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "pannier_add_test: expected NAME, SOURCES and LABELS")
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  # An emulated processor is about ten times slower (toolchains/emulated.sh).
  if(CMAKE_CROSSCOMPILING_EMULATOR)
    math(EXPR arg_TIMEOUT "${arg_TIMEOUT} * 10")
  endif()
  set(target test_${arg_NAME})
  add_executable(${target} ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE pannier_test_main pannier ${arg_LIBS})
  target_compile_definitions(${target} PRIVATE ${arg_DEFINITIONS})
  pannier_options(${target})
  pannier_unity(${target})
  add_test(NAME ${arg_NAME} COMMAND ${target})
  set_tests_properties(${arg_NAME} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT})
  pannier_built_with(${target} ${arg_LABELS})
endfunction()

# pannier_built_with(<target> <label>...): builds the target as part of tests_<label>.
function(pannier_built_with target)
  foreach(label IN LISTS ARGN)
    if(NOT TARGET tests_${label})
      add_custom_target(tests_${label})
    endif()
    add_dependencies(tests_${label} ${target})
  endforeach()
endfunction()
