# Installs the build into a fresh folder, then builds and runs the project beside this file with it.
set(work ${BUILD_DIR}/tests/install)
file(REMOVE_RECURSE ${work})

function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()
run(${CMAKE_COMMAND} --install ${BUILD_DIR} --prefix ${work}/prefix)
run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR} -B ${work}/build -G ${GENERATOR}
  -D CMAKE_PREFIX_PATH=${work}/prefix -D CMAKE_CXX_COMPILER=${CXX} -D CMAKE_BUILD_TYPE=Release)
run(${CMAKE_COMMAND} --build ${work}/build)

execute_process(COMMAND ${work}/build/consumer WORKING_DIRECTORY ${work} OUTPUT_VARIABLE printed
  COMMAND_ERROR_IS_FATAL ANY)
if(NOT printed STREQUAL "[1, 30] after 5 values\n")
  message(FATAL_ERROR "The consumer printed '${printed}': expected '[1, 30] after 5 values'")
endif()
