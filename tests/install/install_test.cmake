cmake_minimum_required(VERSION 3.25)

function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    list(JOIN ARGV " " command)
    message(FATAL_ERROR "${command}: ${status}\n${output}")
  endif()
endfunction()

file(REMOVE_RECURSE ${work})
set(prefix ${work}/prefix)
run(${CMAKE_COMMAND} --install ${build} --prefix ${prefix})

# A tree that names the place it was built in breaks when it is moved: so move it.
file(RENAME ${prefix} ${work}/moved)
set(prefix ${work}/moved)

# By find_package.
if(toolchain)
  # For a device, as docs/devices.md has it; pkg-config below knows no toolchain file.
  set(how --toolchain ${toolchain})
  string(APPEND flags " -static -I${sdk}/include -L${sdk}/lib")
else()
  set(how -D CMAKE_CXX_COMPILER=${compiler} "-DCMAKE_CXX_FLAGS=${flags}")
endif()
run(${CMAKE_COMMAND} -S ${consumer} -B ${work}/cmake -G ${generator} ${how} -D CMAKE_PREFIX_PATH=${prefix})
run(${CMAKE_COMMAND} --build ${work}/cmake)
run(${CMAKE_CTEST_COMMAND} --test-dir ${work}/cmake --output-on-failure --no-tests=error)

# The product of docs/first-product.md, as its own page builds it.
if(product)
  run(${CMAKE_COMMAND} -S ${product} -B ${work}/product -G ${generator} ${how} -D CMAKE_PREFIX_PATH=${prefix})
  run(${CMAKE_COMMAND} --build ${work}/product)
  run(${CMAKE_CTEST_COMMAND} --test-dir ${work}/product --output-on-failure --no-tests=error)
endif()

# By pkg-config.
find_program(pkg_config NAMES pkg-config pkgconf REQUIRED)
set(ENV{PKG_CONFIG_PATH} ${prefix}/${libdir}/pkgconfig)
execute_process(COMMAND ${pkg_config} --cflags --libs pannier
  OUTPUT_VARIABLE arguments COMMAND_ERROR_IS_FATAL ANY)
separate_arguments(arguments UNIX_COMMAND "${arguments}")
separate_arguments(flags UNIX_COMMAND "${flags}")
run(${compiler} ${flags} -std=c++20 ${consumer}/main.cpp ${arguments} -o ${work}/by_pkg_config)
run(${work}/by_pkg_config)

# With UndefinedBehaviorSanitizer, whatever the library was built with.
run(${compiler} ${flags} -std=c++20 -fsanitize=undefined ${consumer}/main.cpp ${arguments} -o ${work}/with_ubsan)
run(${work}/with_ubsan)

# With an older C++ there is one error, which says so.
foreach(header pannier actor message queue run sim zmq)  # whichever is included first
  file(WRITE ${work}/too_old.cpp "#include <pannier/${header}.h>\n")
  execute_process(COMMAND ${compiler} ${flags} -std=c++17 -c ${work}/too_old.cpp ${arguments} -o ${work}/too_old.o
    RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  string(REGEX MATCHALL "error: " errors "${output}")
  list(LENGTH errors count)
  if(status EQUAL 0 OR NOT count EQUAL 1 OR NOT output MATCHES "Pannier needs C\\+\\+20")
    message(FATAL_ERROR "C++17, ${header}.h first: ${output}")
  endif()
endforeach()
