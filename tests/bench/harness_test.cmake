# Runs the harness on a row with a peer and on one that is counted, and reads what it wrote.
set(file ${work}/rows.json)
execute_process(
  COMMAND ${bench} --only pingpong/same-worker --only allocations/tell --rounds 1 --scale 0.001 --json ${file}
  COMMAND_ERROR_IS_FATAL ANY)
file(READ ${file} rows)

string(JSON count LENGTH "${rows}")
if(NOT count EQUAL 2)
  message(FATAL_ERROR "two rows were asked for, ${count} were written")
endif()

foreach(member name unit higher_is_better ours peers ratio rounds)
  string(JSON value GET "${rows}" 0 ${member})
  if(value STREQUAL "" OR (member STREQUAL "ratio" AND value LESS_EQUAL 0))
    message(FATAL_ERROR "the row with a peer has '${value}' for ${member}")
  endif()
endforeach()

string(JSON ours GET "${rows}" 1 ours)
if(NOT ours EQUAL 0)
  message(FATAL_ERROR "${ours} heap allocations a message in steady state; there should be none")
endif()
string(JSON peers ERROR_VARIABLE without_peer GET "${rows}" 1 peers)
if(NOT without_peer)
  message(FATAL_ERROR "a counted row has no peer, but '${peers}' was written")
endif()

# Against another build, here against itself: both sides are measured, and the peer is not.
get_filename_component(programs ${bench} DIRECTORY)
get_filename_component(build ${programs} DIRECTORY)
execute_process(
  COMMAND ${bench} --only pingpong/same-worker --rounds 1 --scale 0.001 --against ${build} --json ${file}
  COMMAND_ERROR_IS_FATAL ANY)
file(READ ${file} rows)
foreach(member ours against ratio)
  string(JSON value GET "${rows}" 0 ${member})
  if(value LESS_EQUAL 0)
    message(FATAL_ERROR "the row against another build has '${value}' for ${member}")
  endif()
endforeach()
string(JSON peers ERROR_VARIABLE without_peer GET "${rows}" 0 peers)
if(NOT without_peer)
  message(FATAL_ERROR "a comparison of builds has no peer, but '${peers}' was written")
endif()

# Every row about the queue runs, with a backlog of a thousand rows, and gives a figure; nothing is left behind.
execute_process(
  COMMAND ${bench} --only enqueue --only end-to-end --only flash --only backlog --only urgent --rounds 1 --scale 0.001
    --rows 1000 --json ${file}
  COMMAND_ERROR_IS_FATAL ANY)
file(READ ${file} rows)
set(expected enqueue/fsynced enqueue/one-at-a-time enqueue/one-thread
  end-to-end/fsynced end-to-end/plaintext end-to-end/handled
  flash/bytes flash/fsyncs backlog/memory backlog/start-up backlog/growth urgent/behind-backlog)
string(JSON count LENGTH "${rows}")
set(names)
math(EXPR last "${count} - 1")
foreach(i RANGE ${last})
  string(JSON name GET "${rows}" ${i} name)
  string(JSON ours GET "${rows}" ${i} ours)
  if(NOT ours GREATER 0)
    message(FATAL_ERROR "${name} has the figure ${ours}")
  endif()
  list(APPEND names ${name})
endforeach()
if(NOT names STREQUAL expected)
  message(FATAL_ERROR "the rows about the queue are ${names}")
endif()

file(GLOB left ${programs}/run-*)
if(left)
  message(FATAL_ERROR "the harness left ${left}")
endif()
