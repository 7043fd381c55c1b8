# Runs CHOREOGRAPHY and SAGA, each on a store of its own: what the services did, and how each order ended, is the same.
cmake_minimum_required(VERSION 3.25)
function(ends_of program ends)
  execute_process(COMMAND mktemp -d OUTPUT_VARIABLE folder OUTPUT_STRIP_TRAILING_WHITESPACE)
  execute_process(COMMAND ${program} ${folder}/node.db
    OUTPUT_VARIABLE said ERROR_VARIABLE log RESULT_VARIABLE status TIMEOUT 60)
  file(REMOVE_RECURSE ${folder})
  if(NOT status STREQUAL "0")
    message(SEND_ERROR "${program} ended with ${status}:\n${said}${log}")
  endif()
  # "order-2: compensated", without the cause, which only the saga knows
  string(REGEX MATCHALL "(bank|kitchen): order-[0-9]+ is [a-z ]+|order-[0-9]+: [a-z]+" lines "${said}")
  list(SORT lines)
  set(${ends} "${lines}" PARENT_SCOPE)
endfunction()

ends_of(${CHOREOGRAPHY} choreography)
ends_of(${SAGA} saga)
if(NOT choreography STREQUAL saga)
  message(SEND_ERROR "choreography: ${choreography}\nsaga: ${saga}")
endif()
if(NOT "order-2: compensated" IN_LIST saga)
  message(SEND_ERROR "order-2 is not compensated: ${saga}")
endif()
